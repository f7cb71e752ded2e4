package control_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

type letIn struct{}

func (letIn) Allows(string, string, string) bool { return true }

// startTopics starts an endpoint with a standard and a FIFO topic, and three subscriptions.
func startTopics(t *testing.T) *endpoint {
	t.Helper()
	var service *topics.Service
	e := startWith(t, func(c *cloud.Cloud, config *control.Config) {
		db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		if service, err = topics.New(topics.Config{Cloud: c, DB: db, Policies: letIn{}, Sink: func(hop.Hop) {}}); err != nil {
			t.Fatal(err)
		}
		config.Topics = service
	})
	e.parts = append(e.parts, service)
	type object = map[string]any
	for _, r := range []struct {
		kind, id   string
		properties object
	}{
		{"AWS::SNS::Topic", "Orders", object{"TopicName": "orders", "DisplayName": "a & b", "Subscription": []any{
			object{"Protocol": "email", "Endpoint": "ops@example.com"}, object{"Protocol": "sqs", "Endpoint": "arn:aws:sqs:eu-west-1:000000000000:q"},
		}}},
		{"AWS::SNS::Topic", "Fifo", object{"TopicName": "fifo.fifo", "FifoTopic": true, "ContentBasedDeduplication": true}},
		{"AWS::SNS::Subscription", "Filtered", object{
			"TopicArn": ordersARN, "Protocol": "sqs", "Endpoint": "arn:aws:sqs:eu-west-1:000000000000:f", "RawMessageDelivery": true,
			"FilterPolicy": object{"a": []any{"b"}}, "RedrivePolicy": object{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:000000000000:d"},
		}},
	} {
		if _, err := e.provision(t, r.kind, r.id, r.properties); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

const (
	ordersARN = "arn:aws:sns:eu-west-1:000000000000:orders"
	fifoARN   = "arn:aws:sns:eu-west-1:000000000000:fifo.fifo"
)

// ask sends a call of SNS as an SDK writes it, and returns the status and the texts of the answer's elements, in their order.
func ask(t *testing.T, e *endpoint, action string, parameters ...string) (status int, texts []string) {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-03-31"}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	r := e.request(t, http.MethodPost, "/", "sns", form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	status, body := send(t, r)
	for decoder := xml.NewDecoder(strings.NewReader(body)); ; {
		token, err := decoder.Token()
		if token == nil {
			break
		}
		if err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" {
			texts = append(texts, string(text))
		}
	}
	return status, texts
}

func TestSNS(t *testing.T) {
	e := startTopics(t)
	_, listed := ask(t, e, "ListSubscriptionsByTopic", "TopicArn", ordersARN)
	filtered := listed[10] // the third's ARN
	for name, c := range map[string]struct {
		action     string
		parameters []string
		status     int
		want       []string // texts of the answer
	}{
		"topics":                   {"ListTopics", nil, 200, []string{ordersARN, fifoARN}},
		"subscriptions":            {"ListSubscriptions", nil, 200, []string{"PendingConfirmation", "email", "ops@example.com", filtered}},
		"subscriptions of one":     {"ListSubscriptionsByTopic", []string{"TopicArn", ordersARN}, 200, []string{"sqs", "arn:aws:sqs:eu-west-1:000000000000:q"}},
		"subscriptions of none":    {"ListSubscriptionsByTopic", []string{"TopicArn", "x"}, 404, []string{"NotFound", "Topic does not exist"}},
		"attributes":               {"GetTopicAttributes", []string{"TopicArn", ordersARN}, 200, []string{"DisplayName", "a & b", "SubscriptionsConfirmed", "2", "SubscriptionsPending", "1"}},
		"attributes of a FIFO":     {"GetTopicAttributes", []string{"TopicArn", fifoARN}, 200, []string{"ContentBasedDeduplication", "true", "FifoTopic", "true"}},
		"attributes of none":       {"GetTopicAttributes", []string{"TopicArn", "x"}, 404, []string{"NotFound"}},
		"of a subscription":        {"GetSubscriptionAttributes", []string{"SubscriptionArn", filtered}, 200, []string{"FilterPolicy", `{"a":["b"]}`, "RawMessageDelivery", "true", "RedrivePolicy", `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:d"}`}},
		"of no subscription":       {"GetSubscriptionAttributes", []string{"SubscriptionArn", "x"}, 404, []string{"NotFound", "Subscription does not exist"}},
		"a message for a target":   {"Publish", []string{"TargetArn", ordersARN, "Message", "x"}, 200, nil},
		"a message of a FIFO":      {"Publish", []string{"TopicArn", fifoARN, "Message", "x", "MessageGroupId", "g"}, 200, nil},
		"a message for nobody":     {"Publish", []string{"TopicArn", ordersARN + "x", "Message", "x"}, 404, []string{"NotFound"}},
		"a message for a phone":    {"Publish", []string{"PhoneNumber", "+1", "Message", "x"}, 400, []string{"InvalidParameter", "Invalid parameter: PhoneNumber must be empty, because the local run sends nothing to people"}},
		"a structure":              {"Publish", []string{"TopicArn", ordersARN, "Message", "x", "MessageStructure", "xml"}, 400, []string{`Invalid parameter: MessageStructure must be json or empty, got "xml"`}},
		"a wrong attribute":        {"Publish", []string{"TopicArn", ordersARN, "Message", "x", "MessageAttributes.entry.1.Name", "n", "MessageAttributes.entry.1.Value.DataType", "Number", "MessageAttributes.entry.1.Value.StringValue", "one"}, 400, []string{"Invalid parameter: MessageAttributes Reason: Could not cast message attribute 'n' value to number."}},
		"a batch":                  {"PublishBatch", batch(entry("a", "x"), entry("b", strings.Repeat("x", 256<<10-1))), 200, []string{"a", "b"}},
		"a batch with a bad one":   {"PublishBatch", batch(entry("a", "x"), []string{"Id", "b"}), 200, []string{"a", "b", "InvalidParameter", "true"}},
		"an empty batch":           {"PublishBatch", []string{"TopicArn", ordersARN, "PublishBatchRequestEntries", ""}, 400, []string{"EmptyBatchRequest"}},
		"a batch of eleven":        {"PublishBatch", batch(make([][]string, 11)...), 400, []string{"TooManyEntriesInBatchRequest"}},
		"a batch of the same":      {"PublishBatch", batch(entry("a", "x"), entry("a", "x")), 400, []string{"BatchEntryIdsNotDistinct"}},
		"a batch with a wrong id":  {"PublishBatch", batch(entry("a b", "x")), 400, []string{"InvalidBatchEntryId"}},
		"a batch that is too long": {"PublishBatch", batch(entry("a", "xx"), entry("b", strings.Repeat("x", 256<<10-1))), 400, []string{"BatchRequestTooLong"}},
		"a change":                 {"Subscribe", []string{"TopicArn", ordersARN}, 501, []string{"UnsupportedOperation", `the local run does not have the operation "Subscribe" of the service "sns"`}},
	} {
		status, texts := ask(t, e, c.action, c.parameters...)
		rest := "\n" + strings.Join(texts, "\n") + "\n"
		for _, want := range c.want {
			_, after, found := strings.Cut(rest, "\n"+want+"\n")
			if !found {
				t.Errorf("%s: the answer lacks %q: %q", name, want, texts)
			}
			rest = "\n" + after
		}
		if status != c.status {
			t.Errorf("%s: status %d, want %d", name, status, c.status)
		}
	}
	if _, texts := ask(t, e, "Publish", "TopicArn", fifoARN, "Message", "y", "MessageGroupId", "g"); len(texts) != 3 || len(texts[1]) != 20 {
		t.Errorf("a message of a FIFO topic has no sequence number: %q", texts)
	}
}

func entry(id, message string) []string { return []string{"Id", id, "Message", message} }

// batch returns the parameters of a batch: entries of names and values.
func batch(entries ...[]string) []string {
	parameters := []string{"TopicArn", ordersARN}
	for i, e := range entries {
		prefix := fmt.Sprintf("PublishBatchRequestEntries.member.%d.", i+1)
		if e == nil {
			e = entry("x", "x")
		}
		for j := 0; j < len(e); j += 2 {
			parameters = append(parameters, prefix+e[j], e[j+1])
		}
	}
	return parameters
}

// A page can send a form, but it cannot sign it.
func TestPagesPublishNothing(t *testing.T) {
	e := startTopics(t)
	form := url.Values{"Action": {"Publish"}, "TopicArn": {ordersARN}, "Message": {"evil"}}.Encode()
	for name, change := range map[string]func(*http.Request){
		"a form":            func(r *http.Request) { r.Header.Del("Authorization") },
		"of another origin": func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"DNS rebinding":     func(r *http.Request) { r.Host = "evil.example" },
		"another type":      func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
	} {
		r := e.request(t, http.MethodPost, "/", "sns", form)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(r)
		if status, body := send(t, r); status != http.StatusForbidden && status != http.StatusNotImplemented {
			t.Errorf("%s: status %d, %s", name, status, body)
		}
	}
}
