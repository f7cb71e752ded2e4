package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// A Resource is one entry of a template with every intrinsic resolved.
type Resource struct {
	// LogicalID is the resource's name in the template and in everything that the local run prints. Where another stack of the
	// run has the same name, its stack stands before it: "Orders-dev/Queue".
	LogicalID string
	// Type is the CloudFormation type, for example "AWS::SQS::Queue".
	Type string
	// Stack is the name of its stack in CloudFormation.
	Stack string
	// Dir is the folder of its template, which the paths of sources and assets are relative to.
	Dir string
	// Root is the folder that no asset may lie outside of, or empty where the template stands alone: see [Stack].
	Root string
	// Path is the construct path that CDK writes to the metadata ("Orders-dev/Outbox/Table/Resource"), or empty.
	Path string
	// PhysicalName is a name for a resource that has none in the template: unique in the run, the same in every
	// run, whichever other stacks are in it, at most 64 characters of [A-Za-z0-9-].
	PhysicalName string
	// Properties are the resolved properties. Decode reads them into a struct.
	Properties map[string]any
	// Metadata is the metadata of the resource, for example the place of a function's source.
	Metadata map[string]any

	// unknown takes the properties that Decode does not know, while Stack.Provision runs.
	unknown *[]error
}

// TemplateID returns the logical id of the resource in its own template.
func (r Resource) TemplateID() string { return r.LogicalID[strings.LastIndex(r.LogicalID, "/")+1:] }

// Attributes holds the values to which references to a resource resolve.
type Attributes struct {
	// Ref is the value of {"Ref": id}.
	Ref string
	// GetAtt holds the values of {"Fn::GetAtt": [id, name]}; a reference to any other attribute is an error.
	GetAtt map[string]string
}

// A Provision creates one resource in the local run, or finds it again after a restart, and returns the values to
// which references to it resolve. It must be safe to repeat on the data of an earlier run. The caller prefixes its
// error with the logical id and type.
type Provision func(ctx context.Context, r Resource) (Attributes, error)

// Ignored is the type of a property that has no effect locally.
type Ignored = any

// An Int is a whole number that a template may write as a number or as a string.
type Int int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *Int) UnmarshalJSON(raw []byte) error {
	var number int64
	if err := json.Unmarshal(bytes.Trim(raw, `"`), &number); err != nil {
		return fmt.Errorf("the value must be a whole number, got %s", raw)
	}
	*n = Int(number)
	return nil
}

// A Bool is a boolean that a template may write as a boolean or as a string.
type Bool bool

// UnmarshalJSON implements json.Unmarshaler.
func (b *Bool) UnmarshalJSON(raw []byte) error {
	var value bool
	if err := json.Unmarshal(bytes.Trim(raw, `"`), &value); err != nil {
		return fmt.Errorf("the value must be true or false, got %s", raw)
	}
	*b = Bool(value)
	return nil
}
