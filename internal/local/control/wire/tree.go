package wire

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// An object is a struct of an answer: its fields in their order.
type object []field

// entries are a map of an answer.
type entries map[string]any

type field struct {
	name  string
	value any
}

// tree returns the answer as objects, lists ([]any), texts, numbers (int64, float64), booleans and times. Fields without a
// value are left out: nil pointers, slices and maps, empty texts and zero times.
func tree(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	switch value := v.Interface().(type) {
	case time.Time:
		return value
	case json.Number: // of a template
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		number, _ := value.Float64()
		return number
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return tree(v.Elem())
	case reflect.Struct:
		return structFields(v)
	case reflect.Map:
		m := entries{}
		for _, key := range v.MapKeys() {
			m[key.String()] = tree(v.MapIndex(key))
		}
		return m
	case reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			list = append(list, tree(v.Index(i)))
		}
		return list
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Float64:
		return v.Float()
	default:
		panic(fmt.Sprintf("an answer has a %s, which no protocol has", v.Type()))
	}
}

func structFields(v reflect.Value) object {
	o := object{}
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		if absent(value) {
			continue
		}
		if f.Anonymous {
			o = append(o, tree(value).(object)...)
			continue
		}
		name := f.Name
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag != "" {
			name = tag
		}
		o = append(o, field{name, tree(value)})
	}
	return o
}

func absent(v reflect.Value) bool {
	if t, ok := v.Interface().(time.Time); ok {
		return t.IsZero()
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return v.IsNil()
	case reflect.String:
		return v.Len() == 0
	default:
		return false
	}
}
