package queues

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard/guardtest"
)

// A page in the browser reaches no queue: not by SQS, and not by the SNS that fauxqs has beside it.
func TestPagesAreRefused(t *testing.T) {
	s := start(t, t.TempDir())
	endpoint := s.cloud.Endpoint(cloud.SQS)
	address := queue(t, s, "Orders", nil)
	good := func() *http.Request {
		return guardtest.Request(t, http.MethodPost, endpoint, `{}`, "Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", "AmazonSQS.ListQueues")
	}
	guardtest.Closed(t, good)
	guardtest.NoForms(t, good)
	for name, form := range map[string]url.Values{
		"SQS":          {"Action": {"SendMessage"}, "QueueUrl": {address}, "MessageBody": {"evil"}},
		"SNS topic":    {"Action": {"CreateTopic"}, "Name": {"Evil"}},
		"subscription": {"Action": {"Subscribe"}, "Protocol": {"sqs"}, "TopicArn": {"arn:aws:sns:us-east-1:000000000000:Evil"}, "Endpoint": {"arn:aws:sqs:us-east-1:000000000000:Orders"}},
		"SNS message":  {"Action": {"Publish"}, "TopicArn": {"arn:aws:sns:us-east-1:000000000000:Evil"}, "Message": {"evil"}},
	} {
		r := guardtest.Request(t, http.MethodPost, endpoint+"/", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", name, response.StatusCode)
		}
	}
	other := guardtest.Request(t, http.MethodPost, endpoint, `{}`, "Content-Type", "application/x-amz-json-1.0", "X-Amz-Target", "AmazonSNS.ListTopics")
	response, err := http.DefaultClient.Do(other)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("another service's operation: status %d", response.StatusCode)
	}
	expectAttributes(t, s, address, map[string]string{"ApproximateNumberOfMessages": "0"})
}

func TestDepths(t *testing.T) {
	s := start(t, t.TempDir())
	standard, fifo := queue(t, s, "Orders", nil), queue(t, s, "Ordered", map[string]any{"FifoQueue": true, "ContentBasedDeduplication": true})
	queue(t, s, "Empty", nil)
	before := time.Now().Add(-time.Second)
	send(t, s, standard, "a")
	send(t, s, standard, "b")
	receive(t, s, standard)
	if _, err := s.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &fifo, MessageBody: aws.String("c"), MessageGroupId: aws.String("g")}); err != nil {
		t.Fatal(err)
	}
	depths, err := s.Depths(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Depth{}
	for _, d := range depths {
		if d.Visible+d.NotVisible > 0 && (d.OldestSent.Before(before) || d.OldestSent.After(time.Now())) {
			t.Errorf("the oldest message of %s was sent at %s", d.Name, d.OldestSent)
		}
		d.OldestSent = time.Time{}
		got[d.Name] = d
	}
	for _, want := range []Depth{{Name: "Orders", Visible: 1, NotVisible: 1}, {Name: "Ordered.fifo", Visible: 1}, {Name: "Empty"}} {
		if got[want.Name] != want {
			t.Errorf("got %+v, want %+v", got[want.Name], want)
		}
	}
}
