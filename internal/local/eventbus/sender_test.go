package eventbus

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

func TestBatchesFit(t *testing.T) {
	attributes := map[string]string{"ERROR_MESSAGE": strings.Repeat("e", 100_000)}
	cases := map[string]struct {
		messages int
		message  message
		want     []int
	}{
		"none":             {0, message{}, nil},
		"few":              {3, message{body: "x"}, []int{3}},
		"many":             {25, message{body: "x"}, []int{10, 10, 5}},
		"large":            {5, message{body: strings.Repeat("x", 300_000)}, []int{3, 2}},
		"maximum size":     {2, message{body: strings.Repeat("x", maxBatchBytes)}, []int{1, 1}},
		"attributes count": {5, message{body: strings.Repeat("x", 200_000), attributes: attributes}, []int{3, 2}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := &outgoing{}
			for range c.messages {
				l.waiting = append(l.waiting, &pendingSend{message: c.message})
			}
			var got []int
			for batch := l.nextBatch(); len(batch) > 0; batch = l.nextBatch() {
				got = append(got, len(batch))
			}
			expect(t, "batches", got, c.want)
		})
	}
}

func TestClassify(t *testing.T) {
	cases := map[string]struct {
		err   error
		code  string
		final bool
	}{
		"missing queue": {fmt.Errorf("send: %w", &types.QueueDoesNotExist{}), "NO_RESOURCE", true},
		"throttled":     {&smithy.GenericAPIError{Code: "RequestThrottled"}, "ERROR_FROM_TARGET", false},
		"no connection": {errors.New("connection refused"), "CONNECTION_FAILURE", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var f *failure
			if err := classify(c.err); !errors.As(err, &f) || f.code != c.code || f.final != c.final {
				t.Errorf("%v, want %s, final: %t", err, c.code, c.final)
			}
		})
	}
}

func TestOutcomeOfEachMessage(t *testing.T) {
	out := &sqs.SendMessageBatchOutput{
		Successful: []types.SendMessageBatchResultEntry{{Id: aws.String("0")}},
		Failed: []types.BatchResultErrorEntry{
			{Id: aws.String("1"), Code: aws.String("InvalidMessageContents"), SenderFault: true},
			{Id: aws.String("2"), Code: aws.String("InternalError")},
		},
	}
	if err := outcome(out, "0"); err != nil {
		t.Errorf("sent: %v", err)
	}
	for id, want := range map[string]struct {
		code  string
		final bool
	}{"1": {"SDK_CLIENT_ERROR", true}, "2": {"ERROR_FROM_TARGET", false}, "3": {"ERROR_FROM_TARGET", false}} {
		var f *failure
		if err := outcome(out, id); !errors.As(err, &f) || f.code != want.code || f.final != want.final {
			t.Errorf("message %s: %v, want %s, final: %t", id, err, want.code, want.final)
		}
	}
}
