package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// A Stack is one stack of an assembly with its template, or a template that stands alone.
type Stack struct {
	// ID is the stack's id in the manifest, for example "Orders-dev".
	ID string
	// Name is the stack's name in CloudFormation.
	Name string
	// DisplayName is the stack's construct path, which `cdk list` shows: "Prod/Orders" inside a stage.
	DisplayName string
	// Dir is the assembly's folder, or that of the stack's stage. Asset paths in the template are relative to it.
	Dir string
	// Root is the folder of the whole assembly. Nothing that the assembly names lies outside of it. It is empty for a template
	// that stands alone.
	Root string
	// Account and Region are empty where the app leaves them to the deployment.
	Account, Region string

	assembly     *Assembly // nil for a template that stands alone
	after        []string  // ids of stacks that are deployed before
	raw          []byte
	file         string
	metadataFile string
	paths        paths
	template     document
}

// A document is a template, with the sections that this package uses. It ignores Rules, the checks before a deployment.
type document struct {
	Transform  any                                  `json:"Transform"`
	Parameters ordered[parameter]                   `json:"Parameters"`
	Mappings   map[string]map[string]map[string]any `json:"Mappings"`
	Conditions map[string]any                       `json:"Conditions"`
	Resources  ordered[declaration]                 `json:"Resources"`
	Outputs    ordered[output]                      `json:"Outputs"`
}

// A declaration is a resource as the template declares it.
type declaration struct {
	Type       string         `json:"Type"`
	Condition  string         `json:"Condition"`
	DependsOn  oneOrMore      `json:"DependsOn"`
	Properties any            `json:"Properties"`
	Metadata   map[string]any `json:"Metadata"`
}

type output struct {
	Condition   string `json:"Condition"`
	Description string `json:"Description"`
	Value       any    `json:"Value"`
	Export      *struct {
		Name any `json:"Name"`
	} `json:"Export"`
}

// is reports whether the stack goes by that name: its display name, stack name or artifact id.
func (s *Stack) is(name string) bool { return name == s.DisplayName || name == s.Name || name == s.ID }

// load reads the template and the construct paths, once.
func (s *Stack) load() (*Stack, error) {
	if s.raw != nil {
		return s, nil
	}
	raw, err := os.ReadFile(s.file)
	if err != nil {
		return nil, fmt.Errorf("template of %s: %w", s.DisplayName, err)
	}
	if err := s.parse(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	if s.metadataFile == "" {
		return s, nil
	}
	raw, err = os.ReadFile(s.metadataFile)
	if err != nil {
		return nil, fmt.Errorf("metadata of %s: %w", s.DisplayName, err)
	}
	if err := json.Unmarshal(raw, &s.paths); err != nil {
		return nil, fmt.Errorf("%s: %w", s.metadataFile, err)
	}
	return s, nil
}

// Text returns the template as it was synthesized or written.
func (s *Stack) Text() string { return string(s.raw) }

// parse reads the text of a template, JSON or YAML.
func (s *Stack) parse(raw []byte) error {
	s.raw = raw
	if text := bytes.TrimSpace(raw); len(text) == 0 || text[0] != '{' {
		var err error
		if raw, err = fromYAML(raw); err != nil {
			return fmt.Errorf("the template must be JSON or YAML: %w", err)
		}
	}
	if err := checkForm(raw); err != nil {
		return err
	}
	return decode(raw, &s.template)
}

// Declared returns the resources of a type as the template declares them: without properties, and whether or not
// their condition holds.
func (s *Stack) Declared(kind string) []Resource {
	var found []Resource
	for _, id := range s.template.Resources.names {
		if d := s.template.Resources.byName[id]; d.Type == kind {
			found = append(found, s.resource(id, d))
		}
	}
	return found
}

// resource returns a resource as the template declares it.
func (s *Stack) resource(id string, d declaration) Resource {
	return Resource{
		LogicalID: id, Type: d.Type, Stack: s.Name, Dir: s.Dir, Root: s.Root, Path: s.path(id, d),
		PhysicalName: physicalName(s.Name, id), Metadata: d.Metadata,
	}
}

// decode keeps numbers as they are written, so that 1000000 does not become 1e+06 in a string.
func decode(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into)
}

// paths holds the construct paths of logical ids, from the metadata of the manifest.
type paths map[string]string

// UnmarshalJSON implements json.Unmarshaler for {"/path": [{"type": "aws:cdk:logicalId", "data": "Id"}]}.
func (p *paths) UnmarshalJSON(raw []byte) error {
	var metadata map[string][]struct {
		Type string `json:"type"`
		Data any    `json:"data"`
	}
	if err := json.Unmarshal(raw, &metadata); err != nil {
		return err
	}
	*p = paths{}
	for path, entries := range metadata {
		for _, entry := range entries {
			if id, ok := entry.Data.(string); ok && entry.Type == "aws:cdk:logicalId" {
				(*p)[id] = strings.TrimPrefix(path, "/")
			}
		}
	}
	return nil
}

// path returns the construct path of a resource, or "".
func (s *Stack) path(id string, d declaration) string {
	if path, ok := d.Metadata["aws:cdk:path"].(string); ok {
		return path
	}
	return s.paths[id]
}

// oneOrMore holds a string or a list of strings.
type oneOrMore []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMore) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(o))
}

// An ordered is a JSON object that keeps the order of its members: the order of the constructs.
type ordered[T any] struct {
	names  []string
	byName map[string]T
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *ordered[T]) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" { // a section of YAML with nothing in it
		return nil
	}
	entries, err := members(raw)
	if err != nil {
		return err
	}
	o.byName = make(map[string]T, len(entries))
	for _, entry := range entries {
		var value T
		if err := decode(entry.value, &value); err != nil {
			return fmt.Errorf("%s: %w", entry.name, err)
		}
		if _, repeated := o.byName[entry.name]; repeated {
			return fmt.Errorf("%s must be declared once, got two", entry.name)
		}
		o.names = append(o.names, entry.name)
		o.byName[entry.name] = value
	}
	return nil
}

type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of a JSON object in their order.
func members(raw []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("the value must be a JSON object")
	}
	var all []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: name.(string)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}
