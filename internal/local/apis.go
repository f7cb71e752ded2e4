package local

import (
	"context"
	"maps"
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
	stack, logicalID, id string   // of the REST API; empty before it is provisioned
	plans                []string // ids of its usage plans
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
		config.Port = o.portOf(portOfAPI(n))
		service, err := apigateway.New(ctx, config)
		if err != nil {
			a.Close()
			return nil, err
		}
		a.all = append(a.all, &restService{Service: service})
	}
	return a, nil
}

// portOfAPI returns which port of the run the n-th API takes.
func portOfAPI(n int) int {
	if n == 0 {
		return 0
	}
	return furtherAPIs + n - 1
}

// Provisions returns the resource types of REST APIs. Each resource goes to the service of its API, and one that belongs to
// none to all services.
func (a *apis) Provisions() map[string]template.Provision {
	routed := map[string]template.Provision{}
	for kind := range a.all[0].Provisions() {
		routed[kind] = func(ctx context.Context, r template.Resource) (template.Attributes, error) {
			return a.route(ctx, kind, r)
		}
	}
	routed[restAPI] = a.provision
	return routed
}

// route creates a resource where it belongs.
func (a *apis) route(ctx context.Context, kind string, r template.Resource) (made template.Attributes, err error) {
	switch kind {
	case "AWS::ApiGateway::ApiKey", "AWS::ApiGateway::DomainName":
		for _, service := range a.all {
			if made, err = service.Provisions()[kind](ctx, r); err != nil {
				break
			}
		}
		return made, err
	case "AWS::ApiGateway::UsagePlan":
		service := a.service(firstAPI(r))
		if made, err = service.Provisions()[kind](ctx, r); err == nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			service.plans = append(service.plans, made.Ref)
		}
		return made, err
	case "AWS::ApiGateway::UsagePlanKey":
		return a.serviceOfPlan(r.Properties["UsagePlanId"]).Provisions()[kind](ctx, r)
	case "AWS::ApiGatewayV2::ApiMapping":
		id, _ := r.Properties["ApiId"].(string)
		return a.service(id).Provisions()[kind](ctx, r)
	}
	id, _ := r.Properties["RestApiId"].(string)
	return a.service(id).Provisions()[kind](ctx, r)
}

// firstAPI returns the id of the first REST API of a usage plan, or "".
func firstAPI(plan template.Resource) string {
	stages, _ := plan.Properties["ApiStages"].([]any)
	if len(stages) == 0 {
		return ""
	}
	stage, _ := stages[0].(map[string]any)
	id, _ := stage["ApiId"].(string)
	return id
}

// serviceOfPlan returns the service that has a usage plan, or the first, which refuses it.
func (a *apis) serviceOfPlan(plan any) *restService {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.find(func(s *restService) bool {
		return slices.ContainsFunc(s.plans, func(id string) bool { return id == plan })
	}); one != nil {
		return one
	}
	return a.all[0]
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

// further returns how many there are beside the first.
func (a *apis) further() int { return len(a.all) - 1 }

// Keys returns the values of the API keys that are enabled.
func (a *apis) Keys() []string { return a.all[0].Keys() } // all services have all keys

// mapped returns the URLs of the paths of custom domains, by what leads there on AWS.
func (a *apis) mapped() map[string]string {
	all := map[string]string{}
	for _, service := range a.all {
		maps.Copy(all, service.Mapped())
	}
	return all
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
