// Package environment keeps which environment variables an application gave a function. Whoever adds variables of its
// own to the function later would overwrite them without a word, and CDK shows a function's variables to nobody.
package environment

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// kind is the kind of the function's metadata. It reaches no template.
const kind = "outboxkit:environment"

// Keep keeps the names of the variables.
func Keep(function awslambda.Function, variables *map[string]*string) {
	if variables != nil {
		function.Node().AddMetadata(jsii.String(kind), slices.Sorted(maps.Keys(*variables)), nil)
	}
}

// Names returns the names that were kept, in order: none of a function of which nothing is known.
func Names(function awslambda.Function) []string {
	var names []string
	for _, entry := range *function.Node().Metadata() {
		if kept, ok := entry.Data.([]any); ok && *entry.Type == kind {
			for _, name := range kept {
				names = append(names, name.(string))
			}
		}
	}
	return names
}
