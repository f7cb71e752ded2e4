package control

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/pipes"
)

// Pipes is what the endpoint asks of the service that runs the pipes.
type Pipes interface {
	List() []pipes.Description
	Describe(name string) (pipes.Description, error)
	Start(ctx context.Context, name string) error
	Stop(ctx context.Context, name string) error
	SetFilter(ctx context.Context, name string, patterns []string) error
}

// A pipeDescription has the fields that any of the operations answers with.
type pipeDescription struct {
	Arn, Name                          string
	Source, Target                     string
	Enrichment                         string `json:",omitempty"`
	SourceParameters, TargetParameters map[string]any
	EnrichmentParameters               map[string]any `json:",omitempty"`
	RoleArn                            string
	DesiredState, CurrentState         string
	StateReason                        string
	CreationTime, LastModifiedTime     time.Time
}

type pipeList struct{ Pipes []pipeDescription }

// pipeRoutes returns the API of Pipes. Source: Pipes API reference.
func pipeRoutes(p Pipes) routes {
	a := pipeAPI{p}
	return newRoutes(map[string]route{
		"GET /v1/pipes":               answering(a.list),
		"GET /v1/pipes/{Name}":        answering(a.describe),
		"PUT /v1/pipes/{Name}":        answering(a.update),
		"POST /v1/pipes/{Name}/start": answering(func(r *wire.Request) (any, error) { return a.change(r, p.Start) }),
		"POST /v1/pipes/{Name}/stop":  answering(func(r *wire.Request) (any, error) { return a.change(r, p.Stop) }),
	})
}

type pipeAPI struct{ pipes Pipes }

func (a pipeAPI) list(r *wire.Request) (any, error) {
	query := r.URL.Query()
	all := pipeList{Pipes: []pipeDescription{}}
	for _, d := range a.pipes.List() {
		if strings.HasPrefix(d.Name, query.Get("NamePrefix")) && strings.HasPrefix(d.Source, query.Get("SourcePrefix")) &&
			strings.HasPrefix(d.Target, query.Get("TargetPrefix")) && isOrAny(string(d.CurrentState), query.Get("CurrentState")) &&
			isOrAny(string(d.DesiredState), query.Get("DesiredState")) {
			one := described(d)
			one.SourceParameters, one.EnrichmentParameters, one.TargetParameters, one.RoleArn = nil, nil, nil, ""
			all.Pipes = append(all.Pipes, one)
		}
	}
	return all, nil
}

func isOrAny(value, wanted string) bool { return wanted == "" || value == wanted }

func (a pipeAPI) describe(r *wire.Request) (any, error) {
	d, err := a.pipes.Describe(r.PathValue("Name"))
	if err != nil {
		return nil, pipeError(err)
	}
	return described(d), nil
}

// change starts or stops a pipe, which takes no time here, and answers with its new state.
func (a pipeAPI) change(r *wire.Request, do func(context.Context, string) error) (any, error) {
	name := r.PathValue("Name")
	if err := do(r.Context(), name); err != nil {
		return nil, pipeError(err)
	}
	return a.summary(name)
}

func (a pipeAPI) summary(name string) (any, error) {
	d, err := a.pipes.Describe(name)
	if err != nil {
		return nil, pipeError(err)
	}
	one := described(d)
	one.Source, one.Enrichment, one.Target, one.RoleArn, one.StateReason = "", "", "", "", ""
	one.SourceParameters, one.EnrichmentParameters, one.TargetParameters = nil, nil, nil
	return one, nil
}

// An update is a request of UpdatePipe. Of what it may change, the local run has the state and the filter.
type update struct {
	DesiredState     string
	SourceParameters struct {
		FilterCriteria *struct{ Filters []struct{ Pattern string } }
	}
}

func (a pipeAPI) update(r *wire.Request) (any, error) {
	name := r.PathValue("Name")
	if _, err := a.pipes.Describe(name); err != nil {
		return nil, pipeError(err)
	}
	if err := onlyChanges(r.Body, "", "RoleArn", "DesiredState", "Description", "SourceParameters"); err != nil {
		return nil, err
	}
	var request struct{ SourceParameters json.RawMessage }
	if err := r.Decode(&request); err != nil {
		return nil, err
	}
	if err := onlyChanges(request.SourceParameters, "SourceParameters.", "FilterCriteria"); err != nil {
		return nil, err
	}
	var given update
	if err := r.Decode(&given); err != nil {
		return nil, err
	}
	if criteria := given.SourceParameters.FilterCriteria; criteria != nil {
		patterns := []string{}
		for _, f := range criteria.Filters {
			patterns = append(patterns, f.Pattern)
		}
		if err := a.pipes.SetFilter(r.Context(), name, patterns); err != nil {
			return nil, invalid("%v", err)
		}
	}
	switch given.DesiredState {
	case "":
		return a.summary(name)
	case "RUNNING":
		return a.change(r, a.pipes.Start)
	case "STOPPED":
		return a.change(r, a.pipes.Stop)
	}
	return nil, invalid("DesiredState must be RUNNING or STOPPED, got %q", given.DesiredState)
}

// onlyChanges returns an error that names the members of a JSON object beside those that can be changed.
func onlyChanges(raw json.RawMessage, prefix string, allowed ...string) error {
	var members map[string]json.RawMessage
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &members); err != nil {
			return invalid("%v", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(allowed, name) {
			return invalid("%s%s cannot be changed in the local run", prefix, name)
		}
	}
	return nil
}

func described(d pipes.Description) pipeDescription {
	source := maps.Clone(d.SourceParameters)
	if source == nil {
		source = map[string]any{}
	}
	filters := []any{}
	for _, pattern := range d.Filters {
		filters = append(filters, map[string]any{"Pattern": pattern})
	}
	source["FilterCriteria"] = map[string]any{"Filters": filters}
	return pipeDescription{
		Arn: d.ARN, Name: d.Name, Source: d.Source, Enrichment: d.Enrichment, Target: d.Target,
		SourceParameters: source, EnrichmentParameters: d.EnrichmentParameters, TargetParameters: d.TargetParameters,
		RoleArn: d.RoleARN, DesiredState: string(d.DesiredState), CurrentState: string(d.CurrentState), StateReason: d.StateReason,
		CreationTime: d.Created, LastModifiedTime: d.Modified,
	}
}

func pipeError(err error) error {
	if errors.Is(err, pipes.ErrNotFound) {
		return &wire.Error{Status: http.StatusNotFound, Code: "NotFoundException", Message: err.Error()}
	}
	return err
}
