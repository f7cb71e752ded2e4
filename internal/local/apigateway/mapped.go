package apigateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

type integrationResponseProperties struct {
	StatusCode         string
	SelectionPattern   string
	ResponseParameters map[string]string
	ResponseTemplates  map[string]string
}

// A mapped integration maps the request to a request of its backend, and the backend's response to one for the caller.
type mapped struct {
	renderer    *renderer
	backend     backend
	timeout     time.Duration
	isMock      bool
	passthrough string
	parameters  []mapping
	templates   map[string]mappingTemplate // by content type
	responses   []*mappedResponse          // those with a pattern first, the default last
}

// A mappedResponse is one integration response.
type mappedResponse struct {
	pattern   *regexp.Regexp // nil: the default
	status    int
	headers   []mapping
	templates map[string]mappingTemplate
}

// The behaviors for a request whose content type has no template.
// Source: API Gateway developer guide, integration-passthrough-behaviors.
const (
	whenNoMatch     = "WHEN_NO_MATCH"
	whenNoTemplates = "WHEN_NO_TEMPLATES"
	never           = "NEVER"
)

// newMapped returns a mapped integration, or an error for what API Gateway would refuse at deployment.
func (s *Service) newMapped(ctx context.Context, method methodProperties, b backend, timeout time.Duration) (*mapped, error) {
	p := method.Integration
	m := &mapped{renderer: s.renderer, backend: b, timeout: timeout, isMock: p.Type == mockType, passthrough: p.PassthroughBehavior}
	switch m.passthrough {
	case "":
		m.passthrough = whenNoMatch
	case whenNoMatch, whenNoTemplates, never:
	default:
		return nil, fmt.Errorf("PassthroughBehavior must be %s, %s or %s, got %q", whenNoMatch, whenNoTemplates, never, m.passthrough)
	}
	var err error
	if m.parameters, err = parseMappings(p.RequestParameters, "integration.request.header.", requestSources); err == nil {
		err = compile(ctx, s.renderer, m.parameters)
	}
	if err != nil {
		return nil, fmt.Errorf("RequestParameters: %w", err)
	}
	for _, source := range p.RequestParameters {
		if err := declared(source, method.RequestParameters); err != nil {
			return nil, fmt.Errorf("RequestParameters: %w", err)
		}
	}
	if m.templates, err = s.compileTemplates(ctx, p.RequestTemplates); err != nil {
		return nil, fmt.Errorf("RequestTemplates: %w", err)
	}
	for _, r := range p.IntegrationResponses {
		response, err := s.newMappedResponse(ctx, r, method.MethodResponses)
		if err != nil {
			return nil, fmt.Errorf("integration response %s: %w", r.StatusCode, err)
		}
		m.responses = append(m.responses, response)
	}
	return m, m.sortResponses()
}

func (s *Service) newMappedResponse(ctx context.Context, p integrationResponseProperties, methodResponses []methodResponse) (*mappedResponse, error) {
	status, err := statusCode(p.StatusCode)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(methodResponses, func(r methodResponse) bool { return r.StatusCode == p.StatusCode })
	if at < 0 {
		return nil, errors.New("the method has no response with this status, so API Gateway refuses it")
	}
	r := &mappedResponse{status: status}
	if p.SelectionPattern != "" {
		if r.pattern, err = regexp.Compile(`\A(?:` + p.SelectionPattern + `)\z`); err != nil {
			return nil, fmt.Errorf("SelectionPattern: %w", err)
		}
	}
	if r.headers, err = parseMappings(p.ResponseParameters, "method.response.header.", responseSources); err == nil {
		err = compile(ctx, s.renderer, r.headers)
	}
	if err != nil {
		return nil, fmt.Errorf("ResponseParameters: %w", err)
	}
	for target := range p.ResponseParameters {
		if _, ok := methodResponses[at].ResponseParameters[target]; !ok {
			return nil, fmt.Errorf("ResponseParameters: the method's response does not declare %s, so API Gateway refuses it", target)
		}
	}
	if r.templates, err = s.compileTemplates(ctx, p.ResponseTemplates); err != nil {
		return nil, fmt.Errorf("ResponseTemplates: %w", err)
	}
	return r, nil
}

// declared returns an error for a mapping of a request parameter that the method does not declare.
func declared(source string, parameters map[string]template.Bool) error {
	for _, prefix := range []string{requestHeader, requestQuery, requestPath} {
		if _, ok := parameters[source]; strings.HasPrefix(source, prefix) && !ok {
			return fmt.Errorf("the method does not declare %s, so API Gateway refuses it", source)
		}
	}
	return nil
}

// maxTemplate limits the bytes of a mapping template.
// Source: API Gateway developer guide, api-gateway-execution-service-limits-table, "Mapping template size".
const maxTemplate = 300 << 10

func (s *Service) compileTemplates(ctx context.Context, sources map[string]string) (map[string]mappingTemplate, error) {
	compiled := make(map[string]mappingTemplate, len(sources))
	for _, contentType := range slices.Sorted(maps.Keys(sources)) {
		source := sources[contentType]
		if len(source) > maxTemplate {
			return nil, fmt.Errorf("%s: the template must have at most %d bytes, got %d", contentType, maxTemplate, len(source))
		}
		t, err := s.renderer.compile(ctx, source)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", contentType, err)
		}
		compiled[strings.ToLower(contentType)] = t
	}
	return compiled, nil
}

// sortResponses moves the default to the end. API Gateway keeps one response for each status.
func (m *mapped) sortResponses() error {
	isDefault := func(r *mappedResponse) int {
		if r.pattern == nil {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(m.responses, func(a, b *mappedResponse) int { return isDefault(a) - isDefault(b) })
	seen, defaults := map[int]bool{}, 0
	for _, r := range m.responses {
		if seen[r.status] {
			return fmt.Errorf("two integration responses have the status %d: API Gateway keeps one a status", r.status)
		}
		seen[r.status] = true
		defaults += isDefault(r)
	}
	if defaults > 1 {
		return errors.New("two integration responses have no SelectionPattern: only one can be the default")
	}
	return nil
}

// serve implements integration.
func (m *mapped) serve(ctx context.Context, x *exchange) (response, error) {
	request, overrides, err := m.request(ctx, x)
	if err != nil {
		return response{}, err
	}
	called, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	answer, err := m.backend.call(called, request)
	var failure *gatewayError
	if errors.As(err, &failure) {
		return response{}, failure
	}
	if err != nil {
		return response{}, timedOut(err, &gatewayError{kind: integrationFailure, message: "Network error communicating with endpoint", cause: err})
	}
	x.context.Integration = &contextIntegration{Status: answer.status}
	x.traced = !m.isMock
	return m.response(ctx, x, answer, overrides)
}

// request returns the request to the backend.
func (m *mapped) request(ctx context.Context, x *exchange) (backendRequest, rendered, error) {
	request := backendRequest{header: http.Header{}, body: x.body}
	for _, p := range m.parameters {
		value, ok, err := p.resolve(ctx, x, m.renderer, nil)
		if err != nil {
			return backendRequest{}, rendered{}, internal(default5xx, err)
		}
		if ok && m.refuses(p.target) {
			return backendRequest{}, rendered{}, internal(default5xx, fmt.Errorf("integration.request.header.%s: API Gateway sets this header itself", p.target))
		}
		if ok {
			request.header.Set(p.target, value)
		}
	}
	contentType := x.contentType()
	t, ok := m.templates[contentType]
	if !ok {
		t, ok = m.templates[defaultKey]
	}
	if !ok {
		if m.passthrough == never || (m.passthrough == whenNoTemplates && len(m.templates) > 0) {
			return backendRequest{}, rendered{}, &gatewayError{kind: unsupportedMediaType, message: "Unsupported Media Type"}
		}
		return request, rendered{}, nil
	}
	out, err := m.renderer.render(ctx, t, x.variables(x.body))
	if errors.Is(err, errMalformedBody) {
		// No page of AWS has the text of this response; the status was recorded.
		return backendRequest{}, rendered{}, &gatewayError{kind: default4xx, message: "Invalid request body", cause: err}
	}
	if err != nil {
		return backendRequest{}, rendered{}, internal(default5xx, fmt.Errorf("request template of %s: %w", contentType, err))
	}
	request.body = []byte(out.Output)
	maps.Copy(request.header, canonical(out.RequestHeader))
	return request, out, nil
}

// response returns the response to the caller for the backend's response.
func (m *mapped) response(ctx context.Context, x *exchange, from *backendResponse, before rendered) (response, error) {
	chosen := m.choose(from.status)
	if chosen == nil {
		return response{}, internal(apiConfiguration, fmt.Errorf("no integration response for the backend's status %d, and no default: %s", from.status, from.body))
	}
	out := response{status: chosen.status, header: http.Header{}, body: from.body}
	contentType, t := chooseTemplate(chosen.templates, x.request.Header.Get("Accept"))
	out.header.Set("Content-Type", contentType)
	for _, h := range chosen.headers {
		value, ok, err := h.resolve(ctx, x, m.renderer, from)
		if err != nil {
			return response{}, internal(default5xx, err)
		}
		if ok {
			out.header.Set(h.target, value)
		}
	}
	after := rendered{}
	if len(chosen.templates) > 0 {
		var err error
		variables := x.variables(from.body)
		variables.Overrides = &before
		if after, err = m.renderer.render(ctx, t, variables); err != nil {
			return response{}, internal(default5xx, fmt.Errorf("response template of status %d: %w", chosen.status, err))
		}
		out.body = []byte(after.Output)
	}
	for _, overrides := range []rendered{before, after} {
		if overrides.Status != 0 {
			out.status = overrides.Status
		}
		maps.Copy(out.header, canonical(overrides.Header))
	}
	out.header = remap(out.header, remappedIfMapped, droppedIfMapped)
	return out, nil
}

// refuses reports whether a mapping to the header fails when it has a value.
func (m *mapped) refuses(header string) bool {
	header = http.CanonicalHeaderKey(header)
	return illegalForAll[header] || !m.isMock && illegalForAWS[header]
}

// choose returns the integration response for a status: the first whose pattern matches all of it.
func (m *mapped) choose(status int) *mappedResponse {
	text := fmt.Sprint(status)
	for _, r := range m.responses {
		if r.pattern == nil || r.pattern.MatchString(text) {
			return r
		}
	}
	return nil
}

// canonical returns the headers with Go's spelling.
func canonical(header map[string][]string) http.Header {
	out := make(http.Header, len(header))
	for _, name := range slices.Sorted(maps.Keys(header)) {
		key := http.CanonicalHeaderKey(name)
		out[key] = append(out[key], header[name]...)
	}
	return out
}
