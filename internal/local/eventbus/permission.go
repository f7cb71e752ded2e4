package eventbus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// detailTypeKey is the one condition that a bus's policy may have in the local run.
// Source: EventBridge user guide, policy-keys-eventbridge.
const detailTypeKey = "events:detail-type"

// A busPolicy refuses events of some detail types, to everybody. Package access authorizes callers by the policies of the
// template, and does not know one that a call has set: so that takes no statement that would have to count there.
type busPolicy struct {
	text    string
	refused []string // detail types
}

type busStatement struct {
	Sid, Effect string
	Principal   any
	Action      string
	Resource    string
	Condition   struct {
		StringEquals map[string]string
	}
}

// parseBusPolicy reads a policy, and names the statement that the local run does not have.
func parseBusPolicy(text string) (*busPolicy, error) {
	var document struct {
		Version, Id string
		Statement   []busStatement
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&document); err != nil {
		return nil, fmt.Errorf("Policy is not supported by the local run: %w", err)
	}
	p := &busPolicy{text: text}
	for i, st := range document.Statement {
		detailType := st.Condition.StringEquals[detailTypeKey]
		if st.Effect != "Deny" || st.Principal != "*" || st.Action != "events:PutEvents" || detailType == "" || len(st.Condition.StringEquals) != 1 {
			return nil, fmt.Errorf("Policy: statement %d must deny events:PutEvents to \"*\" where %s has a value: the local run takes no other statement from a call, only from the template", i, detailTypeKey)
		}
		p.refused = append(p.refused, detailType)
	}
	return p, nil
}

// refusal returns why the policy refuses an entry, and whether it does.
// Source: EventBridge API reference, PutEventsResultEntry.
func (p *busPolicy) refusal(e entry) (result, bool) {
	if p == nil || !slices.Contains(p.refused, e.DetailType) {
		return result{}, false
	}
	return result{ErrorCode: "NotAuthorizedForDetailTypeException", ErrorMessage: "Not authorized for the detail type."}, true
}

type putPermissionRequest struct{ EventBusName, Policy string }

// putPermission sets a bus's whole policy, until the end of the run.
// Source: EventBridge API reference, PutPermission.
func (s *Service) putPermission(request putPermissionRequest) (empty, error) {
	b, err := s.findBus(request.EventBusName)
	if err != nil {
		return empty{}, notFound(err)
	}
	p, err := parseBusPolicy(request.Policy)
	if err != nil {
		return empty{}, invalid("%v", err)
	}
	s.setPolicy(b, p)
	return empty{}, nil
}

type removePermissionRequest struct {
	EventBusName         string
	RemoveAllPermissions bool
}

func (s *Service) removePermission(request removePermissionRequest) (empty, error) {
	b, err := s.findBus(request.EventBusName)
	if err != nil {
		return empty{}, notFound(err)
	}
	if !request.RemoveAllPermissions {
		return empty{}, invalid("RemoveAllPermissions must be true in the local run")
	}
	s.setPolicy(b, nil)
	return empty{}, nil
}

func (s *Service) setPolicy(b *bus, p *busPolicy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.policy = p
}

func (s *Service) policyOf(b *bus) *busPolicy {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return b.policy
}
