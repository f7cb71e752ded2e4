package control

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// The limits of parameters. Source: Systems Manager API reference, PutParameter, GetParameters and GetParametersByPath;
// AWS General Reference, ssm ("Maximum size for a standard parameter value").
const (
	maxStandard   = 4 << 10 // bytes
	maxAdvanced   = 8 << 10
	maxParameters = 10 // in one request
)

// parameters are those of Systems Manager. They live as long as the run: nothing here changes them.
type parameters struct {
	cloud *cloud.Cloud

	mu  sync.RWMutex
	all []*parameter // by name
}

type parameter struct {
	Name, Type, Value string
	Version           int64
	LastModifiedDate  time.Time
	ARN, DataType     string
}

// parameterProperties are the properties of AWS::SSM::Parameter.
type parameterProperties struct {
	Name, Type, Value string
	DataType          string
	Tier              string

	AllowedPattern template.Ignored // checked at deployment
	Description    template.Ignored
	Policies       template.Ignored
	Tags           template.Ignored
}

func (p *parameters) provision(_ context.Context, r template.Resource) (template.Attributes, error) {
	var given parameterProperties
	if err := r.Decode(&given); err != nil {
		return template.Attributes{}, err
	}
	if given.Name == "" {
		given.Name = "CFN-" + r.PhysicalName
	}
	if err := given.validate(); err != nil {
		return template.Attributes{}, err
	}
	made := &parameter{
		Name: given.Name, Type: given.Type, Value: given.Value, DataType: "text",
		Version: 1, LastModifiedDate: time.Now(), ARN: p.cloud.ARN("ssm", "parameter/"+strings.TrimPrefix(given.Name, "/")),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at, taken := p.place(made.Name)
	if taken {
		return template.Attributes{}, fmt.Errorf("Name %q is taken by another parameter", made.Name)
	}
	p.all = slices.Insert(p.all, at, made)
	return template.Attributes{Ref: made.Name, GetAtt: map[string]string{"Type": made.Type, "Value": made.Value}}, nil
}

func (p parameterProperties) validate() error {
	if p.Type != "String" && p.Type != "StringList" {
		return fmt.Errorf("Type must be String or StringList, got %q", p.Type)
	}
	if p.DataType != "" && p.DataType != "text" {
		return fmt.Errorf("DataType must be text in the local run, got %q", p.DataType)
	}
	limit := maxStandard
	if p.Tier == "Advanced" || p.Tier == "Intelligent-Tiering" {
		limit = maxAdvanced
	}
	if n := len(p.Value); n < 1 || n > limit {
		return fmt.Errorf("Value must have 1 to %d bytes, got %d", limit, n)
	}
	return nil
}

// place returns where the parameter with that name is or would be. Its caller holds the lock.
func (p *parameters) place(name string) (int, bool) {
	return slices.BinarySearchFunc(p.all, name, func(other *parameter, name string) int { return strings.Compare(other.Name, name) })
}

// find returns the parameter with that name or ARN; ":1" after a name is its version.
func (p *parameters) find(name string) (*parameter, bool) {
	if arn := strings.SplitN(name, ":parameter", 2); len(arn) == 2 && strings.HasPrefix(name, "arn:") {
		name = arn[1]
		if strings.Count(name, "/") == 1 {
			name = name[1:]
		}
	}
	name = strings.TrimSuffix(name, ":1")
	p.mu.RLock()
	defer p.mu.RUnlock()
	at, found := p.place(name)
	if !found {
		return nil, false
	}
	return p.all[at], true
}

func (p *parameters) operations() operations {
	return operations{
		"GetParameter":        on(p.get),
		"GetParameters":       on(p.getSome),
		"GetParametersByPath": on(p.getByPath),
	}
}

type (
	getParameterRequest   struct{ Name string }
	getParameterResponse  struct{ Parameter *parameter }
	getParametersRequest  struct{ Names []string }
	getParametersResponse struct {
		Parameters        []*parameter
		InvalidParameters []string
	}
	getByPathRequest struct {
		Path             string
		Recursive        bool
		MaxResults       int
		NextToken        string
		ParameterFilters []any
	}
	getByPathResponse struct {
		Parameters []*parameter
		NextToken  string
	}
)

func (p *parameters) get(_ context.Context, request getParameterRequest) (getParameterResponse, error) {
	found, ok := p.find(request.Name)
	if !ok {
		return getParameterResponse{}, &wire.Error{Status: http.StatusBadRequest, Code: "ParameterNotFound", Message: "Parameter " + request.Name + " not found."}
	}
	return getParameterResponse{found}, nil
}

func (p *parameters) getSome(_ context.Context, request getParametersRequest) (getParametersResponse, error) {
	if n := len(request.Names); n < 1 || n > maxParameters {
		return getParametersResponse{}, invalid("1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length between 1 and %d, it has %d", maxParameters, n)
	}
	answer := getParametersResponse{Parameters: []*parameter{}, InvalidParameters: []string{}}
	for _, name := range request.Names {
		if found, ok := p.find(name); ok {
			answer.Parameters = append(answer.Parameters, found)
		} else {
			answer.InvalidParameters = append(answer.InvalidParameters, name)
		}
	}
	return answer, nil
}

// getByPath returns a page of the parameters below a path. The token is the number of the first one of the page.
func (p *parameters) getByPath(_ context.Context, request getByPathRequest) (getByPathResponse, error) {
	if !strings.HasPrefix(request.Path, "/") {
		return getByPathResponse{}, invalid("The parameter path must begin with \"/\", got %q", request.Path)
	}
	if request.MaxResults < 0 || request.MaxResults > maxParameters {
		return getByPathResponse{}, invalid("MaxResults must be a whole number from 1 to %d, got %d", maxParameters, request.MaxResults)
	}
	if len(request.ParameterFilters) > 0 {
		return getByPathResponse{}, invalid("ParameterFilters must be empty: the local run does not support it")
	}
	limit := request.MaxResults
	if limit == 0 {
		limit = maxParameters
	}
	from := 0
	if request.NextToken != "" {
		var err error
		if from, err = strconv.Atoi(request.NextToken); err != nil || from < 0 {
			return getByPathResponse{}, &wire.Error{Status: http.StatusBadRequest, Code: "InvalidNextToken", Message: "The specified token is not valid."}
		}
	}
	below := p.below(request.Path, request.Recursive)
	answer := getByPathResponse{Parameters: below[min(from, len(below)):min(from+limit, len(below))]}
	if from+limit < len(below) {
		answer.NextToken = strconv.Itoa(from + limit)
	}
	return answer, nil
}

func (p *parameters) below(path string, recursive bool) []*parameter {
	path = strings.TrimSuffix(path, "/") + "/"
	p.mu.RLock()
	defer p.mu.RUnlock()
	found := []*parameter{}
	for _, one := range p.all {
		rest, ok := strings.CutPrefix(one.Name, path)
		if ok && (recursive || !strings.Contains(rest, "/")) {
			found = append(found, one)
		}
	}
	return found
}

func invalid(format string, args ...any) error {
	return &wire.Error{Status: http.StatusBadRequest, Code: "ValidationException", Message: fmt.Sprintf(format, args...)}
}
