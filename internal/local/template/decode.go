package template

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Decode reads the properties into a struct with json tags. CloudFormation's scalars may be written as one another: a
// number or boolean is taken for a string, and a string for a number or boolean ([Int], [Bool]).
//
// A property that the struct does not have is an error that names it: the local run must not silently ignore what it
// does not support. Properties without an effect locally have the type [Ignored]. While [Stack.Provision] runs, these
// errors come after the Provision's own: why a resource cannot run here says more than which of its properties are
// not known.
func (r Resource) Decode(into any) error {
	raw, err := json.Marshal(r.Properties)
	if err != nil {
		return fmt.Errorf("properties: %w", err)
	}
	var properties any
	if err := decode(raw, &properties); err != nil {
		return fmt.Errorf("properties: %w", err)
	}
	var d decoder
	fitted := d.fit(properties, reflect.TypeOf(into).Elem(), nil)
	if raw, err = json.Marshal(fitted); err == nil && len(d.wrong) == 0 {
		err = json.Unmarshal(raw, into)
	}
	wrong := errors.Join(append(d.wrong, err)...)
	if r.unknown == nil {
		return errors.Join(append([]error{wrong}, d.unknown...)...)
	}
	*r.unknown = d.unknown
	return wrong
}

// A decoder fits a value to a type and collects everything that does not fit.
type decoder struct {
	wrong   []error // values of a wrong type
	unknown []error // properties that the type does not have
}

var (
	jsonType = reflect.TypeFor[json.Unmarshaler]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// fit returns the value as the type has it: scalars converted, and without what is wrong or not known.
func (d *decoder) fit(value any, t reflect.Type, at []string) any {
	if value == nil {
		return nil
	}
	if pointer := reflect.PointerTo(t); pointer.Implements(jsonType) || pointer.Implements(textType) {
		return d.check(value, t, at)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.fit(value, t.Elem(), at)
	case reflect.Struct:
		return d.fitStruct(value, t, at)
	case reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			return d.refuse(value, "an object", at)
		}
		for _, name := range slices.Sorted(maps.Keys(object)) {
			object[name] = d.fit(object[name], t.Elem(), append(slices.Clone(at), name))
		}
		return object
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			return d.refuse(value, "a list", at)
		}
		for i := range list {
			list[i] = d.fit(list[i], t.Elem(), append(slices.Clone(at), fmt.Sprint(i)))
		}
		return list
	case reflect.String:
		text, err := scalar(value)
		if err != nil {
			return d.refuse(value, "a string", at)
		}
		return text
	default:
		return value
	}
}

func (d *decoder) fitStruct(value any, t reflect.Type, at []string) any {
	object, ok := value.(map[string]any)
	if !ok {
		return d.refuse(value, "an object", at)
	}
	fields := fieldsOf(t)
	fitted := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		here := append(slices.Clone(at), name)
		field, ok := fields[name]
		if !ok {
			d.unknown = append(d.unknown, fmt.Errorf("property %s is not supported by the local run", strings.Join(here, ".")))
			continue
		}
		if v := d.fit(object[name], field, here); v != nil {
			fitted[name] = v
		}
	}
	return fitted
}

// fieldsOf returns the types of a struct's fields by their names in JSON, with those of embedded structs.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous || !field.IsExported() || name == "-":
		case name != "":
			fields[name] = field.Type
		default:
			fields[field.Name] = field.Type
		}
	}
	return fields
}

// check lets a type that reads JSON itself try, so that its error is reported with the place.
func (d *decoder) check(value any, t reflect.Type, at []string) any {
	raw, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(raw, reflect.New(t).Interface())
	}
	if err != nil {
		d.wrong = append(d.wrong, fmt.Errorf("property %s: %w", strings.Join(at, "."), err))
		return nil
	}
	return value
}

func (d *decoder) refuse(value any, want string, at []string) any {
	d.wrong = append(d.wrong, fmt.Errorf("property %s must be %s, got %s", strings.Join(at, "."), want, shorten(value)))
	return nil
}

// shorten returns a value as JSON for an error, at most 60 bytes of it.
func shorten(value any) string {
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	text := strings.TrimSuffix(raw.String(), "\n")
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}
