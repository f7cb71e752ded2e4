package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A role is an AWS::IAM::Role with everything that is attached to it.
type role struct {
	logicalID string
	stack     string
	arn       string
	trust     *iam.Policy
	policies  []*iam.Policy
	managed   []string // ARNs
	boundary  string   // ARN, or empty
}

// Provisions returns the resource types of this package.
func (a *Authority) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::IAM::Role":           a.provisionRole,
		"AWS::IAM::Policy":         a.provisionPolicy,
		"AWS::IAM::RolePolicy":     a.provisionRolePolicy,
		"AWS::IAM::ManagedPolicy":  a.provisionManagedPolicy,
		"AWS::Lambda::Permission":  a.provisionPermission,
		"AWS::ApiGateway::Account": a.provisionAccount,
	}
}

// namedPolicy is an inline policy of a role.
type namedPolicy struct {
	PolicyName     string
	PolicyDocument json.RawMessage
}

func (a *Authority) provisionRole(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		RoleName                 string
		Path                     string
		AssumeRolePolicyDocument json.RawMessage
		Policies                 []namedPolicy
		ManagedPolicyArns        []string
		PermissionsBoundary      string

		Description        template.Ignored
		MaxSessionDuration template.Ignored
		Tags               template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.RoleName == "" {
		p.RoleName = r.PhysicalName
	}
	made := &role{logicalID: r.LogicalID, stack: r.Stack, arn: iamARN("role", p.Path, p.RoleName), managed: p.ManagedPolicyArns, boundary: p.PermissionsBoundary}
	var problems []error
	var err error
	if made.trust, err = a.parse(iam.Trust, p.AssumeRolePolicyDocument); err != nil {
		problems = append(problems, fmt.Errorf("AssumeRolePolicyDocument: %w", err))
	}
	for _, inline := range p.Policies {
		parsed, err := a.parse(iam.Identity, inline.PolicyDocument)
		if err != nil {
			problems = append(problems, fmt.Errorf("policy %s: %w", inline.PolicyName, err))
		}
		made.policies = append(made.policies, parsed)
	}
	for _, arn := range append([]string{p.PermissionsBoundary}, p.ManagedPolicyArns...) {
		problems = append(problems, a.knowManaged(arn))
	}
	if err := errors.Join(problems...); err != nil {
		return template.Attributes{}, err
	}
	a.mu.Lock()
	a.roles[made.arn] = made
	a.mu.Unlock()
	return template.Attributes{Ref: p.RoleName, GetAtt: map[string]string{"Arn": made.arn, "RoleId": uniqueID(r.LogicalID)}}, nil
}

// uniqueID returns the id of a role.
// Source: IAM user guide, reference_identifiers, "Understanding unique ID prefixes".
func uniqueID(logicalID string) string { return "AROA" + strings.ToUpper(logicalID) }

// iamARN returns the ARN of a role or policy. The path has a slash at both ends.
func iamARN(kind, path, name string) string {
	if path == "" {
		path = "/"
	}
	return "arn:aws:iam::" + cloud.Account + ":" + kind + path + name
}

// parse reads a policy. DynamoDB Local's streams have a region of their own, which the guards do not see either.
func (a *Authority) parse(kind iam.Kind, document []byte) (*iam.Policy, error) {
	return iam.Parse(kind, []byte(a.inRegion(string(document))))
}

// inRegion replaces the region of DynamoDB Local in ARNs by the stack's.
func (a *Authority) inRegion(text string) string {
	return strings.ReplaceAll(text, "arn:aws:dynamodb:ddblocal:", "arn:aws:dynamodb:"+a.cloud.Region+":")
}

func (a *Authority) provisionPolicy(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		namedPolicy
		Roles  []string
		Users  template.Ignored
		Groups template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	return template.Attributes{Ref: p.PolicyName, GetAtt: map[string]string{"Id": p.PolicyName}}, a.attach(p.PolicyDocument, p.Roles)
}

func (a *Authority) provisionRolePolicy(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		namedPolicy
		RoleName string
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	return template.Attributes{Ref: p.PolicyName}, a.attach(p.PolicyDocument, []string{p.RoleName})
}

// attach adds an inline policy to roles of the template. Others are not known here.
func (a *Authority) attach(document []byte, roles []string) error {
	parsed, err := a.parse(iam.Identity, document)
	if err != nil {
		return fmt.Errorf("PolicyDocument: %w", err)
	}
	a.eachRole(roles, func(r *role) { r.policies = append(r.policies, parsed) })
	return nil
}

func (a *Authority) eachRole(names []string, do func(*role)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		for arn, r := range a.roles {
			if nameOf(arn) == name {
				do(r)
			}
		}
	}
}

func (a *Authority) provisionManagedPolicy(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		ManagedPolicyName string
		Path              string
		PolicyDocument    json.RawMessage
		Roles             []string

		Description template.Ignored
		Users       template.Ignored
		Groups      template.Ignored
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if p.ManagedPolicyName == "" {
		p.ManagedPolicyName = r.PhysicalName
	}
	arn := iamARN("policy", p.Path, p.ManagedPolicyName)
	parsed, err := a.parse(iam.Identity, p.PolicyDocument)
	if err != nil {
		return template.Attributes{}, fmt.Errorf("PolicyDocument: %w", err)
	}
	a.mu.Lock()
	a.managed[arn] = parsed
	a.mu.Unlock()
	a.eachRole(p.Roles, func(r *role) { r.managed = append(r.managed, arn) })
	return template.Attributes{Ref: arn, GetAtt: map[string]string{"PolicyArn": arn, "PolicyId": "ANPA" + strings.ToUpper(r.LogicalID)}}, nil
}
