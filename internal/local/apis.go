package local

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/apigateway"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const restAPI = "AWS::ApiGateway::RestApi"

// apis are the REST APIs of a run, each with a service and a port of its own.
type apis struct {
	mu  sync.Mutex
	all []*restService
}

// A restService serves one REST API.
type restService struct {
	*apigateway.Service
	stack, logicalID, id string // of the REST API; empty before it is provisioned
}

// startAPIs starts a service for each REST API that the stacks declare, and one when there is none, which says so of what
// belongs to one.
func startAPIs(ctx context.Context, o Options, stacks []*template.Stack, config apigateway.Config) (*apis, error) {
	count := 0
	for _, s := range stacks {
		count += len(s.Declared(restAPI))
	}
	a := &apis{}
	for n := range max(count, 1) {
		config.Port = o.portOf(0)
		if n > 0 {
			config.Port = o.portOf(ports + n - 1)
		}
		service, err := apigateway.New(ctx, config)
		if err != nil {
			a.Close()
			return nil, err
		}
		a.all = append(a.all, &restService{Service: service})
	}
	return a, nil
}

// Provisions returns the resource types of REST APIs. Each resource goes to the service of its API.
func (a *apis) Provisions() map[string]template.Provision {
	routed := map[string]template.Provision{}
	for kind := range a.all[0].Provisions() {
		routed[kind] = func(ctx context.Context, r template.Resource) (template.Attributes, error) {
			id, _ := r.Properties["RestApiId"].(string)
			return a.service(id).Provisions()[kind](ctx, r)
		}
	}
	routed[restAPI] = a.provision
	return routed
}

// provision creates a REST API in the service that has it, or in one that has none yet.
func (a *apis) provision(ctx context.Context, r template.Resource) (template.Attributes, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.find(func(s *restService) bool { return s.logicalID == r.LogicalID })
	if one == nil {
		one = a.find(func(s *restService) bool { return s.logicalID == "" }) // there are as many as are declared
	}
	made, err := one.Provisions()[restAPI](ctx, r)
	if err == nil {
		one.stack, one.logicalID, one.id = r.Stack, r.LogicalID, made.Ref
	}
	return made, err
}

// service returns the one of the REST API with that id, or the first, which refuses what belongs to another one.
func (a *apis) service(id string) *restService {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.find(func(s *restService) bool { return s.id == id }); one != nil {
		return one
	}
	return a.all[0]
}

func (a *apis) find(is func(*restService) bool) *restService {
	if i := slices.IndexFunc(a.all, is); i >= 0 {
		return a.all[i]
	}
	return nil
}

// Local returns the text with the addresses of the APIs on AWS replaced by the local ones.
func (a *apis) Local(text string) string {
	for _, service := range a.all {
		text = service.Local(text)
	}
	return text
}

// served returns the APIs that have a stage, in the order of their ports.
func (a *apis) served() []console.API {
	var all []console.API
	for _, service := range a.all {
		if url := service.URL(); url != "" {
			all = append(all, console.API{Stack: service.stack, URL: url})
		}
	}
	return all
}

// Run answers requests until ctx is done.
func (a *apis) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, service := range a.all {
		all.Go(func() error { return service.Run(ctx) })
	}
	return all.Wait()
}

// Close ends all services.
func (a *apis) Close() {
	for _, service := range a.all {
		service.Close()
	}
}
