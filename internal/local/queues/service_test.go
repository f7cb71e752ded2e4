package queues

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// verifyNoLeaks fails the test when it leaves a goroutine behind, except for connections of SDK clients.
func verifyNoLeaks(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		goleak.VerifyNone(t, ignore,
			goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
			goleak.IgnoreAnyFunction("github.com/outboxkit/transactional-outbox/internal/local/process.spawnForever"))
	})
}

func start(t *testing.T, dir string) *Service {
	t.Helper()
	s, err := Start(t.Context(), Config{Cloud: cloud.New("eu-west-1"), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// queue provisions a queue and returns its URL.
func queue(t *testing.T, s *Service, name string, properties map[string]any) string {
	t.Helper()
	attributes, err := s.provisionQueue(t.Context(), template.Resource{PhysicalName: name, Properties: properties})
	if err != nil {
		t.Fatal(err)
	}
	return attributes.Ref
}

func send(t *testing.T, s *Service, url, body string) {
	t.Helper()
	if _, err := s.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

// receive waits up to ten seconds for a message.
func receive(t *testing.T, s *Service, url string) types.Message {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		out, err := s.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &url, WaitTimeSeconds: 10,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) > 0 {
			return out.Messages[0]
		}
	}
	t.Fatal("no message came")
	return types.Message{}
}

func expectBody(t *testing.T, m types.Message, want string) {
	t.Helper()
	if *m.Body != want {
		t.Errorf("body %q, want %q", *m.Body, want)
	}
}

func TestNamesAndAttributes(t *testing.T) {
	verifyNoLeaks(t)
	s := start(t, t.TempDir())
	dlq := "arn:aws:sqs:eu-west-1:000000000000:Dead"
	queue(t, s, "Dead", nil)
	attributes, err := s.provisionQueue(t.Context(), template.Resource{PhysicalName: "Orders", Properties: map[string]any{
		"VisibilityTimeout": "60", "MessageRetentionPeriod": 1209600, "ReceiveMessageWaitTimeSeconds": 20, "DelaySeconds": 1,
		"RedrivePolicy": map[string]any{"deadLetterTargetArn": dlq, "maxReceiveCount": 5}, "KmsMasterKeyId": "alias/aws/sqs",
	}})
	if err != nil {
		t.Fatal(err)
	}
	url := s.cloud.Endpoint(cloud.SQS) + "/000000000000/Orders"
	if attributes.Ref != url || attributes.GetAtt["Arn"] != "arn:aws:sqs:eu-west-1:000000000000:Orders" || attributes.GetAtt["QueueName"] != "Orders" {
		t.Errorf("attributes %v", attributes)
	}
	found, err := s.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("Orders")})
	if err != nil || *found.QueueUrl != url {
		t.Errorf("URL %v %v, want %s", found, err, url)
	}
	expectAttributes(t, s, url, map[string]string{
		"VisibilityTimeout": "60", "MessageRetentionPeriod": "1209600", "ReceiveMessageWaitTimeSeconds": "20", "DelaySeconds": "1",
		"RedrivePolicy": `{"deadLetterTargetArn":"` + dlq + `","maxReceiveCount":5}`,
	})
	// A template that no longer sets them restores the defaults.
	queue(t, s, "Orders", nil)
	expectAttributes(t, s, url, map[string]string{
		"VisibilityTimeout": "30", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0", "DelaySeconds": "0", "RedrivePolicy": "",
	})
}

func expectAttributes(t *testing.T, s *Service, url string, want map[string]string) {
	t.Helper()
	out, err := s.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if out.Attributes[name] != value {
			t.Errorf("%s is %q, want %q", name, out.Attributes[name], value)
		}
	}
}

func TestQueueRefused(t *testing.T) {
	cases := map[string]struct {
		properties map[string]any
		names      string
	}{
		"unknown property":   {map[string]any{"Color": "red"}, "Color"},
		"visibility":         {map[string]any{"VisibilityTimeout": 43201}, "43201"},
		"max receive count":  {map[string]any{"RedrivePolicy": map[string]any{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:D", "maxReceiveCount": 0}}, "maxReceiveCount"},
		"no dead-letter ARN": {map[string]any{"RedrivePolicy": map[string]any{"maxReceiveCount": 1}}, "deadLetterTargetArn"},
		"mixed types":        {map[string]any{"FifoQueue": true, "RedrivePolicy": map[string]any{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:D", "maxReceiveCount": 1}}, "same type"},
		"FIFO name":          {map[string]any{"FifoQueue": true, "QueueName": "Orders"}, ".fifo"},
		"standard name":      {map[string]any{"QueueName": "Orders.fifo"}, ".fifo"},
		"dedup scope":        {map[string]any{"FifoQueue": true, "DeduplicationScope": "messageGroup"}, "messageGroup"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := service().provisionQueue(t.Context(), template.Resource{PhysicalName: "Q", Properties: c.properties})
			if err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("error %v, want one that contains %s", err, c.names)
			}
		})
	}
}

func TestMessagesSurviveKill(t *testing.T) {
	verifyNoLeaks(t)
	dir := t.TempDir()
	s := start(t, dir)
	url := queue(t, s, "Orders", map[string]any{"VisibilityTimeout": 2})
	send(t, s, url, "in flight")
	expectBody(t, receive(t, s, url), "in flight")
	taken := time.Now()
	send(t, s, url, "waiting")
	s.process.Kill() // SIGKILL

	s = start(t, dir)
	url = queue(t, s, "Orders", map[string]any{"VisibilityTimeout": 2})
	if found, err := s.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("Orders")}); err != nil || *found.QueueUrl != url {
		t.Errorf("URL %v %v after the restart, want %s", found, err, url)
	}
	received := map[string]string{}
	for range 2 {
		m := receive(t, s, url)
		received[*m.Body] = m.Attributes["ApproximateReceiveCount"]
		if waited := time.Since(taken); *m.Body == "in flight" && waited < 1900*time.Millisecond {
			t.Errorf("the message in flight came back after %v, its visibility timeout is 2s", waited)
		}
		if _, err := s.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	if received["waiting"] != "1" || received["in flight"] != "2" {
		t.Errorf("received %v, want waiting for the first time and in flight for the second", received)
	}
}

func TestDeletedStaysDeleted(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	url := queue(t, s, "Orders", nil)
	send(t, s, url, "done")
	if _, err := s.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: receive(t, s, url).ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	s.process.Kill()
	s = start(t, dir)
	url = queue(t, s, "Orders", nil)
	expectAttributes(t, s, url, map[string]string{"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"})
}

// TestRedrive checks that a message which was moved to the dead-letter queue is there once, and nowhere else, also
// after kill -9.
func TestRedrive(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	dead := queue(t, s, "Dead", nil)
	properties := map[string]any{"VisibilityTimeout": 0, "RedrivePolicy": map[string]any{
		"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:Dead", "maxReceiveCount": 2,
	}}
	url := queue(t, s, "Orders", properties)
	send(t, s, url, "poison")
	for want := 1; want <= 2; want++ {
		if got := receive(t, s, url).Attributes["ApproximateReceiveCount"]; got != fmt.Sprint(want) {
			t.Errorf("received %s times, want %d", got, want)
		}
	}
	third, err := s.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url})
	if err != nil || len(third.Messages) != 0 {
		t.Fatalf("third receive: %v %v, want nothing", third, err)
	}
	s.process.Kill()
	s = start(t, dir)
	_, path, _ := strings.Cut(dead, "/"+cloud.Account+"/") // the port has changed
	dead = s.cloud.Endpoint(cloud.SQS) + "/" + cloud.Account + "/" + path
	url = queue(t, s, "Orders", properties)
	expectBody(t, receive(t, s, dead), "poison")
	expectAttributes(t, s, url, map[string]string{"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"})
}

func TestAnyCharacter(t *testing.T) {
	s := start(t, t.TempDir())
	url := queue(t, s, "Orders", nil)
	for _, body := range []string{"😀 𝄞", "\t\n\r \"'\\$#", "Ωмега 漢字 \uFFFD", "</script>&amp;"} {
		send(t, s, url, body)
		m := receive(t, s, url)
		expectBody(t, m, body)
		if _, err := s.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("\x01")})
	if err == nil || !strings.Contains(err.Error(), "InvalidMessageContents") {
		t.Errorf("error %v, want InvalidMessageContents", err)
	}
}

func TestVisibilityZeroMakesTheMessageVisible(t *testing.T) {
	s := start(t, t.TempDir())
	url := queue(t, s, "Orders", nil)
	send(t, s, url, "again")
	_, err := s.client.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: receive(t, s, url).ReceiptHandle, VisibilityTimeout: 0})
	if err != nil {
		t.Fatal(err)
	}
	if again := receive(t, s, url); again.Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("received %s times, want 2", again.Attributes["ApproximateReceiveCount"])
	}
}

// TestAbandonedLongPollTakesNothing checks that a poll whose client is gone does not hold a message for a visibility
// timeout.
func TestAbandonedLongPollTakesNothing(t *testing.T) {
	s := start(t, t.TempDir())
	url := queue(t, s, "Orders", nil)
	request, err := http.NewRequest(http.MethodPost, s.cloud.Endpoint(cloud.SQS), strings.NewReader(`{"QueueUrl":"`+url+`","WaitTimeSeconds":20}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AmazonSQS.ReceiveMessage")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.cloud.Endpoint(cloud.SQS), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	// The response to a later request shows that fauxqs has read the poll.
	expectAttributes(t, s, url, nil)
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	expectAttributes(t, s, url, nil)
	send(t, s, url, "mine")
	expectBody(t, receive(t, s, url), "mine")
}

func TestFIFO(t *testing.T) {
	s := start(t, t.TempDir())
	attributes, err := s.provisionQueue(t.Context(), template.Resource{PhysicalName: "Ordered", Properties: map[string]any{"FifoQueue": true, "ContentBasedDeduplication": true}})
	if err != nil {
		t.Fatal(err)
	}
	url := attributes.Ref
	if !strings.HasSuffix(url, "/Ordered.fifo") {
		t.Errorf("URL %s, want the name to end in .fifo", url)
	}
	for _, body := range []string{"a", "b", "b", "c"} {
		if _, err := s.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body, MessageGroupId: aws.String("g")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a", "b", "c"} {
		m := receive(t, s, url)
		expectBody(t, m, want)
		if _, err := s.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	s := start(t, t.TempDir())
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.cloud.Endpoint(cloud.SQS), "http://"))
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, address := range addresses {
		ip := address.(*net.IPNet).IP
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		tried++
		if conn, err := net.DialTimeout("tcp", net.JoinHostPort(ip.String(), port), time.Second); err == nil {
			conn.Close()
			t.Errorf("listens on %s too", ip)
		}
	}
	if tried == 0 {
		t.Skip("this machine has loopback only")
	}
}

func TestPortTaken(t *testing.T) {
	verifyNoLeaks(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	_, err = Start(t.Context(), Config{Cloud: cloud.New("eu-west-1"), Dir: t.TempDir(), Port: port})
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), fmt.Sprint(port)) || !strings.Contains(err.Error(), "--port") {
		t.Errorf("error %v, want one that names the port and the flag", err)
	}
}

func TestRunReportsAnEarlyEnd(t *testing.T) {
	var log bytes.Buffer
	s, err := Start(t.Context(), Config{Cloud: cloud.New("eu-west-1"), Dir: t.TempDir(), Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	s.process.Kill()
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "fauxqs ended") {
		t.Errorf("error %v, want that fauxqs ended", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := start(t, t.TempDir()).Run(ctx); err != nil {
		t.Errorf("error %v after a stop, want none", err)
	}
}
