package access

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// apiMethod notes the role of a method's integration.
func (a *Authority) apiMethod(r template.Resource) error {
	integration, _ := r.Properties["Integration"].(map[string]any)
	kind, _ := integration["Type"].(string)
	role, _ := integration["Credentials"].(string)
	if err := a.integration(r.LogicalID, kind, role); err != nil {
		return fmt.Errorf("Integration %w", err)
	}
	return nil
}

// apiDefinition notes the roles of the integrations in the Body of a REST API, wherever they are in it.
// Source: API Gateway developer guide, api-gateway-swagger-extensions-integration and api-gateway-extensions-integrations.
func (a *Authority) apiDefinition(r template.Resource) error {
	var problems []error
	note := func(at string, integration any) {
		fields, _ := integration.(map[string]any)
		kind, _ := fields["type"].(string)
		role, _ := fields["credentials"].(string)
		if err := a.integration(r.LogicalID, strings.ToUpper(kind), role); err != nil {
			problems = append(problems, fmt.Errorf("property Body%s %w", at, err))
		}
	}
	var visit func(at string, value any)
	visit = func(at string, value any) {
		object, _ := value.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(object)) {
			here := at + "." + name
			switch name {
			case "x-amazon-apigateway-integration":
				note(here, object[name])
			case "x-amazon-apigateway-integrations":
				shared, _ := object[name].(map[string]any)
				for _, one := range slices.Sorted(maps.Keys(shared)) {
					note(here+"."+one, shared[one])
				}
			default:
				visit(here, object[name])
			}
		}
	}
	visit("", r.Properties["Body"])
	return errors.Join(problems...)
}

// integration notes the role of an integration of a type, without which API Gateway cannot call an AWS service.
func (a *Authority) integration(who, kind, role string) error {
	if role == callersCredentials {
		return nil
	}
	if role == "" {
		if kind == "AWS" {
			return errors.New("must have credentials, the role with which API Gateway calls the service")
		}
		return nil
	}
	a.require(need{who: who, role: role, service: apiGateway, source: a.cloud.ARN("execute-api", "*")})
	return nil
}
