package apigateway

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// An api is the REST API that the stack describes. It is complete when the service starts to run, and is only read from
// then on.
type api struct {
	id        string
	logicalID string
	root      *resource
	resources map[string]*resource
	models    map[string]*model
	// validators by id.
	validators map[string]validator
	// responses holds the gateway responses that the stack defines, by type.
	responses map[responseType]*gatewayResponse
	stages    []*stage
	domains   []*domain
	keys      map[string]*apiKey    // by id
	plans     map[string]*usagePlan // by id
}

// A stage is one deployment of the API under a name.
type stage struct {
	name         string
	deploymentID string
	variables    map[string]string
	byDeployment bool // a deployment made it on the way
}

// A resource is one segment of a path.
type resource struct {
	id      string
	path    string // the whole path, as in $context.resourcePath
	methods map[string]*method
	// literal children precede the {parameter} child, which precedes the {greedy+} child.
	literal   map[string]*resource
	parameter *resource
	greedy    *resource
	variable  string // the name in {parameter} or {greedy+}
}

const rootResource = "root"

func newAPI() api {
	root := &resource{id: rootResource, path: "/", methods: map[string]*method{}, literal: map[string]*resource{}}
	return api{
		root:       root,
		resources:  map[string]*resource{rootResource: root},
		models:     map[string]*model{"Empty": {}, "Error": {}}, // API Gateway creates these two in every API
		validators: map[string]validator{},
		responses:  map[responseType]*gatewayResponse{},
		keys:       map[string]*apiKey{},
		plans:      map[string]*usagePlan{},
	}
}

// check returns an error for the id of another API.
func (a *api) check(id string) error {
	if a.id == "" || id != a.id {
		return fmt.Errorf("RestApiId must be the RestApi of this stack, got %q", id)
	}
	return nil
}

func (a *api) stage(name string) *stage {
	for _, s := range a.stages {
		if s.name == name {
			return s
		}
	}
	return nil
}

// resourceAt returns the resource with a whole path, and adds it and those above it when they are missing. They have their
// paths as ids.
func (a *api) resourceAt(path string) (*resource, error) {
	below, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, fmt.Errorf("a path must begin with /, got %q", path)
	}
	at := a.root
	if below == "" {
		return at, nil
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(below, "/"), "/") {
		id := at.below(part)
		if a.resources[id] == nil {
			child, err := at.add(id, part)
			if err != nil {
				return nil, err
			}
			a.resources[id] = child
		}
		at = a.resources[id]
	}
	return at, nil
}

// below returns the whole path of a child.
func (r *resource) below(part string) string { return strings.TrimSuffix(r.path, "/") + "/" + part }

// pathPart matches what API Gateway takes as one segment of a path: text, {parameter} or {greedy+}.
// Source: API Gateway developer guide, api-gateway-known-issues, "Path segments".
var pathPart = regexp.MustCompile(`^(?:[\w.,:-]+|\{[\w.:-]+\+?\})$`)

// add adds a child resource.
func (r *resource) add(id, part string) (*resource, error) {
	if !pathPart.MatchString(part) {
		return nil, fmt.Errorf("PathPart must be letters, digits and any of _ - . , : or one {parameter} or {parameter+}, got %q", part)
	}
	if strings.HasSuffix(r.path, "+}") {
		return nil, fmt.Errorf("PathPart must not be below %s, which takes all that follows, got %q", r.path, part)
	}
	child := &resource{id: id, path: r.below(part), methods: map[string]*method{}, literal: map[string]*resource{}}
	taken := func(other *resource) error {
		return fmt.Errorf("PathPart is %q, but %s exists beside it: only one of a kind is allowed", part, other.path)
	}
	name, isVariable := strings.CutPrefix(part, "{")
	switch {
	case !isVariable:
		if other := r.literal[part]; other != nil {
			return nil, taken(other)
		}
		r.literal[part] = child
	case strings.HasSuffix(name, "+}"):
		if r.greedy != nil {
			return nil, taken(r.greedy)
		}
		child.variable = strings.TrimSuffix(name, "+}")
		r.greedy = child
	default:
		if r.parameter != nil {
			return nil, taken(r.parameter)
		}
		child.variable = strings.TrimSuffix(name, "}")
		r.parameter = child
	}
	return child, nil
}

// match returns the resource and the method for the rest of a path, split at its slashes and still escaped, and stores
// the path parameters, still escaped too.
func (r *resource) match(verb string, path []string, parameters map[string]string) (*resource, *method) {
	if len(path) == 0 {
		for _, name := range []string{verb, "ANY"} {
			if m := r.methods[name]; m != nil {
				return r, m
			}
		}
		return nil, nil
	}
	part, err := url.PathUnescape(path[0])
	if err != nil {
		return nil, nil
	}
	if child := r.literal[part]; child != nil {
		if found, m := child.match(verb, path[1:], parameters); m != nil {
			return found, m
		}
	}
	if child := r.parameter; child != nil && part != "" {
		if found, m := child.match(verb, path[1:], parameters); m != nil {
			parameters[child.variable] = path[0]
			return found, m
		}
	}
	if child := r.greedy; child != nil {
		if found, m := child.match(verb, nil, parameters); m != nil {
			parameters[child.variable] = strings.Join(path, "/")
			return found, m
		}
	}
	return nil, nil
}
