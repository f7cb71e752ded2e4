package apigateway

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A responseType names a response of the gateway itself.
type responseType string

// The response types that the local run can produce.
// Source: API Gateway developer guide, supported-gateway-response-types.
const (
	badRequestBody       responseType = "BAD_REQUEST_BODY"
	badRequestParameters responseType = "BAD_REQUEST_PARAMETERS"
	missingToken         responseType = "MISSING_AUTHENTICATION_TOKEN"
	accessDenied         responseType = "ACCESS_DENIED"
	invalidSignature     responseType = "INVALID_SIGNATURE"
	invalidAPIKey        responseType = "INVALID_API_KEY"
	requestTooLarge      responseType = "REQUEST_TOO_LARGE"
	unsupportedMediaType responseType = "UNSUPPORTED_MEDIA_TYPE"
	apiConfiguration     responseType = "API_CONFIGURATION_ERROR"
	integrationFailure   responseType = "INTEGRATION_FAILURE"
	integrationTimeout   responseType = "INTEGRATION_TIMEOUT"
	default4xx           responseType = "DEFAULT_4XX"
	default5xx           responseType = "DEFAULT_5XX"
)

// defaults holds the status and the x-amzn-ErrorType of each type.
var defaults = map[responseType]struct {
	status int
	code   string
}{
	badRequestBody:       {http.StatusBadRequest, "BadRequestException"},
	badRequestParameters: {http.StatusBadRequest, "BadRequestException"},
	missingToken:         {http.StatusForbidden, "MissingAuthenticationTokenException"},
	accessDenied:         {http.StatusForbidden, "ForbiddenException"},
	invalidSignature:     {http.StatusForbidden, "InvalidSignatureException"},
	invalidAPIKey:        {http.StatusForbidden, "ForbiddenException"},
	requestTooLarge:      {http.StatusRequestEntityTooLarge, "RequestTooLargeException"},
	unsupportedMediaType: {http.StatusUnsupportedMediaType, "BadRequestException"},
	apiConfiguration:     {http.StatusInternalServerError, "InternalServerErrorException"},
	integrationFailure:   {http.StatusGatewayTimeout, "InternalServerErrorException"},
	integrationTimeout:   {http.StatusGatewayTimeout, "InternalServerErrorException"},
	default4xx:           {http.StatusBadRequest, "BadRequestException"},
	default5xx:           {http.StatusInternalServerError, "InternalServerErrorException"},
}

// known lists all types that a template may define.
var known = []responseType{
	accessDenied, apiConfiguration, "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE", badRequestBody, badRequestParameters,
	default4xx, default5xx, "EXPIRED_TOKEN", integrationFailure, integrationTimeout, invalidAPIKey, invalidSignature,
	missingToken, "QUOTA_EXCEEDED", requestTooLarge, "RESOURCE_NOT_FOUND", "THROTTLED", "UNAUTHORIZED", unsupportedMediaType, "WAF_FILTERED",
}

// A gatewayError ends a request with a gateway response.
type gatewayError struct {
	kind       responseType
	status     int    // instead of the type's own, or 0
	message    string // $context.error.message
	validation string // $context.error.validationErrorString
	cause      error  // for the developer; it is not sent to the caller
}

func (e *gatewayError) Error() string {
	switch {
	case e.cause != nil:
		return e.cause.Error()
	case e.validation != "":
		return e.message + " " + e.validation
	default:
		return e.message
	}
}

func (e *gatewayError) Unwrap() error { return e.cause }

// internal returns the error for everything that is the API's own fault.
func internal(kind responseType, cause error) *gatewayError {
	return &gatewayError{kind: kind, message: "Internal server error", cause: cause}
}

// A gatewayResponse is the stack's response for a type.
type gatewayResponse struct {
	status    int // 0: the type's own
	headers   []mapping
	templates map[string]string
}

var standardResponse = &gatewayResponse{templates: map[string]string{jsonType: `{"message":$context.error.messageString}`}}

// gatewayResponseProperties are the properties of AWS::ApiGateway::GatewayResponse.
type gatewayResponseProperties struct {
	RestAPI            string `json:"RestApiId"`
	ResponseType       responseType
	StatusCode         string
	ResponseParameters map[string]string
	ResponseTemplates  map[string]string
}

func (s *Service) provisionGatewayResponse(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p gatewayResponseProperties
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if err := s.api.check(p.RestAPI); err != nil {
		return template.Attributes{}, err
	}
	return template.Attributes{Ref: r.PhysicalName}, s.api.addGatewayResponse(p)
}

// addGatewayResponse sets the API's response for a type.
func (a *api) addGatewayResponse(p gatewayResponseProperties) error {
	if !slices.Contains(known, p.ResponseType) {
		return fmt.Errorf("ResponseType must be one of %v, got %q", known, p.ResponseType)
	}
	response := &gatewayResponse{templates: p.ResponseTemplates}
	if len(response.templates) == 0 {
		response.templates = standardResponse.templates
	}
	if p.StatusCode != "" {
		status, err := statusCode(p.StatusCode)
		if err != nil {
			return err
		}
		response.status = status
	}
	headers, err := parseMappings(p.ResponseParameters, "gatewayresponse.header.", gatewaySources)
	if err != nil {
		return fmt.Errorf("property ResponseParameters: %w", err)
	}
	response.headers = headers
	a.responses[p.ResponseType] = response
	return nil
}

// respond returns the response to an error: the stack's response for its type, else the stack's default for
// the class of its status, else the standard one.
func (s *Service) respond(x *exchange, e *gatewayError) response {
	standard := defaults[e.kind]
	status := standard.status
	if e.status != 0 {
		status = e.status
	}
	fallback := default5xx
	if status < http.StatusInternalServerError {
		fallback = default4xx
	}
	defined := standardResponse
	for _, kind := range []responseType{fallback, e.kind} {
		if r := s.api.responses[kind]; r != nil {
			defined = r
		}
	}
	if defined.status != 0 {
		status = defined.status
	}
	x.context.Error = &contextError{
		Message: e.message, MessageString: compact(e.message), ResponseType: string(e.kind),
		// No page of AWS says that its quotes are escaped, so here they are not: a template that puts it into a JSON
		// string is broken here rather than there.
		ValidationErrorString: e.validation,
	}
	contentType, text := chooseTemplate(defined.templates, x.request.Header.Get("Accept"))
	out := response{status: status, header: http.Header{}, body: []byte(x.substitute(text))}
	out.header.Set("Content-Type", contentType)
	out.header.Set("X-Amzn-Errortype", standard.code)
	for _, m := range defined.headers {
		// A parameter mapping without a value sets no header.
		if value, ok, err := m.resolve(s.running, x, nil, nil); err == nil && ok {
			out.header.Set(m.target, value)
		}
	}
	return out
}

var reference = regexp.MustCompile(`\$(context|stageVariables)\.([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)`)

// substitute returns a gateway response's template, which has references but no directives, with their values.
// Source: API Gateway developer guide, api-gateway-gatewayResponse-definition, "non-VTL mapping template".
func (x *exchange) substitute(text string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		parts := reference.FindStringSubmatch(found)
		if parts[1] == "context" {
			return x.contextVariable(parts[2])
		}
		return x.stage.variables[parts[2]]
	})
}

// statusCode parses a status as a template writes it.
func statusCode(text string) (int, error) {
	status, err := strconv.Atoi(text)
	if err != nil || status < 100 || status > 599 {
		return 0, fmt.Errorf("StatusCode must be from 100 to 599, got %q", text)
	}
	return status, nil
}

// chooseTemplate returns the template for what the caller accepts: the one of that type, else JSON, else the first. It
// returns "" when there are none.
func chooseTemplate[T any](templates map[string]T, accept string) (contentType string, chosen T) {
	for _, contentType := range []string{mediaType(accept), jsonType} {
		if found, ok := templates[contentType]; ok {
			return contentType, found
		}
	}
	keys := make([]string, 0, len(templates))
	for key := range templates {
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return jsonType, chosen
	}
	first := slices.Min(keys)
	return first, templates[first]
}
