package apigateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// An importer adds what a definition declares to the API: everything becomes what the resource types of CloudFormation
// would have made of it.
type importer struct {
	*Service
	definition *openAPI
	problems   []error
	inline     int // models without a name so far
}

// importDefinition imports the Body of an API. Its error names everything that is wrong with it. As on AWS, resources and
// methods that the template declares beside the Body are made after it and must not be in it too.
func (s *Service) importDefinition(ctx context.Context, d *openAPI) error {
	i := &importer{Service: s, definition: d}
	if d.Swagger != "2.0" && d.OpenAPI != "3.0" && !strings.HasPrefix(d.OpenAPI, "3.0.") {
		i.problem("", fmt.Errorf("openapi must be 3.0, or swagger 2.0, got openapi %q and swagger %q", d.OpenAPI, d.Swagger))
	}
	for name, v := range d.Validators {
		s.api.validators[name] = validator{parameters: bool(v.Parameters), body: bool(v.Body)}
	}
	i.gatewayResponses()
	i.models()
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		i.path(ctx, path, d.Paths[path])
	}
	return errors.Join(i.problems...)
}

// problem notes what is wrong at a place in the definition, such as ".paths./orders.post".
func (i *importer) problem(at string, err error) {
	if err != nil {
		i.problems = append(i.problems, fmt.Errorf("property Body%s: %w", at, err))
	}
}

func (i *importer) gatewayResponses() {
	for _, kind := range slices.Sorted(maps.Keys(i.definition.Responses)) {
		declared := i.definition.Responses[kind]
		i.problem(".x-amazon-apigateway-gateway-responses", i.api.addGatewayResponse(gatewayResponseProperties{
			ResponseType: kind, StatusCode: declared.StatusCode, ResponseParameters: declared.Parameters, ResponseTemplates: declared.Templates,
		}))
	}
}

// modelName matches the names that API Gateway takes.
// Source: API Gateway developer guide, api-gateway-known-issues: "Model names can only contain alphanumeric characters."
var modelName = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// schemaPlaces are where the schemas of a definition are: of OpenAPI, and of Swagger.
var schemaPlaces = []string{"#/components/schemas/", "#/definitions/"}

// models adds the schemas of the definition, which may refer to each other in any order.
func (i *importer) models() {
	schemas := maps.Clone(i.definition.Definitions)
	if schemas == nil {
		schemas = map[string]json.RawMessage{}
	}
	maps.Copy(schemas, i.definition.Components.Schemas)
	names := slices.Sorted(maps.Keys(schemas))
	for _, name := range names {
		if !modelName.MatchString(name) {
			i.problem("", fmt.Errorf("the name of a schema must be letters and digits, got %q", name))
			continue
		}
		i.problem(".schemas."+name, i.api.declareModel(name, i.withModelURLs(schemas[name])))
	}
	for _, name := range names {
		if i.api.models[name] != nil {
			i.problem(".schemas."+name, i.api.compileModel(name))
		}
	}
}

// withModelURLs returns a schema whose references to other schemas of the definition are those to models of the API.
func (i *importer) withModelURLs(schema json.RawMessage) json.RawMessage {
	text := string(schema)
	for _, place := range schemaPlaces {
		text = strings.ReplaceAll(text, `"$ref":"`+place, `"$ref":"`+fmt.Sprintf(modelURL, i.api.id, ""))
	}
	return json.RawMessage(text)
}

func (i *importer) path(ctx context.Context, path string, item pathItem) {
	at := ".paths." + path
	r, err := i.api.resourceAt(path)
	if err != nil {
		i.problem(at, err)
		return
	}
	operations := item.operations()
	for _, verb := range slices.Sorted(maps.Keys(operations)) {
		here := at + "." + strings.ToLower(verb)
		p, err := i.method(verb, operations[verb], item.Parameters)
		if err == nil {
			err = i.addMethod(ctx, r, i.api.logicalID, p)
		}
		i.problem(here, err)
	}
}
