package template

import "strings"

// A skip is a kind of resource that the local run does not need.
type skip struct {
	types  string // a type, or all types of a service: "AWS::IAM::*"
	reason string
}

// skips lists all of them. Any other resource type without a Provision is an error: to ignore it silently would make a
// stack look as if it worked.
var skips = []skip{
	{"AWS::CDK::Metadata", "tells AWS which constructs are used"},
	{"AWS::IAM::*", "permissions are not enforced locally"},
	{"AWS::Lambda::Permission", "permissions are not enforced locally"},
	{"AWS::KMS::*", "nothing is encrypted locally"},
	{"AWS::Logs::*", "logs are printed"},
	{"AWS::XRay::*", "traces are not collected locally"},
	{"AWS::CloudWatch::Dashboard", "dashboards are drawn only by AWS"},
	{"AWS::CloudWatch::CompositeAlarm", "the local run evaluates alarms over one metric"},
	{"AWS::CloudWatch::*", "the local run has metrics and alarms over one metric, nothing else of CloudWatch"},
	{"AWS::SNS::Topic", "receives alarms, which notify nobody here"},
	{"AWS::SNS::Subscription", "receives alarms, which notify nobody here"},
	{"AWS::SNS::TopicPolicy", "receives alarms, which notify nobody here"},
	{"AWS::ApiGateway::Account", "lets API Gateway write logs, which are printed"},
	{"AWS::ApiGateway::ApiKey", "API authorization is not enforced locally"},
	{"AWS::ApiGateway::Authorizer", "API authorization is not enforced locally"},
	{"AWS::ApiGateway::UsagePlan", "throttling is not enforced locally"},
	{"AWS::ApiGateway::UsagePlanKey", "throttling is not enforced locally"},
	{"AWS::ApplicationAutoScaling::*", "capacity is not limited locally"},
	{"AWS::Backup::*", "backups are made only in AWS"},
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
		parts := strings.SplitN(strings.ToLower(r.Type), "::", 3) // aws, iam, role
		return e.arn(parts[1], parts[2]+"/"+r.PhysicalName)
	}
	return r.PhysicalName + "-" + strings.ToLower(attribute)
}
