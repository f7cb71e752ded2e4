package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// A Resource is one entry of a template with every intrinsic resolved.
type Resource struct {
	// LogicalID names the resource in the template and in everything the local run prints.
	LogicalID string
	// Type is the CloudFormation type, for example "AWS::SQS::Queue".
	Type string
	// Path is the construct path that CDK leaves in the metadata ("Orders-dev/Outbox/Table/Resource"), or empty.
	Path string
	// PhysicalName is a name for resources that the template does not name: unique in the stack, the same
	// on every run, at most 64 characters of [A-Za-z0-9-].
	PhysicalName string
	// Properties as the template gives them. Decode reads them into a struct.
	Properties map[string]any
	// Metadata of the resource, for example where a function's source is.
	Metadata map[string]any
}

// Attributes are what references to a resource resolve to.
type Attributes struct {
	// Ref is the value of {"Ref": id}.
	Ref string
	// GetAtt holds the values of {"Fn::GetAtt": [id, name]}; an attribute not listed is an error that names it.
	GetAtt map[string]string
}

// A Provision creates one resource in the local run, or finds it there again after a restart, and
// says what references to it resolve to. It must be safe to repeat on data kept from an earlier run.
// Its error is prefixed by the caller with the logical id and type.
type Provision func(ctx context.Context, r Resource) (Attributes, error)

// Ignored is the type of a property that is known and has no effect locally.
type Ignored = any

// Decode reads the properties into a struct with json tags. A property the struct does not list is an
// error that names it: what the local run does not know it must not silently leave out. Properties that
// do not matter locally are listed with the type Ignored. CloudFormation's numbers and booleans may
// arrive as strings; use the types Int and Bool for them.
func (r Resource) Decode(into any) error {
	raw, err := json.Marshal(r.Properties)
	if err != nil {
		return fmt.Errorf("properties: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("property not supported by the local run: %w", err)
	}
	return nil
}

// Int is a whole number that a template may write as a number or as a string.
type Int int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *Int) UnmarshalJSON(raw []byte) error {
	var number int64
	if err := json.Unmarshal(bytes.Trim(raw, `"`), &number); err != nil {
		return fmt.Errorf("%s is not a whole number", raw)
	}
	*n = Int(number)
	return nil
}

// Bool is a truth value that a template may write as a boolean or as a string.
type Bool bool

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bool) UnmarshalJSON(raw []byte) error {
	var value bool
	if err := json.Unmarshal(bytes.Trim(raw, `"`), &value); err != nil {
		return fmt.Errorf("%s is not true or false", raw)
	}
	*b = Bool(value)
	return nil
}
