package apigateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A mapping is a parameter mapping. It sets one header from an expression: 'a constant', method.request.header.X,
// integration.response.body.path, context.requestId, stageVariables.name and so on.
// Source: API Gateway developer guide, rest-api-parameter-mapping.
type mapping struct {
	target string // the header
	source string // one of the sources below
	name   string // what follows the source
	path   mappingTemplate
}

// The sources of a parameter mapping.
const (
	constant        = "'"
	requestHeader   = "method.request.header."
	requestHeaders  = "method.request.multivalueheader."
	requestQuery    = "method.request.querystring."
	requestQueries  = "method.request.multivaluequerystring."
	requestPath     = "method.request.path."
	requestBody     = "method.request.body"
	contextVariable = "context."
	stageVariable   = "stageVariables."
	responseHeader  = "integration.response.header."
	responseHeaders = "integration.response.multivalueheader."
	responseBody    = "integration.response.body"
)

var (
	requestSources  = []string{constant, requestHeader, requestHeaders, requestQuery, requestQueries, requestPath, requestBody, contextVariable, stageVariable}
	responseSources = []string{constant, responseHeader, responseHeaders, responseBody, contextVariable, stageVariable}
	gatewaySources  = []string{constant, requestHeader, requestHeaders, requestQuery, requestQueries, requestPath, contextVariable, stageVariable}
)

// parseMappings parses parameter mappings whose targets start with prefix, and sorts them by their targets.
func parseMappings(expressions map[string]string, prefix string, allowed []string) ([]mapping, error) {
	mappings := make([]mapping, 0, len(expressions))
	for _, target := range slices.Sorted(maps.Keys(expressions)) {
		header, ok := strings.CutPrefix(target, prefix)
		if !ok {
			return nil, fmt.Errorf("%s is not supported by the local run: only %s<name> is", target, prefix)
		}
		m, err := parseSource(expressions[target], allowed)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target, err)
		}
		m.target = header
		mappings = append(mappings, m)
	}
	return mappings, nil
}

func parseSource(expression string, allowed []string) (mapping, error) {
	for _, source := range allowed {
		name, ok := strings.CutPrefix(expression, source)
		switch {
		case !ok:
		case source == constant:
			if name, ok = strings.CutSuffix(name, "'"); ok {
				return mapping{source: source, name: name}, nil
			}
		case source == requestBody || source == responseBody:
			if name == "" || name[0] == '.' || name[0] == '[' {
				return mapping{source: source, name: name}, nil
			}
		case name != "":
			return mapping{source: source, name: name}, nil
		}
	}
	return mapping{}, fmt.Errorf("a mapping expression must begin with one of %s, got %q", strings.Join(allowed, ", "), expression)
}

// compile compiles the parameter mappings from a body: their JSON paths run as mapping templates.
func compile(ctx context.Context, r *renderer, mappings []mapping) error {
	for i, m := range mappings {
		if (m.source != requestBody && m.source != responseBody) || m.name == "" {
			continue
		}
		quote := "'"
		if strings.Contains(m.name, quote) {
			quote = `"`
		}
		path, err := r.compile(ctx, "$input.path("+quote+"$"+m.name+quote+")")
		if err != nil {
			return fmt.Errorf("%s: JSON path %q: %w", m.target, m.name, err)
		}
		mappings[i].path = path
	}
	return nil
}

// resolve returns the parameter mapping's value and whether there is one. It uses the renderer for values from a body,
// and the backend's response for values from that response.
func (m mapping) resolve(ctx context.Context, x *exchange, r *renderer, from *backendResponse) (value string, ok bool, err error) {
	first := func(values []string) (string, bool, error) {
		if len(values) == 0 {
			return "", false, nil
		}
		return values[len(values)-1], true, nil
	}
	all := func(values []string) (string, bool, error) { return strings.Join(values, ","), len(values) > 0, nil }
	switch m.source {
	case constant:
		return m.name, true, nil
	case requestHeader:
		return first(x.header.Values(m.name))
	case requestHeaders:
		return all(x.header.Values(m.name))
	case requestQuery:
		return first(x.query[m.name])
	case requestQueries:
		return all(x.query[m.name])
	case requestPath:
		value, ok = x.params.Path[m.name]
		return value, ok, nil
	case contextVariable:
		value = x.contextVariable(m.name)
		return value, value != "", nil
	case stageVariable:
		value, ok = x.stage.variables[m.name]
		return value, ok, nil
	case responseHeader:
		return first(from.header.Values(m.name))
	case responseHeaders:
		return all(from.header.Values(m.name))
	case requestBody:
		return m.inBody(ctx, x, r, x.body)
	default:
		return m.inBody(ctx, x, r, from.body)
	}
}

func (m mapping) inBody(ctx context.Context, x *exchange, r *renderer, body []byte) (string, bool, error) {
	if m.name == "" {
		return string(body), len(body) > 0, nil
	}
	out, err := r.render(ctx, m.path, x.variables(body))
	return out.Output, out.Output != "", err
}
