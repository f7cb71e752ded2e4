package operate

import (
	"fmt"
	"strings"
)

// enabled reports whether a rule does its work. Source: EventBridge API reference, DescribeRule, State.
func enabled(p Part) bool { return strings.HasPrefix(p.State, "ENABLED") }

// putBack brings back a part of the construct's own that somebody has deleted: CloudFormation makes it again only where it has
// left the template in between.
const putBack = "take %s out of the stack and deploy, then deploy with it again"

// ruleRuns adds a need where a rule is disabled or gone, and reports whether it does its work as far as is known.
func (n *needs) ruleRuns(what, name, bus string, r *Reading[Part], prop, so string) bool {
	if r == nil || !n.read(what, r.Error) || enabled(r.Value) {
		return true
	}
	if r.Value.State == Missing {
		n.add(fmt.Sprintf(putBack, prop), "%s is gone: %s", what, so)
		return false
	}
	args := []string{"--name", name}
	if bus != "" {
		args = append(args, "--event-bus-name", bus)
	}
	n.add(n.aws("events enable-rule", args...), "%s is %s: %s", what, r.Value.State, so)
	return false
}

// heartbeatRule adds a need where the rule does not bring the heartbeats to their queue.
func (n *needs) heartbeatRule(o *Outbox, r *Reading[Part]) bool {
	return n.ruleRuns("the heartbeat's rule", o.Heartbeat.Rule, o.Bus, r, "Monitor", "no heartbeat arrives, whether events do or not")
}

// audit adds what keeps the auditor from running: what it has on its list, and its metrics, are as they were then.
func (n *needs) audit(o *Outbox, s *AuditStatus) {
	if s != nil {
		n.ruleRuns("the auditor's schedule", o.Audit.Schedule, "", s.Schedule, "Audit", "nobody looks for effects that are missing, and the figures of what is unconfirmed are old")
	}
}
