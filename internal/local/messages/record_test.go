package messages

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func TestPayloadIsAsOnAWS(t *testing.T) {
	message := types.Message{
		MessageId: aws.String("059f36b4-87a3-44ab-83d2-661975830a7d"), ReceiptHandle: aws.String("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a"),
		Body: aws.String(`{"note":"<a> & \"b\" 😀"}`), MD5OfBody: aws.String("e4e68fb7bd0e697a0ae8f1bb342846b3"),
		MD5OfMessageAttributes: aws.String("00484c68acc3c5e8b2f2a2a1f8e0cd1e"),
		Attributes: map[string]string{
			"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183", "SenderId": "000000000000",
			"ApproximateFirstReceiveTimestamp": "1545082649185",
		},
		MessageAttributes: map[string]types.MessageAttributeValue{
			"RULE_ARN": {DataType: aws.String("String"), StringValue: aws.String("arn:rule")},
			"blob":     {DataType: aws.String("Binary"), BinaryValue: []byte("bytes")},
		},
	}
	plain := types.Message{MessageId: aws.String("2"), ReceiptHandle: aws.String("r2"), Body: aws.String("plain"), MD5OfBody: aws.String("m2"), Attributes: map[string]string{}}
	var batch Batch
	for _, m := range []types.Message{message, plain} {
		batch.add(m, encode(m, "arn:aws:sqs:eu-west-1:000000000000:Orders", "eu-west-1"))
	}
	golden, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Records []any }
	if err := json.Unmarshal(golden, &want); err != nil {
		t.Fatal(err)
	}
	for i, record := range batch.Records {
		if got := decoded(t, record); !reflect.DeepEqual(got, want.Records[i]) {
			t.Errorf("record %d: %v, want %v", i, got, want.Records[i])
		}
	}
}

func decoded(t *testing.T, raw []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEventIDs(t *testing.T) {
	var messages []types.Message
	for _, body := range []string{`{"detail":{"id":"e1"}}`, `{"detail":{"id":7}}`, `plain`, `{"detail":"x"}`, `{"detail":{"id":"e2"}}`} {
		messages = append(messages, types.Message{Body: aws.String(body)})
	}
	if got := EventIDs(messages); !slices.Equal(got, []string{"e1", "e2"}) {
		t.Errorf("ids %v", got)
	}
}
