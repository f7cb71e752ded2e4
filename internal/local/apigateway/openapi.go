package apigateway

import (
	"encoding/json"
	"net/http"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// An openAPI is the Body of a REST API: what API Gateway reads of OpenAPI 3.0 and Swagger 2.0, with its extensions. These
// structs and the decoder of templates stand in place of a library for OpenAPI: little of a document matters here, and a
// field that they do not have is refused by its name, as a property is. What OpenAPI itself says about a document, its
// author's tools check.
// Source: API Gateway developer guide, api-gateway-swagger-extensions and api-gateway-known-issues.
type openAPI struct {
	OpenAPI         string                          `json:"openapi"`
	Swagger         string                          `json:"swagger"`
	Paths           map[string]pathItem             `json:"paths"`
	Components      openAPIComponents               `json:"components"`
	Definitions     map[string]json.RawMessage      `json:"definitions"`         // of Swagger: the schemas
	Parameters      map[string]openAPIParameter     `json:"parameters"`          // of Swagger
	SecuritySchemes map[string]securityScheme       `json:"securityDefinitions"` // of Swagger
	Consumes        []string                        `json:"consumes"`            // of Swagger
	Validators      map[string]openAPIValidator     `json:"x-amazon-apigateway-request-validators"`
	Validator       string                          `json:"x-amazon-apigateway-request-validator"`
	Responses       map[responseType]openAPIGateway `json:"x-amazon-apigateway-gateway-responses"`

	Security      template.Ignored `json:"security"` // API Gateway uses that of operations only
	Info          template.Ignored `json:"info"`
	Servers       template.Ignored `json:"servers"`
	Host          template.Ignored `json:"host"`
	BasePath      template.Ignored `json:"basePath"` // see provisionRestAPI
	Schemes       template.Ignored `json:"schemes"`
	Produces      template.Ignored `json:"produces"`
	Tags          template.Ignored `json:"tags"`
	ExternalDocs  template.Ignored `json:"externalDocs"`
	KeySource     template.Ignored `json:"x-amazon-apigateway-api-key-source"`
	Policy        template.Ignored `json:"x-amazon-apigateway-policy"`
	Endpoint      template.Ignored `json:"x-amazon-apigateway-endpoint-configuration"`
	Documentation template.Ignored `json:"x-amazon-apigateway-documentation"`
	Compression   template.Ignored `json:"x-amazon-apigateway-minimum-compression-size"`
}

type openAPIComponents struct {
	Schemas         map[string]json.RawMessage    `json:"schemas"`
	Parameters      map[string]openAPIParameter   `json:"parameters"`
	SecuritySchemes map[string]securityScheme     `json:"securitySchemes"`
	Integrations    map[string]openAPIIntegration `json:"x-amazon-apigateway-integrations"`
	Examples        template.Ignored              `json:"examples"`
}

type pathItem struct {
	Delete     *operation         `json:"delete"`
	Get        *operation         `json:"get"`
	Head       *operation         `json:"head"`
	Options    *operation         `json:"options"`
	Patch      *operation         `json:"patch"`
	Post       *operation         `json:"post"`
	Put        *operation         `json:"put"`
	Any        *operation         `json:"x-amazon-apigateway-any-method"`
	Parameters []openAPIParameter `json:"parameters"`

	Summary     template.Ignored `json:"summary"`
	Description template.Ignored `json:"description"`
	Servers     template.Ignored `json:"servers"`
}

// operations returns the operations by their verbs.
func (p pathItem) operations() map[string]*operation {
	all := map[string]*operation{
		http.MethodDelete: p.Delete, http.MethodGet: p.Get, http.MethodHead: p.Head, http.MethodOptions: p.Options,
		http.MethodPatch: p.Patch, http.MethodPost: p.Post, http.MethodPut: p.Put, anyVerb: p.Any,
	}
	for verb, o := range all {
		if o == nil {
			delete(all, verb)
		}
	}
	return all
}

type operation struct {
	Parameters  []openAPIParameter            `json:"parameters"`
	RequestBody openAPIBody                   `json:"requestBody"`
	Consumes    []string                      `json:"consumes"`
	Responses   map[string]openAPIResponse    `json:"responses"`
	Security    []map[string]template.Ignored `json:"security"`
	Integration *openAPIIntegration           `json:"x-amazon-apigateway-integration"`
	Validator   string                        `json:"x-amazon-apigateway-request-validator"`
	Auth        struct {
		Type string `json:"type"`
	} `json:"x-amazon-apigateway-auth"`

	Summary      template.Ignored `json:"summary"`
	Description  template.Ignored `json:"description"`
	OperationID  template.Ignored `json:"operationId"`
	Tags         template.Ignored `json:"tags"`
	Deprecated   template.Ignored `json:"deprecated"`
	ExternalDocs template.Ignored `json:"externalDocs"`
	Produces     template.Ignored `json:"produces"`
	Schemes      template.Ignored `json:"schemes"`
	Servers      template.Ignored `json:"servers"`
}

// An openAPIParameter is a parameter of a request, or with "in: body" the body of Swagger. API Gateway reads no more of one
// than these.
type openAPIParameter struct {
	Ref      string          `json:"$ref"`
	In       string          `json:"in"`
	Name     string          `json:"name"`
	Required template.Bool   `json:"required"`
	Schema   json.RawMessage `json:"schema"`

	Description      template.Ignored `json:"description"`
	Type             template.Ignored `json:"type"`
	Format           template.Ignored `json:"format"`
	Items            template.Ignored `json:"items"`
	Enum             template.Ignored `json:"enum"`
	Default          template.Ignored `json:"default"`
	Minimum          template.Ignored `json:"minimum"`
	Maximum          template.Ignored `json:"maximum"`
	MinLength        template.Ignored `json:"minLength"`
	MaxLength        template.Ignored `json:"maxLength"`
	Pattern          template.Ignored `json:"pattern"`
	CollectionFormat template.Ignored `json:"collectionFormat"`
	Style            template.Ignored `json:"style"`
	Explode          template.Ignored `json:"explode"`
	AllowEmptyValue  template.Ignored `json:"allowEmptyValue"`
	Deprecated       template.Ignored `json:"deprecated"`
	Example          template.Ignored `json:"example"`
	Examples         template.Ignored `json:"examples"`
}

// An openAPIBody is the content of a request by its media type.
type openAPIBody struct {
	Content map[string]struct {
		Schema   json.RawMessage  `json:"schema"`
		Example  template.Ignored `json:"example"`
		Examples template.Ignored `json:"examples"`
	} `json:"content"`

	Description template.Ignored `json:"description"`
	Required    template.Ignored `json:"required"` // an absent body is validated as an empty object
}

type openAPIResponse struct {
	Headers map[string]template.Ignored `json:"headers"`

	Description template.Ignored `json:"description"`
	Schema      template.Ignored `json:"schema"`
	Content     template.Ignored `json:"content"`
	Examples    template.Ignored `json:"examples"`
}

type securityScheme struct {
	Type       string           `json:"type"`
	Name       string           `json:"name"`
	AuthType   string           `json:"x-amazon-apigateway-authtype"`
	Authorizer template.Ignored `json:"x-amazon-apigateway-authorizer"`

	In          template.Ignored `json:"in"`
	Description template.Ignored `json:"description"`
}

type openAPIValidator struct {
	Body       template.Bool `json:"validateRequestBody"`
	Parameters template.Bool `json:"validateRequestParameters"`
}

type openAPIGateway struct {
	StatusCode string            `json:"statusCode"`
	Parameters map[string]string `json:"responseParameters"`
	Templates  map[string]string `json:"responseTemplates"`
}

type openAPIIntegration struct {
	Ref         string            `json:"$ref"`
	Type        string            `json:"type"`
	URI         string            `json:"uri"`
	Credentials string            `json:"credentials"`
	Passthrough string            `json:"passthroughBehavior"`
	Parameters  map[string]string `json:"requestParameters"`
	Templates   map[string]string `json:"requestTemplates"`
	Timeout     template.Int      `json:"timeoutInMillis"`
	Responses   map[string]struct {
		StatusCode string            `json:"statusCode"`
		Parameters map[string]string `json:"responseParameters"`
		Templates  map[string]string `json:"responseTemplates"`
	} `json:"responses"` // by selection pattern, or "default"

	HTTPMethod         template.Ignored `json:"httpMethod"`
	CacheNamespace     template.Ignored `json:"cacheNamespace"`
	CacheKeyParameters template.Ignored `json:"cacheKeyParameters"`
	ConnectionType     template.Ignored `json:"connectionType"`
}
