package template_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

type decoded struct {
	Name    string
	Count   template.Int
	Enabled *template.Bool
	Kind    kind `json:"Type"`
	Tags    map[string]string
	Rules   []struct{ Pattern string }
	Schema  json.RawMessage
	Skipped template.Ignored
}

type kind string

// TestScalarsAreTakenForOneAnother checks what CloudFormation does with primitive types: the value of a string may be
// written as a number or boolean, and the other way round.
// Source: CloudFormation's own schemas are checked after this conversion, and CDK apps rely on it ("Timeout": "30").
func TestScalarsAreTakenForOneAnother(t *testing.T) {
	r := resource(t, `{"Name": 9007199254740993, "Count": "12", "Enabled": "false", "Type": 1.50, "Tags": {"a": true}, "Rules": [{"Pattern": 7}], "Schema": {"n": 1}, "Skipped": 1}`)
	var got decoded
	if err := r.Decode(&got); err != nil {
		t.Fatal(err)
	}
	no := template.Bool(false)
	want := decoded{"9007199254740993", 12, &no, "1.50", map[string]string{"a": "true"}, []struct{ Pattern string }{{"7"}}, json.RawMessage(`{"n":1}`), 1.0}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDecodeReportsEverythingThatIsWrong(t *testing.T) {
	r := resource(t, `{"Name": ["x"], "name": "", "Count": "many", "Tags": [], "Rules": [{"Pattern": "p", "Event": 1}], "More": 1}`)
	var got decoded
	err := r.Decode(&got)
	want := strings.Join([]string{
		"property Count: the value must be a whole number, got \"many\"",
		"property Name must be a string, got [\"x\"]",
		"property Tags must be an object, got []",
		"property More is not supported by the local run",
		"property Rules.0.Event is not supported by the local run",
		"property name is not supported by the local run",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

func resource(t *testing.T, properties string) template.Resource {
	t.Helper()
	var r template.Resource
	if err := json.Unmarshal([]byte(properties), &r.Properties); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(properties))
	decoder.UseNumber()
	if err := decoder.Decode(&r.Properties); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAllPropertyErrorsOfATemplateAtOnce checks that one start shows all of them, that the reason why a resource cannot
// run here comes before the fields that are not known, and that what needs a failed resource is named and no more.
func TestAllPropertyErrorsOfATemplateAtOnce(t *testing.T) {
	provisions := map[string]template.Provision{
		"Pipe": func(_ context.Context, r template.Resource) (template.Attributes, error) {
			var p struct {
				Source     string
				Parameters struct{ DynamoDB template.Ignored }
			}
			if err := r.Decode(&p); err != nil {
				return template.Attributes{}, err
			}
			if !strings.Contains(p.Source, "/stream/") {
				return template.Attributes{}, errors.Join(errors.New("Source must be a DynamoDB stream"), errors.New("second reason"))
			}
			return template.Attributes{Ref: "pipe"}, nil
		},
	}
	_, err := stack(t, `{"Resources": {
		"Queue": {"Type": "Pipe", "Properties": {"Source": "arn:aws:sqs:x", "Parameters": {"SqsQueueParameters": {}}}},
		"Fine": {"Type": "Pipe", "Properties": {"Source": "x/stream/y"}},
		"Field": {"Type": "Pipe", "Properties": {"Source": "x/stream/y", "Speed": 3}},
		"Checked": {"Type": "Pipe", "Properties": {"Source": {"Ref": "Field"}}},
		"Waits": {"Type": "Pipe", "Properties": {"Source": {"Ref": "Queue"}}},
		"Longer": {"Type": "Pipe", "DependsOn": "Waits"}
	}}`).Provision(t.Context(), environment, provisions)
	want := strings.Join([]string{
		"Queue (Pipe): Source must be a DynamoDB stream",
		"Queue (Pipe): second reason",
		"Queue (Pipe): property Parameters.SqsQueueParameters is not supported by the local run",
		"Field (Pipe): property Speed is not supported by the local run",
		"Checked (Pipe): Source must be a DynamoDB stream",
		"Checked (Pipe): second reason",
		"not checked yet, because they need one of these: Waits, Longer",
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

// TestRefusals goes through the kinds that are skipped, and checks that what carries messages or logs to something that
// would wait for them is refused.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ resource, want string }{
		"a value of a parameter":    {`"AWS::Logs::AccountPolicy", "Properties": {"PolicyType": {"Ref": "P"}}`, ""},
		"a log group":               {`"AWS::Logs::LogGroup"`, ""},
		"a log subscription filter": {`"AWS::Logs::SubscriptionFilter", "Properties": {"FilterPattern": ""}`, "A (AWS::Logs::SubscriptionFilter): logs are printed and go nowhere else"},
		"logs of the account":       {`"AWS::Logs::AccountPolicy", "Properties": {"PolicyType": "SUBSCRIPTION_FILTER_POLICY"}`, "A (AWS::Logs::AccountPolicy): PolicyType SUBSCRIPTION_FILTER_POLICY: logs are printed"},
		"a metric of logs":          {`"AWS::Logs::MetricFilter"`, "A (AWS::Logs::MetricFilter): logs are printed and not searched"},
		"a delivery of logs":        {`"AWS::Logs::DeliverySource"`, "A (AWS::Logs::DeliverySource): logs are printed and go nowhere else"},
		"a destination of logs":     {`"AWS::Logs::Destination"`, "A (AWS::Logs::Destination): logs are printed and go nowhere else"},
		"a stream of metrics":       {`"AWS::CloudWatch::MetricStream"`, "A (AWS::CloudWatch::MetricStream): metrics stay here"},
		"a key of a user":           {`"AWS::IAM::AccessKey"`, "A (AWS::IAM::AccessKey): users do not exist here"},
		"a nested stack":            {`"AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://example.com/t.json"}`, "A (AWS::CloudFormation::Stack): nested stacks do not run here: make it a stack of the app, which --stack adds to the run"},
		"a layer":                   {`"AWS::Lambda::LayerVersion", "Properties": {"Content": {}}`, "A (AWS::Lambda::LayerVersion): a layer's files would have to lie in /opt"},
		"a composite alarm":         {`"AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": "TRUE", "AlarmActions": ["arn:aws:sns:eu-west-1:1:T"]}`, ""},
		"one that calls a function": {
			`"AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmActions": [{"Ref": "P"}, {"Fn::GetAtt": ["F", "Arn"]}], "OKActions": ["arn:aws:lambda:eu-west-1:1:function:f"],
				"InsufficientDataActions": [{"Fn::Sub": "${F.Arn}"}]}}, "F": {"Type": "AWS::Lambda::Function"`,
			"A (AWS::CloudWatch::CompositeAlarm): AlarmActions: alarms notify topics only here, so the function would never be called: leave it out of the stack that runs here\n" +
				"A (AWS::CloudWatch::CompositeAlarm): OKActions: alarms notify topics only here, so the function would never be called: leave it out of the stack that runs here\n" +
				"A (AWS::CloudWatch::CompositeAlarm): InsufficientDataActions: alarms notify topics only here",
		},
		"a type that is not known": {`"AWS::Logs::Tomorrow"`, "A (AWS::Logs::Tomorrow): the local run does not support this resource type"},
		"masked logs":              {`"AWS::Logs::AccountPolicy", "Properties": {"PolicyType": "DATA_PROTECTION_POLICY"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := stack(t, `{"Parameters": {"P": {"Type": "String", "Default": "FIELD_INDEX_POLICY"}}, "Resources": {"A": {"Type": `+c.resource+`}}}`).
				Provision(t.Context(), environment, nil)
			if c.want == "" && (err != nil || len(d.Skipped) != 1) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}
