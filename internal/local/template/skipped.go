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
	{"AWS::IAM::*", "only roles call anything locally, and with --iam=off they may do everything"},
	{"AWS::Lambda::Permission", "permissions are not enforced with --iam=off"},
	{"AWS::KMS::*", "nothing is encrypted locally"},
	{"AWS::Logs::*", "logs are printed"},
	{"AWS::XRay::*", "traces are not collected locally"},
	{"AWS::CloudWatch::*", "there are no alarms and dashboards locally"},
	{"AWS::SNS::Topic", "receives alarms, and there are none locally"},
	{"AWS::SNS::Subscription", "receives alarms, and there are none locally"},
	{"AWS::SNS::TopicPolicy", "receives alarms, and there are none locally"},
	{"AWS::Events::Archive", "events are not archived locally"},
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
		if r.Type == "AWS::Logs::LogGroup" {
			return e.arn("logs", "log-group:"+r.PhysicalName+":*")
		}
		parts := strings.SplitN(strings.ToLower(r.Type), "::", 3) // aws, iam, role
		return e.arn(parts[1], parts[2]+"/"+r.PhysicalName)
	}
	return r.PhysicalName + "-" + strings.ToLower(attribute)
}
