package pipes

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// A fakeAWS serves PutEvents, SendMessage, SendMessageBatch and Invoke over HTTP and records what it receives.
type fakeAWS struct {
	mu       sync.Mutex
	events   []entry
	messages []string
	// refuse returns the error code for an event; empty: it is accepted.
	refuse func(entry) string
	// functions are the functions by their names, and invocations what they were invoked with: "name type payload".
	functions   map[string]func(payload string) (response string, failed bool)
	invocations []string
	// status is the status of the next responses in place of 200.
	status []int
	came   chan struct{} // receives a value after every call
}

type entry struct {
	EventBusName, Source, DetailType, Detail string
	Resources                                []string
	Time                                     float64
}

func startFakeAWS(t testing.TB, c *cloud.Cloud) *fakeAWS {
	t.Helper()
	f := &fakeAWS{came: make(chan struct{}, 1), refuse: func(entry) string { return "" }}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c.SetEndpoint(cloud.SQS, server.URL)
	c.SetEndpoint(cloud.EventBridge, server.URL)
	c.SetEndpoint(cloud.Others, server.URL)
	return f
}

func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.notify()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if len(f.status) > 0 {
		status := f.status[0]
		f.status = f.status[1:]
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"__type": "SomeException", "message": "as the test wants"})
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions/arn:aws:lambda:eu-central-1:000000000000:function:"); ok {
		f.invoke(w, r, strings.TrimSuffix(name, "/invocations"))
		return
	}
	var answer any
	switch r.Header.Get("X-Amz-Target") {
	case "AWSEvents.PutEvents":
		answer = f.putEvents(r)
	case "AmazonSQS.SendMessage":
		var in struct{ MessageBody string }
		json.NewDecoder(r.Body).Decode(&in)
		f.messages = append(f.messages, in.MessageBody)
		answer = map[string]string{"MessageId": "m", "MD5OfMessageBody": sum(in.MessageBody)}
	case "AmazonSQS.SendMessageBatch":
		answer = f.sendBatch(r)
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
	json.NewEncoder(w).Encode(answer)
}

func (f *fakeAWS) invoke(w http.ResponseWriter, r *http.Request, name string) {
	payload, _ := io.ReadAll(r.Body)
	f.invocations = append(f.invocations, name+" "+r.Header.Get("X-Amz-Invocation-Type")+" "+string(payload))
	response, failed := "", false
	if function := f.functions[name]; function != nil {
		response, failed = function(string(payload))
	}
	if failed {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
	}
	io.WriteString(w, response)
}

// notify makes await check its condition again.
func (f *fakeAWS) notify() {
	select {
	case f.came <- struct{}{}:
	default:
	}
}

func (f *fakeAWS) putEvents(r *http.Request) any {
	var in struct{ Entries []entry }
	json.NewDecoder(r.Body).Decode(&in)
	failed, results := 0, []map[string]string{}
	for _, e := range in.Entries {
		if code := f.refuse(e); code != "" {
			failed++
			results = append(results, map[string]string{"ErrorCode": code, "ErrorMessage": "as the test wants"})
			continue
		}
		f.events = append(f.events, e)
		results = append(results, map[string]string{"EventId": "e"})
	}
	return map[string]any{"FailedEntryCount": failed, "Entries": results}
}

func (f *fakeAWS) sendBatch(r *http.Request) any {
	var in struct {
		Entries []struct{ Id, MessageBody, MessageGroupId string }
	}
	json.NewDecoder(r.Body).Decode(&in)
	ok, failed := []any{}, []any{}
	for _, e := range in.Entries {
		if strings.Contains(e.MessageBody, "refuse") {
			failed = append(failed, map[string]any{"Id": e.Id, "Code": "InvalidMessageContents", "SenderFault": true})
			continue
		}
		f.messages = append(f.messages, e.MessageGroupId+" "+e.MessageBody)
		ok = append(ok, map[string]string{"Id": e.Id, "MessageId": "m", "MD5OfMessageBody": sum(e.MessageBody)})
	}
	return map[string]any{"Successful": ok, "Failed": failed}
}

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

// await waits until the condition holds.
func (f *fakeAWS) await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		f.mu.Lock()
		done := condition()
		f.mu.Unlock()
		if done {
			return
		}
		select {
		case <-f.came:
		case <-timeout:
			t.Fatalf("%s did not happen; %d events, messages %v", what, len(f.events), f.messages)
		}
	}
}
