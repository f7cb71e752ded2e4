package async

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	functionARN = "arn:aws:lambda:eu-west-1:000000000000:function:mail"
	queueARN    = "arn:aws:sqs:eu-west-1:000000000000:Failures"
)

// TestRecords compares with the example of AWS's page.
// Source: Lambda developer guide, invocation-async-retain-records, "Example invocation record".
func TestRecords(t *testing.T) {
	failed := &functions.FunctionError{Type: "Boom", Message: "out of order"}
	for name, c := range map[string]struct {
		invocation Invocation
		want       string // without the id and the time
	}{
		"failed": {
			Invocation{FunctionARN: functionARN, Payload: json.RawMessage(`{"a":1}`), Condition: RetriesExhausted, Attempts: 3, Err: failed},
			`{"version":"1.0","requestContext":{"functionArn":"` + functionARN + `:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"a":1},` +
				`"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorMessage":"out of order","errorType":"Boom"}}`,
		},
		"handled": {
			Invocation{FunctionARN: functionARN, Payload: json.RawMessage(`{}`), Condition: Success, Attempts: 1, Response: json.RawMessage(`"done"`)},
			`{"version":"1.0","requestContext":{"functionArn":"` + functionARN + `:$LATEST","condition":"Success","approximateInvokeCount":1},"requestPayload":{},` +
				`"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":"done"}`,
		},
		"of an alias": {
			Invocation{FunctionARN: functionARN + ":live", Payload: json.RawMessage(`{}`), Condition: EventAgeExceeded},
			`{"version":"1.0","requestContext":{"functionArn":"` + functionARN + `:live","condition":"EventAgeExceeded","approximateInvokeCount":0},"requestPayload":{}}`,
		},
		"never invoked": {
			Invocation{FunctionARN: functionARN, Payload: json.RawMessage(`{}`), Condition: EventAgeExceeded},
			`{"version":"1.0","requestContext":{"functionArn":"` + functionARN + `:$LATEST","condition":"EventAgeExceeded","approximateInvokeCount":0},"requestPayload":{}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			messages := Settings{OnSuccess: queueARN, OnFailure: queueARN}.Messages(c.invocation)
			if len(messages) != 1 || messages[0].Queue != queueARN || messages[0].RequestID != "" {
				t.Fatalf("messages are %+v", messages)
			}
			var got, want map[string]any
			for text, into := range map[string]*map[string]any{messages[0].Body: &got, c.want: &want} {
				if err := json.Unmarshal([]byte(text), into); err != nil {
					t.Fatal(err)
				}
			}
			context := got["requestContext"].(map[string]any)
			at, err := time.Parse(time.RFC3339, got["timestamp"].(string))
			if len(context["requestId"].(string)) != 36 || err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("the record has the id %v and the time %v", context["requestId"], got["timestamp"])
			}
			delete(context, "requestId")
			delete(got, "timestamp")
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(want)
			if string(a) != string(b) {
				t.Errorf("the record is\n%s, want\n%s", a, b)
			}
		})
	}
}

// The dead-letter queue gets the event as it is, and the first kilobyte of the error.
func TestDeadLetterMessage(t *testing.T) {
	i := Invocation{FunctionARN: functionARN, Payload: json.RawMessage(`{"a":1}`), Condition: RetriesExhausted, Attempts: 3, Err: errors.New(strings.Repeat("é", 1000))}
	messages := Settings{DeadLetterQueue: queueARN}.Messages(i)
	if len(messages) != 1 {
		t.Fatalf("messages are %+v", messages)
	}
	if m := messages[0]; m.Body != `{"a":1}` || len(m.RequestID) != 36 || m.ErrorCode != "200" || m.ErrorMessage != strings.Repeat("é", 512) {
		t.Errorf("the message is %+v", m)
	}
	if i.Condition = Success; len(Settings{DeadLetterQueue: queueARN}.Messages(i)) != 0 {
		t.Error("the dead-letter queue gets what was handled")
	}
}

func TestSettings(t *testing.T) {
	defaults := Settings{Retries: 2, MaxAge: 6 * time.Hour}
	for name, c := range map[string]struct {
		properties map[string]any
		want       Settings
		err        string
	}{
		"nothing is set": {nil, defaults, ""},
		"by ARN":         {map[string]any{"FunctionName": functionARN, "MaximumRetryAttempts": "1"}, Settings{Retries: 1, MaxAge: 6 * time.Hour}, ""},
		"a destination": {
			map[string]any{"DestinationConfig": map[string]any{"OnFailure": map[string]any{"Destination": queueARN}}}, Settings{Retries: 2, MaxAge: 6 * time.Hour, OnFailure: queueARN}, "",
		},
		"too many retries": {map[string]any{"MaximumRetryAttempts": 3}, defaults, "MaximumRetryAttempts must be a whole number from 0 to 2, got 3"},
		"too young":        {map[string]any{"MaximumEventAgeInSeconds": 59}, defaults, "MaximumEventAgeInSeconds must be a whole number from 60 to 21600, got 59"},
		"too old":          {map[string]any{"MaximumEventAgeInSeconds": 21601}, defaults, "MaximumEventAgeInSeconds must be a whole number from 60 to 21600, got 21601"},
		"of an alias":      {map[string]any{"Qualifier": "live", "MaximumRetryAttempts": 0}, defaults, ""},
		"of nothing":       {map[string]any{"Qualifier": ""}, defaults, "Qualifier must be a version, an alias or $LATEST, got none"},
		"a topic and a FIFO queue": {
			map[string]any{"DestinationConfig": map[string]any{"OnSuccess": map[string]any{"Destination": "arn:aws:sns:eu-west-1:000000000000:T"}, "OnFailure": map[string]any{"Destination": queueARN + ".fifo"}}},
			defaults,
			"DestinationConfig.OnSuccess.Destination must be the ARN of a standard SQS queue in the local run, got \"arn:aws:sns:eu-west-1:000000000000:T\"\n" +
				"DestinationConfig.OnFailure.Destination must be the ARN of a standard SQS queue in the local run, got \"" + queueARN + ".fifo\"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var f Functions
			all := map[string]any{"FunctionName": "mail", "Qualifier": "$LATEST"}
			maps.Copy(all, c.properties)
			_, err := f.Provision(t.Context(), template.Resource{Properties: all})
			if c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
				t.Errorf("error is %v, want %q", err, c.err)
			}
			if name == "of an alias" && f.Of(functionARN+":live").Retries != 0 {
				t.Errorf("settings of the alias are %+v", f.Of(functionARN+":live"))
			}
			if got := f.Of(functionARN); got != c.want {
				t.Errorf("settings are %+v, want %+v", got, c.want)
			}
		})
	}
}
