package queues

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// sendMessage is the action that a service needs to send a message to a queue.
const sendMessage = "sqs:SendMessage"

// A policy is the part of a queue policy that the local run evaluates: which service may send for which source.
type policy []statement

// A statement is one statement of a policy.
// Source: IAM user guide, reference_policies_elements.
type statement struct {
	Sid       string
	Effect    string
	Principal principal
	Action    oneOrMore
	Resource  oneOrMore
	Condition map[string]map[string]oneOrMore // operator → key → values
}

// A principal is "*", or {"Service": …, "AWS": …}.
type principal struct {
	Everyone bool
	Services oneOrMore
}

// oneOrMore holds one value or a list of values, each a string, a number or a boolean.
type oneOrMore []string

// Allows reports whether the queue's policy allows a service, for example "events.amazonaws.com", to send messages on
// behalf of the resource sourceARN, for example a rule. A queue without a policy allows no service. The policy of a queue
// that the template does not have is its attribute.
func (s *Service) Allows(queueARN, servicePrincipal, sourceARN string) bool {
	s.mu.RLock()
	p, known := s.policies[queueARN], s.known[queueARN]
	s.mu.RUnlock()
	if p == nil && !known {
		p = s.attributePolicy(queueARN)
	}
	return p.allows(queueARN, servicePrincipal, sourceARN)
}

// attributePolicy returns the policy that somebody gave to a queue after it was made, none where it cannot be read.
func (s *Service) attributePolicy(queueARN string) policy {
	parsed, err := parsePolicy([]byte(s.attributesOf(queueARN)[string(types.QueueAttributeNamePolicy)]))
	if err != nil {
		return nil
	}
	return parsed
}

// attributesOf returns the attributes of a queue that the template does not have, nil where there is none.
func (s *Service) attributesOf(queueARN string) map[string]string {
	if s.client == nil {
		return nil
	}
	url := s.cloud.QueueURL(queueARN)
	ctx, cancel := context.WithTimeout(context.Background(), attributeTimeout)
	defer cancel()
	out, err := s.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNamePolicy, types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return nil
	}
	return out.Attributes
}

// attributeTimeout is how long fauxqs may take for one answer.
const attributeTimeout = 5 * time.Second

func (p policy) allows(queueARN, servicePrincipal, sourceARN string) bool {
	request := map[string]string{
		"aws:sourcearn":       sourceARN,
		"aws:sourceaccount":   account(sourceARN),
		"aws:securetransport": "true",
	}
	allowed := false
	for _, st := range p {
		if !st.appliesTo(queueARN, servicePrincipal, request) {
			continue
		}
		if st.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (st statement) appliesTo(queueARN, servicePrincipal string, request map[string]string) bool {
	return (st.Principal.Everyone || contains(st.Principal.Services, servicePrincipal, strings.EqualFold)) &&
		// Action names are not case-sensitive. (IAM user guide, reference_policies_elements_action)
		contains(st.Action, sendMessage, func(pattern, action string) bool {
			return glob(strings.ToLower(pattern), strings.ToLower(action))
		}) &&
		contains(st.Resource, queueARN, glob) &&
		st.conditionsHold(request)
}

// conditionsHold reports whether every condition holds. Of several values one is enough, and for a key that the request
// does not have no supported operator holds. Condition keys are not case-sensitive.
func (st statement) conditionsHold(request map[string]string) bool {
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

// operators holds the supported condition operators. Each reports whether the request's value matches the policy's.
// Source: IAM user guide, reference_policies_elements_condition_operators.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals": func(pattern, value string) bool { return pattern == value },
	"StringLike":   glob,
	"ArnEquals":    arnLike,
	"ArnLike":      arnLike,
	"Bool":         strings.EqualFold,
}

// arnLike compares the six parts of two ARNs one by one, so that no wildcard matches a colon.
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

// glob reports whether value matches pattern, in which * matches any number of characters and ? matches one.
func glob(pattern, value string) bool {
	// The place of the last star, and the end of the text that it has matched so far: a mismatch continues there.
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

func contains(patterns oneOrMore, value string, match func(pattern, value string) bool) bool {
	for _, pattern := range patterns {
		if match(pattern, value) {
			return true
		}
	}
	return false
}

// account returns the account id of an ARN.
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

// provisionPolicy sets the policy of queues. Policies come from the template only and are not stored on disk.
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
			return template.Attributes{}, fmt.Errorf("queue %s must have only one AWS::SQS::QueuePolicy: on AWS the later would silently replace the earlier", cloud.ResourceOf(arn))
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
	if err := decodeStrictly(document, &doc); err != nil {
		return nil, err
	}
	for i, st := range doc.Statement {
		if st.Effect != "Allow" && st.Effect != "Deny" {
			return nil, fmt.Errorf("statement %d: Effect must be \"Allow\" or \"Deny\", got %q", i, st.Effect)
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
	return decodeStrictly(raw, (*[]statement)(p))
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *principal) UnmarshalJSON(raw []byte) error {
	var wildcard string
	if json.Unmarshal(raw, &wildcard) == nil {
		if wildcard != "*" {
			return fmt.Errorf("Principal must be \"*\" or an object, got %q", wildcard)
		}
		p.Everyone = true
		return nil
	}
	var kinds map[string]oneOrMore
	if err := json.Unmarshal(raw, &kinds); err != nil {
		return fmt.Errorf("Principal: %w", err)
	}
	// {"AWS": "*"} is the same as "*". Other accounts, roles and users are not services.
	// (IAM user guide, reference_policies_elements_principal)
	p.Everyone = contains(kinds["AWS"], "*", strings.EqualFold)
	p.Services = kinds["Service"]
	return nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *oneOrMore) UnmarshalJSON(raw []byte) error {
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
			return errors.New("the value must be a string or a list of strings")
		}
	}
	return nil
}

// decodeStrictly decodes JSON and returns an error for fields that into does not have, for example NotPrincipal.
func decodeStrictly(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("not supported by the local run: %w", err)
	}
	return nil
}
