package apigateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// method returns an operation as the properties of a method. shared are the parameters of all operations of the path.
func (i *importer) method(verb string, o *operation, shared []openAPIParameter) (methodProperties, error) {
	p := methodProperties{
		Verb: verb, Validator: o.Validator, RequestModels: map[string]string{}, RequestParameters: map[string]template.Bool{},
	}
	if p.Validator == "" {
		p.Validator = i.definition.Validator
	}
	for status, response := range o.Responses {
		declared := methodResponse{StatusCode: status, ResponseParameters: map[string]template.Bool{}}
		for header := range response.Headers {
			declared.ResponseParameters["method.response.header."+header] = false
		}
		p.MethodResponses = append(p.MethodResponses, declared)
	}
	return p, errors.Join(
		i.setParameters(&p, o, slices.Concat(shared, o.Parameters)),
		i.setModels(&p, o),
		i.setAuthorization(&p, o),
		i.setIntegration(&p, o.Integration),
	)
}

// parameterPlaces are the places of parameters in OpenAPI, in the words of API Gateway.
var parameterPlaces = map[string]string{"query": "querystring", "header": "header", "path": "path"}

func (i *importer) setParameters(p *methodProperties, o *operation, declared []openAPIParameter) error {
	var problems []error
	for _, one := range declared {
		if one.Ref != "" {
			var err error
			if one, err = referenced(one.Ref, map[string]map[string]openAPIParameter{
				"#/components/parameters/": i.definition.Components.Parameters, "#/parameters/": i.definition.Parameters,
			}); err != nil {
				problems = append(problems, fmt.Errorf("parameters: %w", err))
				continue
			}
		}
		place := parameterPlaces[one.In]
		switch {
		case one.In == "body":
			problems = append(problems, i.setBody(p, o, one.Schema))
		case place == "":
			problems = append(problems, fmt.Errorf("parameters: in must be query, header, path or body, got %q", one.In))
		default:
			p.RequestParameters["method.request."+place+"."+one.Name] = one.Required
		}
	}
	return errors.Join(problems...)
}

// referenced returns what a reference names in one of the places of the definition.
func referenced[T any](ref string, places map[string]map[string]T) (found T, err error) {
	for place, all := range places {
		if name, ok := strings.CutPrefix(ref, place); ok {
			if found, ok = all[name]; ok {
				return found, nil
			}
		}
	}
	return found, fmt.Errorf("$ref must be %s<name> of the definition, got %q", strings.Join(slices.Sorted(maps.Keys(places)), "<name> or "), ref)
}

// setBody sets the schema of a body of Swagger, for all types that the operation consumes.
func (i *importer) setBody(p *methodProperties, o *operation, schema json.RawMessage) error {
	consumed := o.Consumes
	if len(consumed) == 0 {
		consumed = i.definition.Consumes
	}
	if len(consumed) == 0 {
		consumed = []string{jsonType}
	}
	var problems []error
	for _, contentType := range consumed {
		problems = append(problems, i.setModel(p, contentType, schema))
	}
	return errors.Join(problems...)
}

// setModels sets the schemas of a body of OpenAPI.
func (i *importer) setModels(p *methodProperties, o *operation) error {
	var problems []error
	for _, contentType := range slices.Sorted(maps.Keys(o.RequestBody.Content)) {
		problems = append(problems, i.setModel(p, contentType, o.RequestBody.Content[contentType].Schema))
	}
	return errors.Join(problems...)
}

// setModel sets the model of a content type: the one that the schema names, or a new one.
func (i *importer) setModel(p *methodProperties, contentType string, schema json.RawMessage) error {
	if len(schema) == 0 {
		return nil
	}
	var reference struct {
		Ref string `json:"$ref"`
	}
	if json.Unmarshal(schema, &reference) == nil && reference.Ref != "" {
		for _, place := range schemaPlaces {
			if name, ok := strings.CutPrefix(reference.Ref, place); ok {
				p.RequestModels[contentType] = name
				return nil
			}
		}
		return fmt.Errorf("schema of %s: $ref must be %s<name>, got %q", contentType, strings.Join(schemaPlaces, "<name> or "), reference.Ref)
	}
	i.inline++
	name := fmt.Sprintf("Inline%d", i.inline)
	p.RequestModels[contentType] = name
	if err := i.api.addModel(name, i.withModelURLs(schema)); err != nil {
		return fmt.Errorf("schema of %s: %w", contentType, err)
	}
	return nil
}

// setIntegration sets the integration, which may be one of those that the definition shares.
func (i *importer) setIntegration(p *methodProperties, declared *openAPIIntegration) error {
	if declared == nil {
		return errors.New("x-amazon-apigateway-integration is missing")
	}
	if declared.Ref != "" {
		shared, err := referenced(declared.Ref, map[string]map[string]openAPIIntegration{
			"#/components/x-amazon-apigateway-integrations/": i.definition.Components.Integrations,
		})
		if err != nil {
			return fmt.Errorf("x-amazon-apigateway-integration: %w", err)
		}
		declared = &shared
	}
	p.Integration = &integrationProperties{
		Type: strings.ToUpper(declared.Type), URI: declared.URI, Credentials: declared.Credentials,
		PassthroughBehavior: strings.ToUpper(declared.Passthrough), RequestParameters: declared.Parameters, RequestTemplates: declared.Templates,
		TimeoutInMillis: declared.Timeout,
	}
	for _, pattern := range slices.Sorted(maps.Keys(declared.Responses)) {
		r := declared.Responses[pattern]
		response := integrationResponseProperties{
			StatusCode: r.StatusCode, SelectionPattern: pattern, ResponseParameters: r.Parameters, ResponseTemplates: r.Templates,
		}
		if pattern == "default" {
			response.SelectionPattern = ""
		}
		p.Integration.IntegrationResponses = append(p.Integration.IntegrationResponses, response)
	}
	return nil
}

// noAuthorizer is what SAM writes for a method without authorization. No scheme has that name.
// Source: https://github.com/aws/serverless-application-model, tests/translator/output/api_with_auth_all_maximum.json.
const noAuthorizer = "NONE"

// setAuthorization sets who may call the method. Without security everybody may: API Gateway does not use that of the
// whole definition.
// Source: API Gateway developer guide, api-gateway-known-issues, and api-gateway-swagger-extensions-auth.
func (i *importer) setAuthorization(p *methodProperties, o *operation) error {
	p.AuthorizationType = strings.ToUpper(o.Auth.Type)
	schemes := maps.Clone(i.definition.SecuritySchemes)
	if schemes == nil {
		schemes = map[string]securityScheme{}
	}
	maps.Copy(schemes, i.definition.Components.SecuritySchemes)
	var problems []error
	for _, alternative := range o.Security {
		for _, name := range slices.Sorted(maps.Keys(alternative)) {
			scheme, ok := schemes[name]
			switch {
			case !ok && name == noAuthorizer:
			case !ok:
				problems = append(problems, fmt.Errorf("security must name security schemes of the definition, got %q", name))
			case scheme.AuthType == "awsSigv4":
				p.AuthorizationType = "AWS_IAM"
			case scheme.AuthType == "cognito_user_pools":
				p.AuthorizationType = "COGNITO_USER_POOLS"
			case scheme.AuthType != "" || scheme.Authorizer != nil:
				p.AuthorizationType = "CUSTOM"
			case scheme.Type == "apiKey" && strings.EqualFold(scheme.Name, "x-api-key"):
				p.APIKeyRequired = true
			default:
				problems = append(problems, fmt.Errorf("security scheme %s must be an x-api-key or have x-amazon-apigateway-authtype, got the type %q, for which API Gateway checks nobody", name, scheme.Type))
			}
		}
	}
	return errors.Join(problems...)
}
