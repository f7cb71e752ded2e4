package metrics

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/queues"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// sampleEvery is how often the queues are looked at when nobody asks.
const sampleEvery = 15 * time.Second

// Queues is what the store asks of the service that runs the queues.
type Queues interface {
	Depths(ctx context.Context) ([]queues.Depth, error)
}

// New returns a store without metrics.
func New() *Store {
	return &Store{now: time.Now, series: map[string]*series{}, names: names{}}
}

// Follow makes the store ask for the depths of the queues: regularly while [Store.Run] runs, and whenever [Store.Refresh]
// is called.
func (s *Store) Follow(q Queues) {
	s.sample = func(s *Store) { s.putDepths(q) }
}

// Run looks at the queues until ctx is done.
func (s *Store) Run(ctx context.Context) {
	ticks := time.NewTicker(sampleEvery)
	defer ticks.Stop()
	for {
		s.Refresh()
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// Refresh looks at the queues, so that what is asked next is not older than that.
func (s *Store) Refresh() {
	if s.sample != nil {
		s.sample(s)
	}
}

// patience is how long the queues may take to answer.
const patience = 2 * time.Second

// putDepths adds what the queues hold. Queues that do not answer have no values: CloudWatch's alarms know what to do.
// Source: SQS developer guide, sqs-available-cloudwatch-metrics.
func (s *Store) putDepths(q Queues) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	depths, err := q.Depths(ctx)
	if err != nil {
		return
	}
	now := s.now()
	for _, d := range depths {
		put := func(name, unit string, value float64) {
			s.Put(Metric{"AWS/SQS", name, []Dimension{{"QueueName", d.Name}}}, unit, now, value)
		}
		put("ApproximateNumberOfMessagesVisible", "Count", float64(d.Visible))
		put("ApproximateNumberOfMessagesNotVisible", "Count", float64(d.NotVisible))
		age := 0.0
		if !d.OldestSent.IsZero() {
			age = max(0, now.Sub(d.OldestSent).Seconds())
		}
		put("ApproximateAgeOfOldestMessage", "Seconds", age)
	}
}

// names holds what the metrics of a resource are called, by its logical id.
type names map[string]resource

type resource struct {
	dimensions    []Dimension
	hasDeadLetter bool // of a rule: one of its targets has a dead-letter queue
}

// Deployed gives the store the names by which the metrics of the stack's resources go.
func (s *Store) Deployed(d *template.Deployment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range d.Resources {
		switch r.Type {
		case "AWS::Pipes::Pipe":
			s.names[r.LogicalID] = resource{dimensions: []Dimension{{"PipeName", r.Ref}}}
		case "AWS::Events::Rule":
			s.names[r.LogicalID] = ofRule(r)
		}
	}
}

// ofRule returns the dimensions of a rule's metrics. A rule's Ref has the bus before the name, except on the default bus.
// Source: EventBridge user guide, eb-monitoring.
func ofRule(r template.Deployed) resource {
	bus, rule, custom := strings.Cut(r.Ref, "|")
	if !custom {
		bus, rule = "", r.Ref
	}
	one := resource{dimensions: []Dimension{{"RuleName", rule}}}
	if custom {
		one.dimensions = append(one.dimensions, Dimension{"EventBusName", bus})
	}
	targets, _ := r.Properties["Targets"].([]any)
	for _, t := range targets {
		if target, ok := t.(map[string]any); ok && target["DeadLetterConfig"] != nil {
			one.hasDeadLetter = true
		}
	}
	return one
}

// Sink returns a sink that adds a hop's figures to the metrics, and passes it on.
func (s *Store) Sink(next hop.Sink) hop.Sink {
	return func(h hop.Hop) {
		s.observe(h)
		next(h)
	}
}

func (s *Store) observe(h hop.Hop) {
	s.mu.RLock()
	of, known := s.names[h.Resource]
	s.mu.RUnlock()
	switch {
	case h.Stage == hop.Function:
		s.putEmbedded(h.Detail)
	case h.Stage == hop.Pipe && known && h.Count > 0: // without a count it is about the stream, not about an execution
		s.observePipe(h, of)
	case (h.Stage == hop.Bus || h.Stage == hop.Schedule) && known:
		s.observeRule(h, of)
	}
}

// observePipe counts an execution. Source: EventBridge user guide, eb-pipes-monitoring.
func (s *Store) observePipe(h hop.Hop, of resource) {
	put := func(name string, value float64) {
		s.Put(Metric{"AWS/EventBridge/Pipes", name, of.dimensions}, "Count", h.At, value)
	}
	failed := 1.0
	if h.Outcome == hop.OK {
		failed = 0
	}
	if h.Outcome != hop.Retry {
		put("EventCount", float64(h.Count))
	}
	put("ExecutionFailed", failed)
	put("ExecutionThrottled", 0)
}

// observeRule counts an invocation of a target when it has come to its end. Source: EventBridge user guide, eb-monitoring.
func (s *Store) observeRule(h hop.Hop, of resource) {
	put := func(name string) { s.Put(Metric{"AWS/Events", name, of.dimensions}, "Count", h.At, 1) }
	if h.Outcome == hop.Retry {
		return
	}
	put("Invocations")
	switch h.Outcome {
	case hop.DeadLetter:
		put("FailedInvocations")
		put("InvocationsSentToDlq")
	case hop.Dropped:
		put("FailedInvocations")
		if of.hasDeadLetter {
			put("InvocationsFailedToBeSentToDlq")
		}
	case hop.OK, hop.Failed, hop.Retry:
	}
}

// An Invoke invokes a function.
type Invoke = func(ctx context.Context, arn string, payload []byte) ([]byte, error)

// Invocations returns an Invoke that counts. Source: Lambda developer guide, monitoring-metrics-types.
func (s *Store) Invocations(next Invoke) Invoke {
	return func(ctx context.Context, arn string, payload []byte) ([]byte, error) {
		began := s.now()
		response, err := next(ctx, arn, payload)
		put := func(name, unit string, value float64) {
			function, _ := cloud.CutQualifier(arn)
			_, functionName, _ := strings.Cut(cloud.ResourceOf(function), ":")
			s.Put(Metric{"AWS/Lambda", name, []Dimension{{"FunctionName", functionName}}}, unit, s.now(), value)
		}
		var failed *functions.FunctionError
		switch {
		case errors.Is(err, functions.ErrThrottled):
			put("Throttles", "Count", 1)
		case err == nil || errors.As(err, &failed):
			put("Invocations", "Count", 1)
			put("Throttles", "Count", 0)
			put("Duration", "Milliseconds", float64(s.now().Sub(began).Microseconds())/1000)
			if failed != nil {
				put("Errors", "Count", 1)
			} else {
				put("Errors", "Count", 0)
			}
		}
		return response, err
	}
}
