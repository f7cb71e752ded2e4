package control

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/eventsource"
)

// Mappings is what the endpoint asks of the service that runs the event source mappings.
type Mappings interface {
	List() []eventsource.Description
	Describe(uuid string) (eventsource.Description, error)
	SetEnabled(ctx context.Context, uuid string, enabled bool) error
}

// A mappingConfiguration describes an event source mapping.
// Source: Lambda API reference, EventSourceMappingConfiguration.
type mappingConfiguration struct {
	UUID, EventSourceMappingArn    string
	EventSourceArn, FunctionArn    string
	State, StateTransitionReason   string
	LastModified                   time.Time
	LastProcessingResult           string
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	FilterCriteria                 *filterCriteria
	FunctionResponseTypes          []string
	ScalingConfig                  *scaling
	StartingPosition               string
	ParallelizationFactor          *int
	MaximumRetryAttempts           *int
	MaximumRecordAgeInSeconds      *int
	BisectBatchOnFunctionError     *bool
	TumblingWindowInSeconds        *int
	DestinationConfig              *destinations
}

type (
	filterCriteria struct{ Filters []filter }
	filter         struct{ Pattern string }
	scaling        struct{ MaximumConcurrency int }
	destinations   struct{ OnFailure destination }
	destination    struct{ Destination string }
	mappingList    struct{ EventSourceMappings []mappingConfiguration }
)

func (f *functionAPI) listMappings(r *wire.Request) (any, error) {
	query := r.URL.Query()
	source, function := query.Get("EventSourceArn"), query.Get("FunctionName")
	if function != "" {
		function = f.cloud.FunctionARN(function)
	}
	all := mappingList{EventSourceMappings: []mappingConfiguration{}}
	for _, d := range f.mappings.List() {
		if isOrAny(d.SourceARN, source) && isOrAny(d.FunctionARN, function) {
			all.EventSourceMappings = append(all.EventSourceMappings, configured(d))
		}
	}
	return all, nil
}

func (f *functionAPI) getMapping(r *wire.Request) (any, error) {
	d, err := f.mappings.Describe(r.PathValue("UUID"))
	if err != nil {
		return nil, mappingError(err)
	}
	return configured(d), nil
}

// updateMapping enables or disables an event source mapping: nothing else of it can be changed here.
func (f *functionAPI) updateMapping(r *wire.Request) (any, error) {
	if err := onlyChanges(r.Body, "", "Enabled"); err != nil {
		return nil, err
	}
	var request struct{ Enabled *bool }
	if err := r.Decode(&request); err != nil {
		return nil, err
	}
	if request.Enabled != nil {
		if err := f.mappings.SetEnabled(r.Context(), r.PathValue("UUID"), *request.Enabled); err != nil {
			return nil, mappingError(err)
		}
	}
	return f.getMapping(r)
}

func mappingError(err error) error {
	if errors.Is(err, eventsource.ErrNotFound) {
		return &wire.Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "The resource you requested does not exist."}
	}
	return err
}

func configured(d eventsource.Description) mappingConfiguration {
	c := mappingConfiguration{
		UUID: d.UUID, EventSourceMappingArn: d.ARN, EventSourceArn: d.SourceARN, FunctionArn: d.FunctionARN,
		State: string(d.State), StateTransitionReason: "USER_INITIATED", LastModified: d.LastModified, LastProcessingResult: d.LastProcessingResult,
		BatchSize: d.BatchSize, MaximumBatchingWindowInSeconds: int(d.Window.Seconds()), StartingPosition: d.StartingPosition,
	}
	for _, pattern := range d.Filters {
		if c.FilterCriteria == nil {
			c.FilterCriteria = &filterCriteria{}
		}
		c.FilterCriteria.Filters = append(c.FilterCriteria.Filters, filter{pattern})
	}
	if d.ReportBatchItemFailures {
		c.FunctionResponseTypes = []string{"ReportBatchItemFailures"}
	}
	if d.MaximumConcurrency > 0 {
		c.ScalingConfig = &scaling{d.MaximumConcurrency}
	}
	if d.StartingPosition != "" {
		age, tumbling := int(d.MaximumRecordAge.Seconds()), int(d.TumblingWindow.Seconds())
		c.ParallelizationFactor, c.MaximumRetryAttempts = &d.ParallelizationFactor, &d.MaximumRetryAttempts
		c.MaximumRecordAgeInSeconds, c.BisectBatchOnFunctionError = &age, &d.BisectBatchOnFunctionError
		c.TumblingWindowInSeconds = &tumbling
	}
	if d.OnFailure != "" {
		c.DestinationConfig = &destinations{destination{d.OnFailure}}
	}
	return c
}
