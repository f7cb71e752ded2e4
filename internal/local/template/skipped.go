package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A skip is a reason why the local run does not need resources of some types.
type skip struct {
	reason string
	types  []string
}

// skips lists all of them, by name: what AWS adds to a service tomorrow may be something that a stack would miss. Any other
// resource type without a Provision is an error: to ignore it silently would make a stack look as if it worked. The same
// holds for what refusals lists.
var skips = []skip{
	{"tells AWS which constructs are used", []string{"AWS::CDK::Metadata"}},
	{"only roles call anything locally, and with --iam=off they may do everything", []string{
		"AWS::IAM::Group", "AWS::IAM::GroupPolicy", "AWS::IAM::InstanceProfile", "AWS::IAM::ManagedPolicy", "AWS::IAM::OIDCProvider",
		"AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::RolePolicy", "AWS::IAM::SAMLProvider", "AWS::IAM::ServiceLinkedRole",
		"AWS::IAM::User", "AWS::IAM::UserPolicy", "AWS::IAM::UserToGroupAddition",
	}},
	{"permissions are not enforced with --iam=off", []string{"AWS::Lambda::Permission"}},
	{"nothing is encrypted locally", []string{"AWS::KMS::Alias", "AWS::KMS::Key", "AWS::KMS::ReplicaKey"}},
	{"logs are printed", []string{
		"AWS::Logs::AccountPolicy", "AWS::Logs::LogAnomalyDetector", "AWS::Logs::LogGroup", "AWS::Logs::LogStream",
		"AWS::Logs::QueryDefinition", "AWS::Logs::ResourcePolicy",
	}},
	{"traces are not collected locally", []string{
		"AWS::XRay::Group", "AWS::XRay::ResourcePolicy", "AWS::XRay::SamplingRule", "AWS::XRay::TransactionSearchConfig",
	}},
	{"dashboards are drawn only by AWS", []string{"AWS::CloudWatch::Dashboard"}},
	{"the local run evaluates alarms over one metric", []string{
		"AWS::CloudWatch::AnomalyDetector", "AWS::CloudWatch::CompositeAlarm", "AWS::CloudWatch::InsightRule",
	}},
	{"lets API Gateway write logs, which are printed", []string{"AWS::ApiGateway::Account"}},
	{"API keys are checked with --auth only", []string{"AWS::ApiGateway::ApiKey", "AWS::ApiGateway::UsagePlan", "AWS::ApiGateway::UsagePlanKey"}},
	{"authorizers are not called locally, and events have no authorizer", []string{"AWS::ApiGateway::Authorizer"}},
	{"custom domains are served on loopback, without TLS", []string{"AWS::CertificateManager::Certificate"}},
	{"names are resolved only by AWS", []string{"AWS::Route53::HostedZone", "AWS::Route53::RecordSet", "AWS::Route53::RecordSetGroup"}},
	{"capacity is not limited locally", []string{"AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"}},
	{"backups are made only in AWS", []string{
		"AWS::Backup::BackupPlan", "AWS::Backup::BackupSelection", "AWS::Backup::BackupVault", "AWS::Backup::Framework", "AWS::Backup::ReportPlan",
		"AWS::Backup::RestoreTestingPlan", "AWS::Backup::RestoreTestingSelection",
	}},
}

// A refusal is a resource that the stack would miss, of a skipped type or of one that nobody provisions.
type refusal struct {
	resourceType string   // or all types that begin with it: "AWS::Logs::Delivery*"
	property     string   // that decides; "" when the resource is always missed
	harmless     []string // its values that nothing in the stack misses
	functions    bool     // set when only a function in the property's list is missed
	reason       string
}

// neverCalled is why a composite alarm may not have a function in one of its lists of actions. It holds for an alarm over a
// metric too, see package metrics.
const neverCalled = "alarms notify topics only here, so the function would never be called: leave it out of the stack that runs here"

// refusals lists them: each carries messages, logs, metrics or keys to something that would wait for them in vain.
var refusals = []refusal{
	{
		resourceType: "AWS::Logs::SubscriptionFilter",
		reason:       "logs are printed and go nowhere else, so its destination would never be called: leave the filter out of the stack that runs here",
	},
	{
		resourceType: "AWS::Logs::AccountPolicy", property: "PolicyType",
		harmless: []string{"DATA_PROTECTION_POLICY", "FIELD_INDEX_POLICY", "TRANSFORMER_POLICY"},
		reason:   "logs are printed and go nowhere else, so its destination would never be called: leave the policy out of the stack that runs here",
	},
	{
		resourceType: "AWS::Logs::MetricFilter",
		reason:       "logs are printed and not searched, so the alarms over its metric would never see a value: let the function print the metric in the embedded metric format, or leave the filter out of the stack that runs here",
	},
	{
		resourceType: "AWS::Logs::Delivery*",
		reason:       "logs are printed and go nowhere else, so nothing would be delivered: leave it out of the stack that runs here",
	},
	{
		resourceType: "AWS::Logs::Destination",
		reason:       "logs are printed and go nowhere else, so its target would never be called: leave it out of the stack that runs here",
	},
	{
		resourceType: "AWS::Lambda::LayerVersion*",
		reason:       "a layer's files would have to lie in /opt, where the local run writes nothing: put them into the function's code",
	},
	{
		resourceType: "AWS::CloudWatch::MetricStream",
		reason:       "metrics stay here, so its destination would never be called: leave the stream out of the stack that runs here",
	},
	{
		resourceType: "AWS::CloudFormation::Stack",
		reason:       "nested stacks do not run here: make it a stack of the app, which --stack adds to the run",
	},
	{
		resourceType: "AWS::IAM::AccessKey",
		reason:       "users do not exist here, so its key would open nothing: leave it out of the stack that runs here",
	},
	{resourceType: "AWS::CloudWatch::CompositeAlarm", property: "AlarmActions", functions: true, reason: neverCalled},
	{resourceType: "AWS::CloudWatch::CompositeAlarm", property: "OKActions", functions: true, reason: neverCalled},
	{resourceType: "AWS::CloudWatch::CompositeAlarm", property: "InsufficientDataActions", functions: true, reason: neverCalled},
}

// skip returns why a resource without a Provision is skipped, or an error that names every reason why it cannot be.
func (p *plan) skip(d declaration) (reason string, err error) {
	var problems []error
	for _, r := range refusals {
		if prefix, all := strings.CutSuffix(r.resourceType, "*"); r.resourceType != d.Type && (!all || !strings.HasPrefix(d.Type, prefix)) {
			continue
		}
		if misses, got := p.misses(r, d); misses {
			problems = append(problems, errors.New(strings.TrimSpace(got+" "+r.reason)))
		}
	}
	if problems != nil {
		return "", errors.Join(problems...)
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
	if r.functions {
		return p.namesFunction(value), r.property + ":"
	}
	text := fmt.Sprint(value)
	if value, err = p.resolve(value); err == nil {
		text = fmt.Sprint(value)
	}
	return !slices.Contains(r.harmless, text), r.property + " " + text + ":"
}

// namesFunction reports whether a value names a function, a version or an alias: as a resource of the template, or by its ARN.
func (p *plan) namesFunction(value any) bool {
	raw, _ := json.Marshal(value) // a pruned value is of JSON
	if bytes.Contains(raw, []byte(":lambda:")) {
		return true
	}
	ids, _ := p.references(value) // what is wrong with a skipped resource hurts nobody
	return slices.ContainsFunc(ids, func(id string) bool {
		return strings.HasPrefix(p.template.Resources.byName[id].Type, "AWS::Lambda::")
	})
}

// skipReason returns why resources of the type are skipped, or "" for a type that is not.
func skipReason(resourceType string) string {
	for _, s := range skips {
		if slices.Contains(s.types, resourceType) {
			return s.reason
		}
	}
	return ""
}

// refIsARN holds the skipped types whose Ref is an ARN. The Ref of the others is a name.
var refIsARN = map[string]bool{
	"AWS::IAM::ManagedPolicy": true,

	"AWS::CertificateManager::Certificate": true,
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
