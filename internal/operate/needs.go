package operate

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// missedBeats is how long no heartbeat may arrive until somebody must look: the time after which its alarm goes off.
const missedBeats = 5 * time.Minute

// needs returns what in the status needs a person, in the order of the flow.
func (v *Surveyor) needs(s *Status) []Need {
	n := needs{v: v, at: s.At, several: len(v.stack.Outboxes) > 1}
	if len(v.stack.Gone) > 0 {
		n.add("put it back: "+fmt.Sprintf(putBack, "the parameter"), "%s", v.stack.gone())
	}
	for i, o := range v.stack.Outboxes {
		n.outbox(o, &s.Outboxes[i])
	}
	for i := range s.Imported {
		n.consumer(&s.Imported[i])
	}
	for _, a := range s.Alarms.Value {
		n.add(a.Description, "alarm %s is on", a.Name)
	}
	n.read("the alarms", s.Alarms.Error)
	n.addUnreadable()
	return n.found
}

// needs collects what needs a person.
type needs struct {
	v          *Surveyor
	at         time.Time
	several    bool // outboxes, which a command line must tell apart
	found      []Need
	unreadable []unreadable
}

// unreadable is why figures could not be read, and which.
type unreadable struct {
	problem string
	what    []string
}

func (n *needs) add(do, format string, args ...any) {
	n.found = append(n.found, Need{What: fmt.Sprintf(format, args...), Do: do})
}

// read notes what could not be read, and reports whether it was read.
func (n *needs) read(what, problem string) bool {
	if problem == "" {
		return true
	}
	for i := range n.unreadable {
		if u := &n.unreadable[i]; u.problem == problem {
			if !slices.Contains(u.what, what) {
				u.what = append(u.what, what)
			}
			return false
		}
	}
	n.unreadable = append(n.unreadable, unreadable{problem, []string{what}})
	return false
}

// addUnreadable adds a need for each reason why something could not be read: nobody can say then that nothing is wrong.
func (n *needs) addUnreadable() {
	for _, u := range n.unreadable {
		n.add("allow what is refused, or look again: "+u.problem, "could not be read: %s", strings.Join(u.what, ", "))
	}
}

// command returns a command line on the stack, with the outbox where there are several.
func (n *needs) command(o *Outbox, subcommand string, args ...string) string {
	if n.several && o != nil {
		args = append([]string{"--outbox", o.Path}, args...)
	}
	return n.v.command.For(subcommand, args...)
}

func (n *needs) outbox(o *Outbox, s *OutboxStatus) {
	if n.read("the pipe", s.Pipe.Error) {
		n.pipe(o, s.Pipe.Value)
	}
	n.heartbeat(o, s.Heartbeat)
	n.audit(o, s.Audit)
	if n.read("the pipe's dead letters", s.PipeDeadLetters.Error) && s.PipeDeadLetters.Value > 0 {
		n.add(n.command(o, "dead-letters list"), "the pipe has given up on %s of records: fix why, and redrive them: they are read from the stream for 24 hours, later from the outbox table", counted(s.PipeDeadLetters.Value, "batch", "batches"))
	}
	if n.read("the rules' dead letters", s.RuleDeadLetters.Error) && s.RuleDeadLetters.Value > 0 {
		n.add(n.command(o, "dead-letters list"), "the rules could not deliver %s: fix why, and redrive them", counted(s.RuleDeadLetters.Value, "event", "events"))
	}
	for i := range s.Consumers {
		n.consumer(&s.Consumers[i])
	}
	if a := s.Audit; a != nil && n.read("the auditor's dead letters", a.DeadLetters.Error) && a.DeadLetters.Value > 0 {
		n.add(n.command(o, "audit", "--full", "--since", "24h")+"; then "+n.command(o, "dead-letters discard", "--kind", string(OfAuditor)),
			"the auditor gave up on %s of records, whose effects nobody has looked for: look for them, and then delete its messages, which hold no events",
			counted(a.DeadLetters.Value, "batch", "batches"))
	}
}

// delivering are the states in which a pipe delivers, or soon will. Source: EventBridge Pipes API reference, DescribePipe.
var delivering = []string{"RUNNING", "STARTING", "CREATING", "UPDATING"}

func (n *needs) pipe(o *Outbox, p Part) {
	switch {
	case p.State == Missing:
		n.add("put it back: take the outbox's pipe out of the stack and deploy, then deploy it again; what was written meanwhile: "+
			n.command(o, "repair", "--full"), "pipe %s is gone: nothing that is written is delivered", o.Pipe)
	case !slices.Contains(delivering, p.State):
		n.add(n.command(o, "resume", "--pipe"), "the pipe is %s%s: events wait in the stream, at most %s", p.State, because(p.Reason), span(o.streamKeeps()))
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func (n *needs) heartbeat(o *Outbox, h *HeartbeatStatus) {
	if h == nil {
		return
	}
	scheduled := n.ruleRuns("the heartbeat's schedule", o.Heartbeat.Schedule, "", h.Schedule, "Monitor", "no heartbeat is written, so nothing tells that events get through")
	brought := n.heartbeatRule(o, h.Rule)
	if !n.read("the heartbeat", h.Last.Error) || !scheduled || !brought {
		return // what does not run does not arrive
	}
	const look = "look at the pipe, at its dead letters and at the log of function %s: one of them says why"
	beat := h.Last.Value
	switch age := n.at.Sub(beat.Arrived); {
	case beat.Arrived.IsZero():
		if n.at.Sub(n.v.deployed.Value) < missedBeats {
			return // the first has its way before it
		}
		n.add(fmt.Sprintf(look, o.Heartbeat.Function), "no heartbeat has arrived in the last %s: events do not get from the table to the queues", span(lookBackForBeat))
	case age > missedBeats:
		n.add(fmt.Sprintf(look, o.Heartbeat.Function), "no heartbeat has arrived for %s: events do not get from the table to the queues", span(age))
	case beat.LagMS > h.MaximumLagSeconds*1000:
		n.add("look for throttling of the pipe and of PutEvents: "+n.command(o, "status", "--watch"), "heartbeats take %s, more than %s: events are late",
			milliseconds(beat.LagMS), span(time.Duration(h.MaximumLagSeconds)*time.Second))
	}
}

func (n *needs) consumer(s *ConsumerStatus) {
	c := s.of
	if s.Mapping != nil && n.read("the mapping of "+s.Consumer, s.Mapping.Error) {
		n.mapping(c, s)
	}
	if s.Rule != nil && n.read("the rule of "+s.Consumer, s.Rule.Error) {
		n.rule(c, s)
	}
	if s.Queue != nil {
		n.read("the queue of "+s.Consumer, s.Queue.Error)
	}
	if s.OldestAge != nil {
		n.read("the ages of messages", s.OldestAge.Error)
	}
	if s.Unconfirmed != nil && n.read("what is unconfirmed of "+s.Consumer, s.Unconfirmed.Error) {
		n.unconfirmed(c, s.Unconfirmed.Value)
	}
	if s.DeadLetters != nil && n.read("the dead letters of "+s.Consumer, s.DeadLetters.Error) && s.DeadLetters.Value > 0 {
		n.add(n.command(c.Outbox, "dead-letters list", "--consumer", s.Consumer), "%s gave up on %s: fix why, and redrive them", s.Consumer, counted(s.DeadLetters.Value, "event", "events"))
	}
	if s.RuleDeadLetters != nil && n.read("the rules' dead letters of "+s.Consumer, s.RuleDeadLetters.Error) && s.RuleDeadLetters.Value > 0 {
		n.add(n.command(c.Outbox, "dead-letters list"), "the rule of %s could not deliver %s: fix why, and redrive them", s.Consumer, counted(s.RuleDeadLetters.Value, "event", "events"))
	}
}

func (n *needs) mapping(c *Consumer, s *ConsumerStatus) {
	switch p := s.Mapping.Value; {
	case p.State == Missing:
		// One that is made by hand has another UUID than the description says.
		n.add("make it anew by deployments, which note its new UUID, and keep the queue: take the mapping, and the consumer's description that names it, out of the stack's template and deploy, then deploy with both again",
			"the event source mapping of %s is gone: its messages wait in the queue, until they are too old", s.Consumer)
	case p.State == "Disabled" || p.State == "Disabling":
		n.add(n.command(c.Outbox, "resume", "--consumer", s.Consumer), "the event source mapping of %s is %s: its messages wait in the queue, until they are too old", s.Consumer, p.State)
	case p.Reason != "":
		n.add(fmt.Sprintf("read the log of function %s and fix what it names; Lambda tries again by itself", c.Function),
			"Lambda does not get on with the queue of %s: %s", s.Consumer, p.Reason)
	}
}

func (n *needs) rule(c *Consumer, s *ConsumerStatus) {
	repair := n.command(c.Outbox, "repair", "--consumer", s.Consumer, "--full", "--until", notYoung) // what was lost a moment ago is on no list yet
	switch s.Rule.Value.State {
	case Missing:
		target := fmt.Sprintf("Id=Queue,Arn=%s,DeadLetterConfig={Arn=%s}", s.arn(), beside(s.arn(), c.RuleDeadLetterQueue))
		n.add(n.aws("events put-rule", "--event-bus-name", c.Bus, "--name", c.Rule, "--event-pattern", string(c.Pattern))+" && "+
			n.aws("events put-targets", "--event-bus-name", c.Bus, "--rule", c.Rule, "--targets", target)+"; then "+repair,
			"the rule of %s is gone: it receives nothing", s.Consumer)
	case "DISABLED":
		n.add(n.aws("events enable-rule", "--event-bus-name", c.Bus, "--name", c.Rule)+"; then "+repair, "the rule of %s is DISABLED: it receives nothing", s.Consumer)
	}
}

// unknownARN is what somebody must replace in a command line.
const unknownARN = "QUEUE_ARN"

// arn returns the ARN of the consumer's queue, or what to put in its place.
func (s *ConsumerStatus) arn() string {
	if s.Queue == nil || s.Queue.Value.arn == "" {
		return unknownARN
	}
	return s.Queue.Value.arn
}

// beside returns the ARN of the queue with the URL, in the account and Region of another queue.
func beside(arn, url string) string {
	if arn == unknownARN || url == "" {
		return "DEAD_LETTER_" + unknownARN
	}
	return arn[:strings.LastIndex(arn, ":")+1] + path.Base(url)
}

// aws returns a command line of the AWS CLI, at the local run's endpoints where that is meant.
func (n *needs) aws(words string, args ...string) string {
	line := []string{"aws", words}
	if c := n.v.command; c.Local {
		service, _, _ := strings.Cut(words, " ")
		port, ok := map[string]int{"events": portOfEventBridge, "sqs": portOfSQS}[service]
		if !ok {
			port = portOfControl
		}
		line = append(line, "--endpoint-url", "http://"+loopback(c.Port+port))
	}
	for _, arg := range args {
		line = append(line, quote(arg))
	}
	return strings.Join(line, " ")
}

func (n *needs) unconfirmed(c *Consumer, u Unconfirmed) {
	if u.Count == 0 {
		return
	}
	after := time.Duration(seconds(c.Outbox.Audit.AlarmAfterSeconds)) * time.Second
	if age := n.at.Sub(u.Oldest); age > after {
		n.add(n.command(c.Outbox, "repair", "--consumer", c.Label(), "--dry-run"), "%s had no effect at %s, the oldest for %s",
			u.events(), c.Label(), span(age))
	}
}

// events returns how many there are, in words.
func (u Unconfirmed) events() string {
	if u.More {
		return fmt.Sprintf("%d or more events", u.Count)
	}
	return counted(u.Count, "event", "events")
}
