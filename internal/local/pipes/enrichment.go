package pipes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/jsontext"
)

// An enrichment is a target that invokes a function with a batch and sends what the function returns to the target behind
// it. A retry of the target begins here, so the function is invoked again.
// Source: EventBridge user guide, pipes-enrichment and eb-pipes-batching-concurrency.
type enrichment struct {
	client *lambda.Client
	arn    string
	input  input
	next   Target
	most   int // records that next takes at once
	report func(hop.Hop)
}

// newEnrichment returns the enrichment in front of the pipe's target.
func newEnrichment(asRole *cloud.Cloud, p properties, variables pipeVariables, pipe *Pipe) (Target, error) {
	in, err := compileInput(p.EnrichmentParameters.InputTemplate, variables)
	if err != nil {
		return nil, fmt.Errorf("EnrichmentParameters: %w", err)
	}
	if service(p.Enrichment) != "lambda" {
		return nil, fmt.Errorf("Enrichment must be a function in the local run, got %q", p.Enrichment)
	}
	return &enrichment{
		client: once(asRole.Lambda()), arn: p.Enrichment, input: in, next: pipe.Target, most: batchCap(p.Target), report: pipe.report,
	}, nil
}

// Deliver implements Target. When the function fails, the whole batch does.
func (e *enrichment) Deliver(ctx context.Context, records []Record) []error {
	started := time.Now()
	enriched, err := e.enrich(ctx, records)
	if err != nil {
		return errorForEach(fmt.Errorf("enrichment: %w", err), len(records))
	}
	e.report(hop.Hop{
		Outcome: hop.OK, Target: e.arn, Latency: time.Since(started), // without a count: it is no execution of its own
		Detail: fmt.Sprintf("made %d events of %d records", len(enriched), len(records)),
	})
	if len(enriched) == 0 {
		return nil
	}
	return errorsOfSources(records, enriched, e.next.Deliver(ctx, enriched))
}

// enrich returns what the function makes of the records.
func (e *enrichment) enrich(ctx context.Context, records []Record) ([]Record, error) {
	payload, err := e.input.list(records)
	if err != nil {
		return nil, err
	}
	response, err := invoke(ctx, e.client, e.arn, types.InvocationTypeRequestResponse, payload)
	if err != nil {
		return nil, err
	}
	enriched, err := readEnriched(response)
	if err == nil && len(enriched) > e.most {
		err = fmt.Errorf("the response must have at most %d events, which is what the target takes, got %d", e.most, len(enriched))
	}
	return enriched, err
}

// readEnriched returns the events of a response: the elements of a list, or the response itself. Nothing, null, "", {} and
// [] are no event.
// Source: EventBridge user guide, pipes-enrichment, "Filtering events using enrichment".
func readEnriched(response []byte) ([]Record, error) {
	if len(response) == 0 {
		return nil, nil
	}
	value, err := jsontext.Decode(response)
	if err != nil {
		return nil, errors.New("the response is not JSON")
	}
	list, isList := value.([]any)
	if !isList {
		if object, isObject := value.(map[string]any); value == nil || value == "" || isObject && len(object) == 0 {
			return nil, nil
		}
		list = []any{value}
	}
	enriched := make([]Record, len(list))
	for i, element := range list {
		enriched[i] = Record{Event: element}
	}
	return enriched, nil
}

// errorsOfSources returns the errors of the enriched records as those of the records that they were made of, which have
// the same ids. A failure of one that has none of these ids fails all records.
func errorsOfSources(records, enriched []Record, failures []error) []error {
	if errors.Join(failures...) == nil {
		return nil
	}
	byID := map[string]int{}
	for i, r := range records {
		byID[itemID(r)] = i
	}
	errs := make([]error, len(records))
	for i, err := range failures {
		if err == nil {
			continue
		}
		at, known := byID[itemID(enriched[i])]
		if !known || itemID(enriched[i]) == "" {
			return errorForEach(err, len(records))
		}
		errs[at] = err
	}
	return errs
}
