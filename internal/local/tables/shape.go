package tables

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// ErrChanged is wrapped by the error of a Provision when the data folder has a table of the same name and another
// schema.
var ErrChanged = errors.New("the table in the data folder differs from the template")

// A shape describes what cannot be changed in a table that exists, one aspect in each entry.
type shape map[string]string

// compareShapes returns an error that names every difference between the template's table and the existing one.
func compareShapes(want *dynamodb.CreateTableInput, have *types.TableDescription) error {
	wanted, found := shapeOfInput(want), shapeOfTable(have)
	var aspects []string
	for aspect := range wanted {
		aspects = append(aspects, aspect)
	}
	for aspect := range found {
		if _, listed := wanted[aspect]; !listed {
			aspects = append(aspects, aspect)
		}
	}
	slices.Sort(aspects)
	problems := []error{}
	for _, aspect := range aspects {
		if wanted[aspect] != found[aspect] {
			problems = append(problems, fmt.Errorf("%s must be %s as in the template, got %s", aspect, orNone(wanted[aspect]), orNone(found[aspect])))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w: table %s: %w; start with another --data folder", ErrChanged, aws.ToString(want.TableName), errors.Join(problems...))
}

func shapeOfInput(in *dynamodb.CreateTableInput) shape {
	s := shape{"key schema": keys(in.KeySchema), "attributes": attributes(in.AttributeDefinitions)}
	for _, i := range in.GlobalSecondaryIndexes {
		s.index("global", i.IndexName, i.KeySchema, i.Projection)
	}
	for _, i := range in.LocalSecondaryIndexes {
		s.index("local", i.IndexName, i.KeySchema, i.Projection)
	}
	s.stream(in.StreamSpecification)
	return s
}

func shapeOfTable(t *types.TableDescription) shape {
	s := shape{"key schema": keys(t.KeySchema), "attributes": attributes(t.AttributeDefinitions)}
	for _, i := range t.GlobalSecondaryIndexes {
		s.index("global", i.IndexName, i.KeySchema, i.Projection)
	}
	for _, i := range t.LocalSecondaryIndexes {
		s.index("local", i.IndexName, i.KeySchema, i.Projection)
	}
	s.stream(t.StreamSpecification)
	return s
}

func (s shape) index(kind string, name *string, schema []types.KeySchemaElement, p *types.Projection) {
	projected := append([]string{string(p.ProjectionType)}, slices.Sorted(slices.Values(p.NonKeyAttributes))...)
	s[fmt.Sprintf("%s index %s", kind, aws.ToString(name))] = keys(schema) + " with " + strings.Join(projected, " ")
}

func (s shape) stream(spec *types.StreamSpecification) {
	if spec != nil && aws.ToBool(spec.StreamEnabled) {
		s["stream"] = string(spec.StreamViewType)
	}
}

func keys(schema []types.KeySchemaElement) string {
	var parts []string
	for _, k := range schema {
		parts = append(parts, aws.ToString(k.AttributeName)+" "+string(k.KeyType))
	}
	return strings.Join(parts, ", ")
}

func attributes(definitions []types.AttributeDefinition) string {
	var parts []string
	for _, a := range definitions {
		parts = append(parts, aws.ToString(a.AttributeName)+" "+string(a.AttributeType))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "missing"
	}
	return "(" + s + ")"
}
