package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A Kind is how a policy is attached, which decides the elements that its statements must have.
type Kind int

// The kinds of policies.
const (
	Identity Kind = iota // of a role, or a permissions boundary: it has no Principal
	Resource             // of a queue, a bus or a function: it must have one
	Trust                // of a role, for those who may assume it: a resource policy without Resource
)

// A Policy is a parsed policy document. It is not changed after [Parse], so many goroutines may use it.
type Policy struct {
	statements []*Statement
}

// A Statement is one statement of a policy.
type Statement struct {
	// Sid is the statement's id, or "statement 1" where it has none.
	Sid string
	// Source is the statement as the policy has it, for messages.
	Source string

	deny          bool
	actions       oneOrMore
	notActions    bool
	resources     oneOrMore
	notResources  bool
	principals    *principals
	notPrincipals bool
	conditions    []condition
	variables     bool // only the version 2012-10-17 has policy variables
}

// The versions of the policy language. Source: IAM user guide, reference_policies_elements_version.
const (
	currentVersion = "2012-10-17"
	oldVersion     = "2008-10-17" // also that of a policy without Version
)

// Parse reads a policy document. Its error names everything that is wrong with the statements.
func Parse(kind Kind, document []byte) (*Policy, error) {
	var doc struct {
		Version   string
		Id        string
		Statement json.RawMessage
	}
	if err := decodeStrictly(document, &doc); err != nil {
		return nil, err
	}
	if doc.Version != "" && doc.Version != currentVersion && doc.Version != oldVersion {
		return nil, fmt.Errorf("Version must be %q or %q, got %q", currentVersion, oldVersion, doc.Version)
	}
	raw, err := statements(doc.Statement)
	if err != nil {
		return nil, err
	}
	p := &Policy{}
	var problems []error
	for i, one := range raw {
		s, err := parseStatement(kind, one, doc.Version == currentVersion)
		if err != nil {
			problems = append(problems, fmt.Errorf("statement %d: %w", i+1, err))
			continue
		}
		if s.Sid == "" {
			s.Sid = fmt.Sprintf("statement %d", i+1)
		}
		p.statements = append(p.statements, s)
	}
	return p, errors.Join(problems...)
}

// statements returns the elements of Statement, which may be one object without a list.
func statements(raw json.RawMessage) ([]json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, errors.New("Statement is missing")
	}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return []json.RawMessage{raw}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("Statement must be an object or a list of objects: %w", err)
	}
	return list, nil
}

// rawStatement is a statement as JSON has it.
type rawStatement struct {
	Sid          string
	Effect       string
	Principal    *principals
	NotPrincipal *principals
	Action       oneOrMore
	NotAction    oneOrMore
	Resource     oneOrMore
	NotResource  oneOrMore
	Condition    map[string]map[string]oneOrMore // operator → key → values
}

func parseStatement(kind Kind, raw json.RawMessage, current bool) (*Statement, error) {
	var r rawStatement
	if err := decodeStrictly(raw, &r); err != nil {
		return nil, err
	}
	conditions, err := compileConditions(r.Condition)
	if err := errors.Join(r.check(kind), err); err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, raw)
	s := &Statement{
		Sid: r.Sid, Source: compact.String(), deny: r.Effect == "Deny",
		actions: r.Action, resources: r.Resource, principals: r.Principal,
		conditions: conditions, variables: current,
	}
	if r.NotAction != nil {
		s.actions, s.notActions = r.NotAction, true
	}
	if r.NotResource != nil {
		s.resources, s.notResources = r.NotResource, true
	}
	if r.NotPrincipal != nil {
		s.principals, s.notPrincipals = r.NotPrincipal, true
	}
	return s, nil
}

// check returns an error that names every element that IAM would refuse.
// Source: IAM user guide, reference_policies_grammar.
func (r *rawStatement) check(kind Kind) error {
	var problems []error
	refuse := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if r.Effect != "Allow" && r.Effect != "Deny" {
		refuse("Effect must be \"Allow\" or \"Deny\", got %q", r.Effect)
	}
	if (len(r.Action) > 0) == (len(r.NotAction) > 0) {
		refuse("it must have Action or NotAction, and not both")
	}
	for _, action := range append(r.Action, r.NotAction...) {
		if action != "*" && !strings.Contains(action, ":") {
			refuse("an action must be \"*\" or \"service:action\", got %q", action)
		}
	}
	hasResource := len(r.Resource) > 0 || len(r.NotResource) > 0
	switch {
	case len(r.Resource) > 0 && len(r.NotResource) > 0:
		refuse("it must have Resource or NotResource, and not both")
	case kind == Trust && hasResource:
		refuse("a trust policy must not have Resource: the role is the resource")
	case kind != Trust && !hasResource:
		refuse("it must have Resource or NotResource")
	}
	for _, resource := range append(r.Resource, r.NotResource...) {
		if resource != "*" && !strings.HasPrefix(resource, "arn:") {
			refuse("a resource must be \"*\" or an ARN, got %q", resource)
		}
	}
	return errors.Join(append(problems, r.checkPrincipal(kind))...)
}

func (r *rawStatement) checkPrincipal(kind Kind) error {
	given := r.Principal != nil || r.NotPrincipal != nil
	switch {
	case kind == Identity && given:
		return errors.New("the policy of a role must not have Principal: it applies to the role")
	case kind != Identity && !given:
		return errors.New("it must have Principal")
	case r.Principal != nil && r.NotPrincipal != nil:
		return errors.New("it must have Principal or NotPrincipal, and not both")
	case r.NotPrincipal != nil && r.Effect == "Allow":
		// Source: IAM user guide, reference_policies_elements_notprincipal.
		return errors.New("NotPrincipal must be used with \"Effect\": \"Deny\" only")
	}
	return nil
}

// principals is "*", or {"Service": …, "AWS": …}. CanonicalUser and Federated name nobody who exists locally.
type principals struct {
	everyone bool
	aws      oneOrMore
	services oneOrMore
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *principals) UnmarshalJSON(raw []byte) error {
	var wildcard string
	if json.Unmarshal(raw, &wildcard) == nil {
		if wildcard != "*" {
			return fmt.Errorf("Principal must be \"*\" or an object, got %q", wildcard)
		}
		p.everyone = true
		return nil
	}
	var kinds struct{ AWS, Service, Federated, CanonicalUser oneOrMore }
	if err := decodeStrictly(raw, &kinds); err != nil {
		return fmt.Errorf("Principal: %w", err)
	}
	for _, name := range kinds.AWS {
		// {"AWS": "*"} is the same as "*". (IAM user guide, reference_policies_elements_principal)
		if name == "*" {
			p.everyone = true
		} else if strings.ContainsAny(name, "*?") {
			return fmt.Errorf("Principal must be \"*\" or have no wildcard, got %q", name)
		}
	}
	p.aws, p.services = kinds.AWS, kinds.Service
	return nil
}

// oneOrMore holds one value or a list of values, each a string, a number or a boolean.
type oneOrMore []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *oneOrMore) UnmarshalJSON(raw []byte) error {
	var many []json.RawMessage
	if json.Unmarshal(raw, &many) != nil {
		many = []json.RawMessage{raw}
	}
	*l = oneOrMore{}
	for _, one := range many {
		var text string
		switch {
		case json.Unmarshal(one, &text) == nil:
		case len(one) > 0 && (one[0] == 't' || one[0] == 'f' || one[0] == '-' || one[0] >= '0' && one[0] <= '9'):
			text = string(one)
		default:
			return fmt.Errorf("the value must be a string or a list of strings, got %s", one)
		}
		*l = append(*l, text)
	}
	return nil
}

// decodeStrictly decodes JSON and returns an error for elements that into does not have.
func decodeStrictly(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("not supported by the local run: %w", err)
	}
	return nil
}
