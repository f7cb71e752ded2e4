package flow

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// inSub matches the names in the text of an Fn::Sub.
var inSub = regexp.MustCompile(`\$\{([A-Za-z0-9/-]+)(?:\.[A-Za-z0-9.]+)?\}`)

// references returns the ids of the resources that a value refers to, in both branches of an Fn::If too.
func (d document) references(value any) []string {
	var found []string
	add := func(id string) {
		if _, ok := d.Resources[id]; ok && !slices.Contains(found, id) {
			found = append(found, id)
		}
	}
	var visit func(any)
	visit = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, element := range v {
				visit(element)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				switch argument := v[name].(type) {
				case string:
					switch name {
					case "Fn::ImportValue":
						visit(d.exported(argument))
					case "Ref", "Fn::GetAtt":
						id, _, _ := strings.Cut(argument, ".")
						add(id)
					case "Fn::Sub":
						for _, match := range inSub.FindAllStringSubmatch(argument, -1) {
							add(match[1])
						}
					}
				case []any:
					if id, ok := first(argument).(string); ok && name == "Fn::GetAtt" {
						add(id)
					} else if ok && name == "Fn::Sub" {
						visit(map[string]any{name: id})
					}
					visit(argument)
				default:
					visit(argument)
				}
			}
		}
	}
	visit(value)
	return found
}

// exported returns the value of an output that another of the stacks imports, nil where none of them has it.
func (d document) exported(name string) any {
	for _, o := range d.Outputs {
		if o.Export.Name == name {
			return o.Value
		}
	}
	return nil
}

func first(list []any) any {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// at returns the value at a path of property names, nil where there is none.
func at(value any, path ...string) any {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// list returns a value's elements: its own where it is a list, else itself, and none of nil.
func list(value any) []any {
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{value}
}

// texts returns the strings of a value that may be one or a list.
func texts(value any) []string {
	var all []string
	for _, v := range list(value) {
		if text, ok := v.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// outsideName returns what the template calls something that is none of its resources: the end of an ARN or URL, or a
// function such as Fn::ImportValue with its argument.
func outsideName(value any) string {
	if text, ok := value.(string); ok {
		return text[strings.LastIndexAny(text, ":/")+1:]
	}
	if object, ok := value.(map[string]any); ok && len(object) == 1 {
		for name, argument := range object {
			if text, ok := argument.(string); ok && name != "Fn::Sub" {
				return text
			}
		}
	}
	// The last text in it: of an ARN that is joined from parts, the name.
	var last string
	var visit func(any)
	visit = func(value any) {
		switch v := value.(type) {
		case string:
			if name := v[strings.LastIndexAny(v, ":/")+1:]; name != "" {
				last = name
			}
		case []any:
			for _, element := range v {
				visit(element)
			}
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				visit(v[name])
			}
		}
	}
	visit(value)
	return last
}

// compact returns a value as JSON for a person, at most 80 bytes of it.
func compact(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	if len(raw) > 80 {
		return strings.ToValidUTF8(string(raw[:80]), "") + "…"
	}
	return string(raw)
}
