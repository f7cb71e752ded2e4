package control_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// host stands in for the host of functions: the function Fn returns its payload, Failing fails.
type host struct{ invoked chan string }

const ofFunction = "arn:aws:lambda:eu-west-1:000000000000:function:"

func (h host) Invoke(ctx context.Context, arn string, payload []byte) ([]byte, error) {
	switch arn {
	case ofFunction + "Fn", ofFunction + "Fn:live":
		h.invoked <- string(payload)
		return payload, ctx.Err()
	case ofFunction + "Failing":
		return nil, &functions.FunctionError{Type: "Boom", Message: "it <failed>", LogTail: "last line"}
	case ofFunction + "Throttled":
		return nil, fmt.Errorf("invoke: %w", functions.ErrThrottled)
	}
	return nil, fmt.Errorf("%w: %s", functions.ErrNotFound, arn)
}

func (host) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::Lambda::Function": func(_ context.Context, r template.Resource) (template.Attributes, error) {
			return template.Attributes{Ref: r.LogicalID, GetAtt: map[string]string{"Arn": ofFunction + r.LogicalID}}, nil
		},
		"AWS::Lambda::Version": func(context.Context, template.Resource) (template.Attributes, error) {
			return template.Attributes{Ref: ofFunction + "Fn:7", GetAtt: map[string]string{"Version": "7"}}, nil
		},
		"AWS::Lambda::Alias": func(context.Context, template.Resource) (template.Attributes, error) {
			return template.Attributes{Ref: ofFunction + "Fn:live"}, nil
		},
	}
}

const withFunctions = `{"Resources": {
  "Fn": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": "provided.al2023", "Handler": "bootstrap", "Timeout": 30, "MemorySize": "256", "Role": "r", "Environment": {"Variables": {"A": "b"}}}},
  "Failing": {"Type": "AWS::Lambda::Function", "Properties": {}},
  "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Fn"}}},
  "Live": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Fn"}, "FunctionVersion": {"Fn::GetAtt": ["Version", "Version"]}, "Name": "live"}}
}}`

func TestInvoke(t *testing.T) {
	e := start(t)
	e.deploy(t, withFunctions)
	client := lambda.NewFromConfig(e.config)
	for _, name := range []string{"Fn", ofFunction + "Fn", ofFunction + "Fn:$LATEST", "000000000000:function:Fn"} {
		out, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{"a":1}`)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if string(out.Payload) != `{"a":1}` || out.StatusCode != http.StatusOK || out.FunctionError != nil || *out.ExecutedVersion != "$LATEST" {
			t.Errorf("%s: %+v", name, out)
		}
		<-e.host.invoked
	}
	for _, in := range []*lambda.InvokeInput{{FunctionName: aws.String("Fn"), Qualifier: aws.String("live")}, {FunctionName: aws.String(ofFunction + "Fn:live")}} {
		out, err := client.Invoke(t.Context(), in)
		if err != nil || *out.ExecutedVersion != "7" {
			t.Fatalf("the alias: %+v, %v", out, err)
		}
		<-e.host.invoked
	}
	live, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("Fn"), Qualifier: aws.String("live")})
	if err != nil || *live.FunctionArn != ofFunction+"Fn:live" || *live.Version != "7" {
		t.Errorf("the alias is described as %+v, %v", live, err)
	}
	if _, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("Fn"), Qualifier: aws.String("dead")}); err == nil {
		t.Error("an alias that is not there is described")
	}
	failed, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("Failing"), LogType: types.LogTypeTail})
	if err != nil {
		t.Fatal(err)
	}
	tail, _ := base64.StdEncoding.DecodeString(aws.ToString(failed.LogResult))
	if aws.ToString(failed.FunctionError) != "Unhandled" || failed.StatusCode != http.StatusOK || string(tail) != "last line" {
		t.Errorf("the failure: %+v", failed)
	}
	if want := `{"errorMessage":"it \u003cfailed\u003e","errorType":"Boom"}`; string(failed.Payload) != want {
		t.Errorf("the failure is %s, want %s", failed.Payload, want)
	}

	accepted, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("Fn"), InvocationType: types.InvocationTypeEvent})
	if err != nil || accepted.StatusCode != http.StatusAccepted {
		t.Fatalf("Event: %+v, %v", accepted, err)
	}
	select {
	case got := <-e.host.invoked:
		if got != "{}" {
			t.Errorf("it was invoked with %s", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("Event: the function was not invoked")
	}
	dry, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("Fn"), InvocationType: types.InvocationTypeDryRun})
	if err != nil || dry.StatusCode != http.StatusNoContent || len(e.host.invoked) > 0 {
		t.Errorf("DryRun: %+v, %v", dry, err)
	}

	once := func(o *lambda.Options) { o.RetryMaxAttempts = 1 }
	var missing *types.ResourceNotFoundException
	for _, kind := range []types.InvocationType{types.InvocationTypeRequestResponse, types.InvocationTypeEvent, types.InvocationTypeDryRun} {
		if _, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("Nothing"), InvocationType: kind}, once); !errors.As(err, &missing) {
			t.Errorf("%s of an unknown function: %v", kind, err)
		}
	}
	var throttled *types.TooManyRequestsException
	if _, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("Throttled")}, once); !errors.As(err, &throttled) {
		t.Errorf("a throttled one: %v", err)
	}
	var content *types.InvalidRequestContentException
	if _, err := client.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("Fn"), Payload: []byte("{")}, once); !errors.As(err, &content) {
		t.Errorf("a broken payload: %v", err)
	}
}

func TestFunctions(t *testing.T) {
	e := start(t)
	e.deploy(t, withFunctions)
	client := lambda.NewFromConfig(e.config)
	c, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(ofFunction + "Fn")})
	if err != nil {
		t.Fatal(err)
	}
	if *c.FunctionName != "Fn" || *c.FunctionArn != ofFunction+"Fn" || *c.Timeout != 30 || *c.MemorySize != 256 || c.State != types.StateActive || c.Environment.Variables["A"] != "b" {
		t.Errorf("got %+v", c)
	}
	f, err := client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("Failing")})
	if err != nil || *f.Configuration.Timeout != 3 || *f.Configuration.MemorySize != 128 {
		t.Errorf("the defaults: %+v, %v", f, err)
	}
	all, err := client.ListFunctions(t.Context(), nil)
	if err != nil || len(all.Functions) != 2 {
		t.Errorf("all: %+v, %v", all, err)
	}
	var missing *types.ResourceNotFoundException
	if _, err := client.GetFunction(t.Context(), &lambda.GetFunctionInput{FunctionName: aws.String("Nothing")}); !errors.As(err, &missing) {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestEventSourceMappings(t *testing.T) {
	e := start(t)
	d := e.deploy(t, `{"Resources": {
	  "Queue": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"EventSourceArn": "arn:aws:sqs:eu-west-1:000000000000:Orders", "FunctionName": "Fn", "BatchSize": 7,
	    "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": {"MaximumConcurrency": 4}, "FilterCriteria": {"Filters": [{"Pattern": "{\"body\":[\"x\"]}"}]}}},
	  "Other": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"EventSourceArn": "arn:aws:sqs:eu-west-1:000000000000:Others", "FunctionName": "Fn2"}}
	}}`)
	client := lambda.NewFromConfig(e.config)
	listed := func(in *lambda.ListEventSourceMappingsInput) (ids []string) {
		out, err := client.ListEventSourceMappings(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.EventSourceMappings {
			ids = append(ids, *m.UUID)
		}
		return ids
	}
	first, second := d.Resources[0].Ref, d.Resources[1].Ref
	for name, c := range map[string]struct {
		in   *lambda.ListEventSourceMappingsInput
		want []string
	}{
		"all":         {&lambda.ListEventSourceMappingsInput{}, []string{first, second}},
		"by function": {&lambda.ListEventSourceMappingsInput{FunctionName: aws.String("Fn2")}, []string{second}},
		"by source":   {&lambda.ListEventSourceMappingsInput{EventSourceArn: aws.String("arn:aws:sqs:eu-west-1:000000000000:Orders")}, []string{first}},
	} {
		if got := listed(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	m, err := client.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &first})
	if err != nil {
		t.Fatal(err)
	}
	if *m.State != "Enabled" || *m.BatchSize != 7 || *m.FunctionArn != ofFunction+"Fn" || *m.ScalingConfig.MaximumConcurrency != 4 ||
		len(m.FunctionResponseTypes) != 1 || *m.FilterCriteria.Filters[0].Pattern != `{"body":["x"]}` || m.MaximumRetryAttempts != nil {
		t.Errorf("got %+v", m)
	}
	for _, enabled := range []bool{false, true} {
		if _, err := client.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &first, Enabled: &enabled}); err != nil {
			t.Fatal(err)
		}
		m, err := client.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: &first})
		if err != nil || (*m.State == "Enabled") != enabled || m.LastModified.IsZero() {
			t.Errorf("enabled %t: %+v, %v", enabled, m, err)
		}
	}
	if _, err := client.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &first, BatchSize: aws.Int32(3)}); err == nil {
		t.Error("a change that has no effect was taken")
	}
	var missing *types.ResourceNotFoundException
	if _, err := client.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: aws.String("nothing")}); !errors.As(err, &missing) {
		t.Errorf("an unknown one: %v", err)
	}
}
