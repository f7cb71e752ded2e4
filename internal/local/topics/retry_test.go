package topics_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/topics"
)

// A queue that fails is tried again; one that refuses the message is not.
func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		answers []int // the last one holds
		want    []hop.Outcome
	}{
		"a failing queue":  {[]int{503, 500, 429, 200}, []hop.Outcome{hop.Retry, hop.Retry, hop.Retry, hop.OK}},
		"a refusing queue": {[]int{400}, []hop.Outcome{hop.Dropped}},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n := int(calls.Add(1)) - 1
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				w.WriteHeader(c.answers[min(n, len(c.answers)-1)])
				_, _ = w.Write([]byte("{}"))
			}))
			t.Cleanup(server.Close)
			s := &stack{cloud: cloud.New(region), hops: make(chan hop.Hop, 10)}
			s.cloud.SetEndpoint(cloud.SQS, server.URL)
			db, err := bbolt.Open(filepath.Join(t.TempDir(), "positions.db"), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			s.db = db
			s.Service, err = topics.New(topics.Config{Cloud: s.cloud, DB: db, Policies: allowAll{}, Sink: func(h hop.Hop) { s.hops <- h }})
			if err != nil {
				t.Fatal(err)
			}
			topic := s.make(t, "AWS::SNS::Topic", "Orders", object{"TopicName": "Orders"})
			s.subscribe(t, topic, "Queue", nil)
			stop := s.run(t)
			s.publish(t, topic, topics.Message{Body: "x"})
			for i, want := range c.want {
				if h := s.await(t); h.Outcome != want {
					t.Fatalf("hop %d is %+v, want %s", i, h, want)
				}
			}
			stop()
			if n := int(calls.Load()); n != len(c.want) {
				t.Errorf("%d calls", n)
			}
		})
	}
}
