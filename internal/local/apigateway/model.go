package apigateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A model is the JSON schema of a body. Without a schema it takes every body.
type model struct {
	schema   *jsonschema.Schema
	document any // the schema as it is declared
}

func (s *Service) provisionModel(_ context.Context, r template.Resource) (template.Attributes, error) {
	var p struct {
		RestAPI     string `json:"RestApiId"`
		Name        string
		ContentType template.Ignored
		Description template.Ignored
		Schema      json.RawMessage
	}
	if err := r.Decode(&p); err != nil {
		return template.Attributes{}, err
	}
	if err := s.api.check(p.RestAPI); err != nil {
		return template.Attributes{}, err
	}
	name := p.Name
	if name == "" {
		name = r.PhysicalName
	}
	if other := s.api.models[name]; other != nil && other.document != nil {
		return template.Attributes{}, fmt.Errorf("Name must be one that no other model of the API has, got %q", name)
	}
	if err := s.api.addModel(name, p.Schema); err != nil {
		return template.Attributes{}, fmt.Errorf("property Schema: %w", err)
	}
	return template.Attributes{Ref: name}, nil
}

// modelURL is the place of an API's models, by which they refer to each other.
// Source: API Gateway developer guide, models-mappings-models, "Creating more complex models".
const modelURL = "https://apigateway.amazonaws.com/restapis/%s/models/%s"

// addModel adds a model to the API.
func (a *api) addModel(name string, schema json.RawMessage) error {
	if err := a.declareModel(name, schema); err != nil {
		return err
	}
	return a.compileModel(name)
}

// declareModel adds a model, whose schema a template gives as an object or as a string. From then on other models may refer
// to it.
func (a *api) declareModel(name string, schema json.RawMessage) error {
	var text string
	if json.Unmarshal(schema, &text) == nil {
		schema = json.RawMessage(text)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	a.models[name] = &model{document: document}
	return nil
}

// compileModel compiles the schema of a model, which may refer to models of the API that are declared.
// Source: API Gateway developer guide, models-mappings-models: JSON schema draft 4.
func (a *api) compileModel(name string) error {
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	compiler.UseLoader(modelLoader{a})
	compiler.RegisterVocabulary(&jsonschema.Vocabulary{URL: "local:draft-4-integers", Compile: compileInteger})
	compiled, err := compiler.Compile(fmt.Sprintf(modelURL, a.id, name))
	if err != nil {
		return err
	}
	a.models[name].schema = compiled
	return nil
}

// draft4Integer refuses 1.0 and 1e1 where the type is integer: for draft 4 an integer is a number without a fraction or
// exponent part. The library has the rule of later drafts for all of them.
// Source: JSON Schema draft 4, json-schema-core, section 3.5.
type draft4Integer struct{}

// compileInteger implements jsonschema.Vocabulary for schemas that allow integers and no other numbers.
func compileInteger(_ *jsonschema.CompilerContext, schema map[string]any) (jsonschema.SchemaExt, error) {
	types, isList := schema["type"].([]any)
	if !isList {
		types = []any{schema["type"]}
	}
	if slices.Contains(types, any("integer")) && !slices.Contains(types, any("number")) {
		return draft4Integer{}, nil
	}
	return nil, nil
}

// Validate implements jsonschema.SchemaExt.
func (draft4Integer) Validate(ctx *jsonschema.ValidatorContext, value any) {
	if number, ok := value.(json.Number); ok && strings.ContainsAny(number.String(), ".eE") {
		ctx.AddError(&kind.Type{Got: "number", Want: []string{"integer"}})
	}
}

// A modelLoader finds the other models of an API, and nothing else.
type modelLoader struct{ api *api }

// Load implements jsonschema.URLLoader.
func (l modelLoader) Load(url string) (any, error) {
	name, ok := strings.CutPrefix(url, fmt.Sprintf(modelURL, l.api.id, ""))
	if found := l.api.models[name]; ok && found != nil {
		if found.document == nil {
			return map[string]any{}, nil // Empty and Error take everything here
		}
		return found.document, nil
	}
	return nil, fmt.Errorf("$ref must be %s of a model that is declared before, got %s", fmt.Sprintf(modelURL, l.api.id, "<name>"), url)
}

// validate checks a body. The error's text is $context.error.validationErrorString. An absent body is
// validated as an empty object.
func (m *model) validate(body []byte) error {
	if m.schema == nil {
		return nil
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return errors.New("[the request body is not valid JSON]")
	}
	err = m.schema.Validate(instance)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return describe(invalid, instance)
	}
	return err
}
