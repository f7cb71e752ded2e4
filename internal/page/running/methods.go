package running

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/page"
)

// An apiTemplate is what of a template describes a REST API.
type apiTemplate struct {
	Resources map[string]struct {
		Type       string
		Properties struct {
			ParentID          any `json:"ParentId"`
			PathPart          string
			Resource          any    `json:"ResourceId"`
			HTTPMethod        string `json:"HttpMethod"`
			AuthorizationType string
			RequestModels     map[string]any
			RequestParameters map[string]any
			Schema            json.RawMessage
		}
	}
}

// methods returns the methods of the REST API that a template describes.
func methods(template []byte) ([]page.Method, error) {
	var t struct{ Resources map[string]json.RawMessage }
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, fmt.Errorf("read the methods from the template: %w", err)
	}
	var api apiTemplate
	kept := map[string]json.RawMessage{}
	for id, raw := range t.Resources {
		var of struct{ Type string }
		if json.Unmarshal(raw, &of) == nil && strings.HasPrefix(of.Type, "AWS::ApiGateway::") {
			kept[id] = raw
		}
	}
	raw, err := json.Marshal(map[string]any{"Resources": kept})
	if err == nil {
		err = json.Unmarshal(raw, &api)
	}
	if err != nil {
		return nil, fmt.Errorf("read the methods from the template: %w", err)
	}
	all := []page.Method{}
	for _, r := range api.Resources {
		if r.Type != "AWS::ApiGateway::Method" || r.Properties.HTTPMethod == "OPTIONS" {
			continue
		}
		p := r.Properties
		m := page.Method{Verb: p.HTTPMethod, Path: api.path(p.Resource), Signed: p.AuthorizationType == "AWS_IAM", Headers: map[string]string{}}
		if m.Verb == "ANY" {
			m.Verb = "POST"
		}
		for name := range p.RequestParameters {
			if header, ok := strings.CutPrefix(name, "method.request.header."); ok {
				m.Headers[header] = ""
			}
		}
		for _, model := range p.RequestModels {
			if found, ok := api.Resources[reference(model)]; ok && found.Properties.Schema != nil {
				m.Example = example(found.Properties.Schema)
			}
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b page.Method) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Verb, b.Verb))
	})
	return all, nil
}

// path returns the path of a resource: its part after those of its parents.
func (t apiTemplate) path(resource any) string {
	r, ok := t.Resources[reference(resource)]
	if !ok || r.Type != "AWS::ApiGateway::Resource" { // the root
		return "/"
	}
	return strings.TrimSuffix(t.path(r.Properties.ParentID), "/") + "/" + r.Properties.PathPart
}

// reference returns the logical id of a Ref, or "".
func reference(value any) string {
	object, _ := value.(map[string]any)
	id, _ := object["Ref"].(string)
	return id
}
