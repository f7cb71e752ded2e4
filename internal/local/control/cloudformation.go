package control

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// complete is the status of the stack and of each of its resources: what is not complete is not there.
const complete = "CREATE_COMPLETE"

// stacks holds the stacks of the run, once they are deployed.
type stacks struct {
	cloud *cloud.Cloud

	mu  sync.RWMutex
	all []*stack
}

type stack struct {
	stackDescription
	template  string
	resources []resourceDescription
}

// The descriptions have the fields that any of the operations answers with.
type (
	stackDescription struct {
		StackId, StackName string
		CreationTime       time.Time
		StackStatus        string
		DisableRollback    bool
		Outputs            []outputDescription
	}
	outputDescription struct{ OutputKey, OutputValue, Description, ExportName string }

	resourceDescription struct {
		StackName, StackId                   string
		LogicalResourceId                    string
		PhysicalResourceId                   string
		ResourceType                         string
		LastUpdatedTimestamp, Timestamp      time.Time
		ResourceStatus, ResourceStatusReason string
		Metadata                             string
		DriftInformation                     *drift
	}
	drift struct{ StackResourceDriftStatus string }
)

func (s *stacks) deployed(d *template.Deployment, local func(string) string) {
	now := time.Now()
	// The id is the same in every run.
	id := s.cloud.ARN("cloudformation", "stack/"+d.Stack+"/"+uuid.NewSHA1(uuid.NameSpaceOID, []byte(d.Stack)).String())
	one := &stack{
		stackDescription: stackDescription{StackId: id, StackName: d.Stack, CreationTime: now, StackStatus: complete},
		template:         d.Template,
	}
	for _, o := range d.Outputs {
		one.Outputs = append(one.Outputs, outputDescription{o.Name, local(o.Value), o.Description, o.Export})
	}
	add := func(logical, physical, kind, reason string, metadata map[string]any) {
		r := resourceDescription{
			StackName: d.Stack, StackId: id, LogicalResourceId: logical, PhysicalResourceId: physical, ResourceType: kind,
			LastUpdatedTimestamp: now, Timestamp: now, ResourceStatus: complete, ResourceStatusReason: reason,
			DriftInformation: &drift{"NOT_CHECKED"},
		}
		if raw, err := json.Marshal(metadata); err == nil && len(metadata) > 0 {
			r.Metadata = string(raw)
		}
		one.resources = append(one.resources, r)
	}
	for _, r := range d.Resources {
		add(r.TemplateID(), r.Ref, r.Type, "", r.Metadata)
	}
	for _, r := range d.Skipped {
		add(r.LogicalID, r.Ref, r.Type, "not in the local run: "+r.Reason, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
}

// find returns the stack with that name or id.
func (s *stacks) find(name string) (*stack, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, one := range s.all {
		if name == one.StackName || name == one.StackId {
			return one, nil
		}
	}
	return nil, &wire.Error{Status: http.StatusBadRequest, Code: "ValidationError", Message: "Stack with id " + name + " does not exist"}
}

func (s *stacks) operations() operations {
	return operations{
		"DescribeStacks":         on(s.describe),
		"ListStacks":             on(s.list),
		"ListStackResources":     on(s.listResources),
		"DescribeStackResources": on(s.describeResources),
		"DescribeStackResource":  on(s.describeResource),
		"GetTemplate":            on(s.getTemplate),
	}
}

type (
	stackRequest           struct{ StackName string }
	describeStacksResponse struct{ Stacks []stackDescription }
)

func (s *stacks) describe(_ context.Context, request stackRequest) (describeStacksResponse, error) {
	if request.StackName != "" {
		one, err := s.find(request.StackName)
		if err != nil {
			return describeStacksResponse{}, err
		}
		return describeStacksResponse{[]stackDescription{one.stackDescription}}, nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := []stackDescription{}
	for _, one := range s.all {
		all = append(all, one.stackDescription)
	}
	return describeStacksResponse{all}, nil
}

type (
	listStacksRequest  struct{ StackStatusFilter []string }
	listStacksResponse struct{ StackSummaries []stackDescription }
)

func (s *stacks) list(ctx context.Context, request listStacksRequest) (listStacksResponse, error) {
	all, err := s.describe(ctx, stackRequest{})
	if len(request.StackStatusFilter) > 0 && !slices.Contains(request.StackStatusFilter, complete) {
		all.Stacks = []stackDescription{}
	}
	for i := range all.Stacks {
		all.Stacks[i].Outputs = nil
	}
	return listStacksResponse{all.Stacks}, err
}

type listResourcesResponse struct{ StackResourceSummaries []resourceDescription }

func (s *stacks) listResources(_ context.Context, request stackRequest) (listResourcesResponse, error) {
	one, err := s.find(request.StackName)
	if err != nil {
		return listResourcesResponse{}, err
	}
	return listResourcesResponse{one.resources}, nil
}

type (
	resourceRequest           struct{ StackName, LogicalResourceId, PhysicalResourceId string }
	describeResourcesResponse struct{ StackResources []resourceDescription }
	describeResourceResponse  struct{ StackResourceDetail resourceDescription }
)

// describeResources finds a stack by its name, or by the physical id of one of its resources.
func (s *stacks) describeResources(_ context.Context, request resourceRequest) (describeResourcesResponse, error) {
	one, err := s.find(request.StackName)
	if request.StackName == "" {
		if one, err = s.havingResource(request.PhysicalResourceId); err != nil {
			return describeResourcesResponse{}, err
		}
	}
	if err != nil {
		return describeResourcesResponse{}, err
	}
	found := []resourceDescription{}
	for _, r := range one.resources {
		if request.LogicalResourceId == "" || request.LogicalResourceId == r.LogicalResourceId {
			found = append(found, r)
		}
	}
	return describeResourcesResponse{found}, nil
}

func (s *stacks) havingResource(physical string) (*stack, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, one := range s.all {
		if slices.ContainsFunc(one.resources, func(r resourceDescription) bool { return r.PhysicalResourceId == physical }) {
			return one, nil
		}
	}
	return nil, &wire.Error{Status: http.StatusBadRequest, Code: "ValidationError", Message: "Stack for " + physical + " does not exist"}
}

func (s *stacks) describeResource(_ context.Context, request resourceRequest) (describeResourceResponse, error) {
	one, err := s.find(request.StackName)
	if err != nil {
		return describeResourceResponse{}, err
	}
	for _, r := range one.resources {
		if r.LogicalResourceId == request.LogicalResourceId {
			return describeResourceResponse{r}, nil
		}
	}
	return describeResourceResponse{}, &wire.Error{
		Status: http.StatusBadRequest, Code: "ValidationError",
		Message: "Resource " + request.LogicalResourceId + " does not exist for stack " + one.StackName,
	}
}

type getTemplateResponse struct {
	TemplateBody    string
	StagesAvailable []string
}

func (s *stacks) getTemplate(_ context.Context, request stackRequest) (getTemplateResponse, error) {
	one, err := s.find(request.StackName)
	if err != nil {
		return getTemplateResponse{}, err
	}
	return getTemplateResponse{one.template, []string{"Original", "Processed"}}, nil
}
