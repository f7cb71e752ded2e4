package queues

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// sendMessage is the one action a service needs to put a message into a queue.
const sendMessage = "sqs:SendMessage"

// A policy is what the local run understands of a queue policy: which service may send from which source.
type policy []statement

// statement is one statement of a policy.
// Source: IAM user guide, reference_policies_elements.
type statement struct {
	Sid       string
	Effect    string
	Principal principal
	Action    list
	Resource  list
	Condition map[string]map[string]list // operator → key → values
}

// principal is "*", or {"Service": …, "AWS": …}.
type principal struct {
	Everyone bool
	Services list
}

// list is one value or a list of values, each a string, a number or a boolean.
type list []string

// Allows says whether the queue's policy lets a service, for example "events.amazonaws.com", send messages on
// behalf of the resource sourceARN, for example a rule. A queue without a policy lets no service in.
func (s *Service) Allows(queueARN, servicePrincipal, sourceARN string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.policies[queueARN].allows(queueARN, servicePrincipal, sourceARN)
}

func (p policy) allows(queueARN, servicePrincipal, sourceARN string) bool {
	request := map[string]string{
		"aws:sourcearn":       sourceARN,
		"aws:sourceaccount":   account(sourceARN),
		"aws:securetransport": "true",
	}
	allowed := false
	for _, st := range p {
		if !st.applies(queueARN, servicePrincipal, request) {
			continue
		}
		if st.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (st statement) applies(queueARN, servicePrincipal string, request map[string]string) bool {
	return (st.Principal.Everyone || contains(st.Principal.Services, servicePrincipal, strings.EqualFold)) &&
		// Action names are not case-sensitive. (IAM user guide, reference_policies_elements_action)
		contains(st.Action, sendMessage, func(pattern, action string) bool {
			return glob(strings.ToLower(pattern), strings.ToLower(action))
		}) &&
		contains(st.Resource, queueARN, glob) &&
		st.met(request)
}

// met says whether every condition holds. One value of several is enough, and a key that the request does not
// have meets none of the supported operators. Condition keys are not case-sensitive.
func (st statement) met(request map[string]string) bool {
	for operator, keys := range st.Condition {
		for key, values := range keys {
			value, there := request[strings.ToLower(key)]
			if !there || !contains(values, value, operators[operator]) {
				return false
			}
		}
	}
	return true
}

// operators are the supported condition operators: does the value of the request match the policy's?
// Source: IAM user guide, reference_policies_elements_condition_operators.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals": func(pattern, value string) bool { return pattern == value },
	"StringLike":   glob,
	"ArnEquals":    arnLike,
	"ArnLike":      arnLike,
	"Bool":         strings.EqualFold,
}

// arnLike compares the six parts of two ARNs one by one, so that no wildcard reaches over a colon.
func arnLike(pattern, value string) bool {
	patterns, values := strings.SplitN(pattern, ":", 6), strings.SplitN(value, ":", 6)
	if len(patterns) != len(values) {
		return false
	}
	for i := range patterns {
		if !glob(patterns[i], values[i]) {
			return false
		}
	}
	return true
}

// glob matches * with any characters, none too, and ? with one.
func glob(pattern, value string) bool {
	// Where the last star was, and the value from which it has not been tried: there a mismatch goes back to.
	star, from := -1, 0
	p, v := 0, 0
	for v < len(value) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, v
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == value[v]):
			p++
			v++
		case star >= 0:
			from++
			p, v = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func contains(patterns list, value string, match func(pattern, value string) bool) bool {
	for _, pattern := range patterns {
		if match(pattern, value) {
			return true
		}
	}
	return false
}

// account is the account id of an ARN.
func account(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

// policyProperties are the properties of AWS::SQS::QueuePolicy.
type policyProperties struct {
	PolicyDocument json.RawMessage
	Queues         []string // URLs
}

// provisionPolicy gives queues their policy. Policies live in the template only, not on disk.
func (s *Service) provisionPolicy(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p policyProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	parsed, err := parsePolicy(p.PolicyDocument)
	if err != nil {
		return template.Attributes{}, fmt.Errorf("PolicyDocument: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, url := range p.Queues {
		arn := s.cloud.ARN("sqs", url[strings.LastIndex(url, "/")+1:])
		if _, taken := s.policies[arn]; taken {
			return template.Attributes{}, fmt.Errorf("queue %s has a policy already: on AWS the later of the two would silently replace the earlier", cloud.ResourceOf(arn))
		}
		s.policies[arn] = parsed
	}
	return template.Attributes{Ref: r.PhysicalName, GetAtt: map[string]string{"Id": r.PhysicalName}}, nil
}

func parsePolicy(document []byte) (policy, error) {
	var doc struct {
		Version   string
		Id        string
		Statement policy
	}
	if err := strict(document, &doc); err != nil {
		return nil, err
	}
	for i, st := range doc.Statement {
		if st.Effect != "Allow" && st.Effect != "Deny" {
			return nil, fmt.Errorf("statement %d: Effect is %q, allowed are \"Allow\" and \"Deny\"", i, st.Effect)
		}
		for operator := range st.Condition {
			if operators[operator] == nil {
				return nil, fmt.Errorf("statement %d: condition operator %q is not supported by the local run", i, operator)
			}
		}
	}
	return doc.Statement, nil
}

// UnmarshalJSON implements json.Unmarshaler: a policy may have a single statement without a list.
func (p *policy) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte("{")) {
		raw = append(append([]byte("["), raw...), ']')
	}
	return strict(raw, (*[]statement)(p))
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *principal) UnmarshalJSON(raw []byte) error {
	var wildcard string
	if json.Unmarshal(raw, &wildcard) == nil {
		if wildcard != "*" {
			return fmt.Errorf("Principal is %q, the only string allowed is \"*\"", wildcard)
		}
		p.Everyone = true
		return nil
	}
	var kinds map[string]list
	if err := json.Unmarshal(raw, &kinds); err != nil {
		return fmt.Errorf("Principal: %w", err)
	}
	// {"AWS": "*"} is the same as "*". Other accounts, roles and users are no services.
	// (IAM user guide, reference_policies_elements_principal)
	p.Everyone = contains(kinds["AWS"], "*", strings.EqualFold)
	p.Services = kinds["Service"]
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(raw []byte) error {
	var many []any
	if err := json.Unmarshal(raw, &many); err != nil {
		many = make([]any, 1)
		if err := json.Unmarshal(raw, &many[0]); err != nil {
			return err
		}
	}
	for _, value := range many {
		switch value.(type) {
		case string, bool, float64:
			*l = append(*l, fmt.Sprint(value))
		default:
			return errors.New("a string or a list of strings is needed")
		}
	}
	return nil
}

// strict decodes JSON and refuses fields that into does not have, for example NotPrincipal.
func strict(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("not supported by the local run: %w", err)
	}
	return nil
}
