package pipes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// Limits of an event's parts.
// Source: Pipes API reference, PipeTargetEventBridgeEventBusParameters.
const (
	maxDetailType = 128
	maxSource     = 256
	maxResources  = 10
)

// busTarget puts each record on an event bus.
type busTarget struct {
	client     *eventbridge.Client
	bus        string
	detailType parameter
	source     parameter
	resources  []parameter
	time       parameter
	input      *input // nil: the detail is the record as it is
	facts      facts
}

// busParameters is TargetParameters.EventBridgeEventBusParameters. An endpoint, which leads to another
// region, is not supported.
type busParameters struct {
	DetailType string
	Source     string
	Resources  []string
	Time       string
}

func newBusTarget(client *eventbridge.Client, p busParameters, in *input, f facts) (*busTarget, error) {
	// What a pipe puts where its template sets nothing. Source: EventBridge user guide, eb-pipes-event-target.
	if p.Source == "" {
		p.Source = "Pipe " + f.pipeName
	}
	if p.DetailType == "" {
		p.DetailType = "Event from aws:dynamodb"
	}
	t := &busTarget{bus: f.targetARN, input: in, facts: f}
	t.client = eventbridge.New(client.Options(), func(o *eventbridge.Options) { o.Retryer = aws.NopRetryer{} })
	var problems []error
	compile := func(name, text string, limit int) parameter {
		compiled, err := compileParameter(name, text, limit)
		problems = append(problems, err)
		return compiled
	}
	t.detailType = compile("DetailType", p.DetailType, maxDetailType)
	t.source = compile("Source", p.Source, maxSource)
	t.time = compile("Time", p.Time, 0)
	for _, resource := range p.Resources {
		t.resources = append(t.resources, compile("Resources", resource, 0))
	}
	if n := len(p.Resources); n > maxResources {
		problems = append(problems, fmt.Errorf("Resources has %d entries, at most %d are allowed", n, maxResources))
	}
	return t, errors.Join(problems...)
}

// Deliver implements Target. Events that the bus refuses one by one fail alone.
func (t *busTarget) Deliver(ctx context.Context, records []Record) []error {
	return sendEach(ctx, records, t.entry, t.put)
}

func (t *busTarget) entry(r Record, _ int) (types.PutEventsRequestEntry, error) {
	e := types.PutEventsRequestEntry{EventBusName: &t.bus}
	detailType, err := t.detailType.resolve(r)
	if err != nil {
		return e, err
	}
	source, err := t.source.resolve(r)
	if err != nil {
		return e, err
	}
	for _, resource := range t.resources {
		arn, err := resource.resolve(r)
		if err != nil {
			return e, err
		}
		e.Resources = append(e.Resources, arn)
	}
	if e.Time, err = t.at(r); err != nil {
		return e, err
	}
	detail := compact(r.Event)
	if t.input != nil {
		detail = t.input.render(r, &t.facts)
	}
	e.DetailType, e.Source, e.Detail = &detailType, &source, &detail
	return e, nil
}

// at is the event's time; nil lets the bus set it.
func (t *busTarget) at(r Record) (*time.Time, error) {
	text, err := t.time.resolve(r)
	if err != nil || text == "" {
		return nil, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("Time is %q, allowed is a time stamp as in RFC 3339", text)
	}
	return &at, nil
}

// retryable are the codes of single entries that are worth another try.
// Source: EventBridge API reference, PutEventsResultEntry.
var retryable = map[string]bool{"InternalFailure": true, "InternalException": true, "ThrottlingException": true}

func (t *busTarget) put(ctx context.Context, entries []types.PutEventsRequestEntry) []error {
	out, err := t.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	if err != nil {
		return sameForAll(classified(err), len(entries))
	}
	errs := make([]error, len(entries))
	if out.FailedEntryCount == 0 {
		return errs
	}
	for i, result := range out.Entries {
		if result.ErrorCode == nil {
			continue
		}
		errs[i] = fmt.Errorf("%s: %s", *result.ErrorCode, aws.ToString(result.ErrorMessage))
		if retryable[*result.ErrorCode] {
			errs[i] = fmt.Errorf("%w: %w", ErrInternal, errs[i])
		}
	}
	return errs
}
