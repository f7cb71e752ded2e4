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

// The limits of an event's fields.
// Source: Pipes API reference, PipeTargetEventBridgeEventBusParameters.
const (
	maxDetailType = 128
	maxSource     = 256
	maxResources  = 10
)

// A busTarget sends each record to an event bus.
type busTarget struct {
	client     *eventbridge.Client
	bus        string
	detailType parameter
	source     parameter
	resources  []parameter
	time       parameter
	input      input // the detail
}

// busParameters is TargetParameters.EventBridgeEventBusParameters. An endpoint, which belongs to another region, is
// not supported.
type busParameters struct {
	DetailType string
	Source     string
	Resources  []string
	Time       string
}

func newBusTarget(client *eventbridge.Client, p busParameters, in input) (*busTarget, error) {
	// The values that a pipe uses where its template sets none. Source: EventBridge user guide, eb-pipes-event-target.
	if p.Source == "" {
		p.Source = "Pipe " + in.variables.pipeName
	}
	if p.DetailType == "" {
		p.DetailType = "Event from " + "aws:" + service(in.variables.sourceARN)
	}
	t := &busTarget{bus: in.variables.targetARN, input: in}
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
		problems = append(problems, fmt.Errorf("Resources must have at most %d entries, got %d", maxResources, n))
	}
	return t, errors.Join(problems...)
}

// Deliver implements Target. An event that the bus refuses fails alone.
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
	if e.Time, err = t.eventTime(r); err != nil {
		return e, err
	}
	detail := t.input.render(r)
	e.DetailType, e.Source, e.Detail = &detailType, &source, &detail
	return e, nil
}

// eventTime returns the event's time, or nil to let the bus set it.
func (t *busTarget) eventTime(r Record) (*time.Time, error) {
	text, err := t.time.resolve(r)
	if err != nil || text == "" {
		return nil, err
	}
	eventTime, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("Time must be a time stamp as in RFC 3339, got %q", text)
	}
	return &eventTime, nil
}

// retryable holds the error codes of single entries that are worth a retry.
// Source: EventBridge API reference, PutEventsResultEntry.
var retryable = map[string]bool{"InternalFailure": true, "InternalException": true, "ThrottlingException": true}

func (t *busTarget) put(ctx context.Context, entries []types.PutEventsRequestEntry) []error {
	out, err := t.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	if err != nil {
		return errorForEach(classifyError(err), len(entries))
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
