package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A skip is a kind of resource that the local run does not need.
type skip struct {
	types  string // a type, or all types of a service: "AWS::IAM::*"
	reason string
}

// skips lists all of them. Any other resource type without a Provision is an error: to ignore it silently would make a
// stack look as if it worked. The same holds for what refusals lists.
var skips = []skip{
	{"AWS::CDK::Metadata", "tells AWS which constructs are used"},
	{"AWS::IAM::*", "only roles call anything locally, and with --iam=off they may do everything"},
	{"AWS::Lambda::Permission", "permissions are not enforced with --iam=off"},
	{"AWS::KMS::*", "nothing is encrypted locally"},
	{"AWS::Logs::*", "logs are printed"},
	{"AWS::XRay::*", "traces are not collected locally"},
	{"AWS::CloudWatch::Dashboard", "dashboards are drawn only by AWS"},
	{"AWS::CloudWatch::CompositeAlarm", "the local run evaluates alarms over one metric"},
	{"AWS::CloudWatch::*", "the local run has metrics and alarms over one metric, nothing else of CloudWatch"},
	{"AWS::SNS::Topic", "receives alarms, which notify nobody here"},
	{"AWS::SNS::Subscription", "mails alarms to people, and alarms notify nobody here"},
	{"AWS::SNS::TopicPolicy", "receives alarms, which notify nobody here"},
	{"AWS::SNS::TopicInlinePolicy", "receives alarms, which notify nobody here"},
	{"AWS::ApiGateway::Account", "lets API Gateway write logs, which are printed"},
	{"AWS::ApiGateway::ApiKey", "API authorization is not enforced locally"},
	{"AWS::ApiGateway::Authorizer", "API authorization is not enforced locally, and events have no authorizer"},
	{"AWS::ApiGateway::UsagePlan", "throttling is not enforced locally"},
	{"AWS::ApiGateway::UsagePlanKey", "throttling is not enforced locally"},
	{"AWS::ApplicationAutoScaling::*", "capacity is not limited locally"},
	{"AWS::Backup::*", "backups are made only in AWS"},
}

// A refusal is a resource of a skipped kind that the stack would miss.
type refusal struct {
	resourceType string
	property     string   // that decides; "" when the resource is always missed
	harmless     []string // its values that nothing in the stack misses
	reason       string
}

// refusals lists them: each carries messages or logs to something that the stack would wait for in vain.
var refusals = []refusal{
	{
		"AWS::SNS::Subscription", "Protocol",
		[]string{"email", "email-json", "sms"},
		"topics do not run here, so its endpoint would never be called: send by an EventBridge rule or an SQS queue, or leave the subscription out of the stack that runs here",
	},
	{
		"AWS::SNS::Topic", "Subscription", nil,
		"topics do not run here, so its subscriptions would never be called: leave them out of the stack that runs here",
	},
	{
		"AWS::Logs::SubscriptionFilter", "", nil,
		"logs are printed and go nowhere else, so its destination would never be called: leave the filter out of the stack that runs here",
	},
	{
		"AWS::Logs::AccountPolicy", "PolicyType",
		[]string{"DATA_PROTECTION_POLICY", "FIELD_INDEX_POLICY", "TRANSFORMER_POLICY"},
		"logs are printed and go nowhere else, so its destination would never be called: leave the policy out of the stack that runs here",
	},
}

// skip returns why a resource without a Provision is skipped, or an error that says why it cannot be.
func (p *plan) skip(d declaration) (reason string, err error) {
	for _, r := range refusals {
		if r.resourceType != d.Type {
			continue
		}
		if misses, got := p.misses(r, d); misses {
			return "", errors.New(strings.TrimSpace(got + " " + r.reason))
		}
	}
	if reason = skipReason(d.Type); reason == "" {
		return "", errors.New("the local run does not support this resource type")
	}
	return reason, nil
}

// misses reports whether the stack would miss the resource, and which value of the property makes it so.
func (p *plan) misses(r refusal, d declaration) (bool, string) {
	if r.property == "" {
		return true, ""
	}
	properties, _, err := p.prune(d.Properties)
	if err != nil {
		return true, err.Error() + ":"
	}
	object, _ := properties.(map[string]any)
	value, ok := object[r.property]
	if !ok {
		return r.harmless != nil, ""
	}
	if r.harmless == nil {
		list, isList := value.([]any)
		return !isList || len(list) > 0, ""
	}
	text := fmt.Sprint(value)
	if value, err = p.resolve(value); err == nil {
		text = fmt.Sprint(value)
	}
	return !slices.Contains(r.harmless, text), r.property + " " + text + ":"
}

// skipReason returns why resources of the type are skipped, or "" for a type that is not.
func skipReason(resourceType string) string {
	for _, s := range skips {
		if s.types == resourceType || strings.HasSuffix(s.types, "::*") && strings.HasPrefix(resourceType, strings.TrimSuffix(s.types, "*")) {
			return s.reason
		}
	}
	return ""
}

// refIsARN holds the skipped types whose Ref is an ARN. The Ref of the others is a name.
var refIsARN = map[string]bool{
	"AWS::SNS::Topic":         true,
	"AWS::SNS::Subscription":  true,
	"AWS::IAM::ManagedPolicy": true,
}

// placeholder returns the value of an attribute of a skipped resource: it has the right form, is the same in every run
// and refers to nothing.
func (e *evaluator) placeholder(r Resource, attribute string) string {
	if attribute == "" && !refIsARN[r.Type] {
		return r.PhysicalName
	}
	if attribute == "" || strings.HasSuffix(attribute, "Arn") {
		if r.Type == "AWS::Logs::LogGroup" {
			return e.arn("logs", "log-group:"+r.PhysicalName+":*")
		}
		parts := strings.SplitN(strings.ToLower(r.Type), "::", 3) // aws, iam, role
		return e.arn(parts[1], parts[2]+"/"+r.PhysicalName)
	}
	return r.PhysicalName + "-" + strings.ToLower(attribute)
}
