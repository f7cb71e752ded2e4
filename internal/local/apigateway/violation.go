package apigateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// describe returns what is wrong with an instance in the form of $context.error.validationErrorString:
// "[object has missing required properties (["currency"]), …]". The texts are those of the validator
// that API Gateway uses, as its users quote them; they do not contain the place in the body.
func describe(invalid *jsonschema.ValidationError, instance any) error {
	var found []violation
	collect(invalid, instance, &found)
	slices.SortFunc(found, func(a, b violation) int {
		if order := strings.Compare(a.location, b.location); order != 0 {
			return order
		}
		return strings.Compare(a.text, b.text)
	})
	texts := make([]string, len(found))
	for i, v := range found {
		texts[i] = v.text
	}
	return errors.New("[" + strings.Join(texts, ", ") + "]")
}

type violation struct{ location, text string }

func collect(e *jsonschema.ValidationError, instance any, found *[]violation) {
	switch e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range e.Causes {
			collect(cause, instance, found)
		}
	default:
		location := strings.Join(e.InstanceLocation, "/")
		*found = append(*found, violation{location, textOf(e, valueAt(instance, e.InstanceLocation))})
	}
}

func textOf(e *jsonschema.ValidationError, value any) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return "object has missing required properties (" + list(k.Missing) + ")"
	case *kind.AdditionalProperties:
		return "object instance has properties which are not allowed by the schema: " + list(k.Properties)
	case *kind.Type:
		return fmt.Sprintf("instance type (%s) does not match any allowed primitive type (allowed: %s)", typeOf(value), list(allowedTypes(k.Want)))
	case *kind.Enum:
		return fmt.Sprintf("instance value (%s) not found in enum (possible values: %s)", compact(k.Got), compact(k.Want))
	case *kind.MinLength:
		return fmt.Sprintf("string %s is too short (length: %d, required minimum: %d)", compact(value), k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("string %s is too long (length: %d, maximum allowed: %d)", compact(value), k.Got, k.Want)
	case *kind.Pattern:
		return fmt.Sprintf("ECMA 262 regex %s does not match input string %s", compact(k.Want), compact(k.Got))
	case *kind.Minimum:
		return fmt.Sprintf("numeric instance is lower than the required minimum (minimum: %s, found: %s)", number(k.Want), number(k.Got))
	case *kind.Maximum:
		return fmt.Sprintf("numeric instance is greater than the required maximum (maximum: %s, found: %s)", number(k.Want), number(k.Got))
	case *kind.ExclusiveMinimum:
		return "numeric instance is not strictly greater than the required minimum " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "numeric instance is not strictly lower than the required maximum " + number(k.Want)
	case *kind.MultipleOf:
		return fmt.Sprintf("remainder of division is not zero (%s / %s)", number(k.Got), number(k.Want))
	case *kind.MinItems:
		return fmt.Sprintf("array is too short: must have at least %d elements but instance has %d elements", k.Want, k.Got)
	case *kind.MaxItems:
		return fmt.Sprintf("array is too long: must have at most %d elements but instance has %d elements", k.Want, k.Got)
	case *kind.UniqueItems:
		return "array must not contain duplicate elements"
	case *kind.MinProperties:
		return fmt.Sprintf("object has too few properties (found %d but schema requires at least %d)", k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("object has too many properties (found %d but schema requires at most %d)", k.Got, k.Want)
	case *kind.OneOf:
		return fmt.Sprintf("instance failed to match exactly one schema (matched %d)", len(k.Subschemas))
	case *kind.AnyOf:
		return "instance failed to match at least one required schema"
	case *kind.Not:
		return "instance matched a schema which it should not have"
	default:
		return compact(value) + " does not match the schema: " + strings.Join(k.KeywordPath(), "/")
	}
}

// allowedTypes returns the allowed types, sorted. A number may be an integer.
func allowedTypes(want []string) []string {
	types := slices.Clone(want)
	if slices.Contains(types, "number") {
		types = append(types, "integer")
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func typeOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "integer"
		}
		return "number"
	default:
		return "object"
	}
}

// valueAt returns the value in the instance that a violation is about.
func valueAt(instance any, location []string) any {
	for _, step := range location {
		switch container := instance.(type) {
		case map[string]any:
			instance = container[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(container) {
				return nil
			}
			instance = container[i]
		}
	}
	return instance
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func list(names []string) string {
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	return compact(sorted)
}

// compact returns the value as JSON in one line.
func compact(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSuffix(out.String(), "\n")
}
