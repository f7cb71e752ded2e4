package golambda

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
)

// ownOptions are the fields of CDK's options that this package sets, with where to set them instead.
var ownOptions = map[string]string{
	"Architecture":                 "set FunctionProps.Architecture",
	"Description":                  "set FunctionProps.Description",
	"Environment":                  "set FunctionProps.Environment",
	"EnvironmentEncryption":        "set FunctionProps.EncryptionKey",
	"MemorySize":                   "set FunctionProps.MemorySize",
	"ReservedConcurrentExecutions": "set FunctionProps.ReservedConcurrentExecutions",
	"Timeout":                      "set FunctionProps.Timeout",
	"LogGroup":                     "a function has a log group of its own, see FunctionProps.LogRetention",
	"LogRemovalPolicy":             "set FunctionProps.RemovalPolicy",
	"LogRetention":                 "set FunctionProps.LogRetention",
	"LogRetentionRetryOptions":     "set FunctionProps.LogRetention",
	"LogRetentionRole":             "set FunctionProps.LogRetention",
	"LogFormat":                    "logs are JSON",
	"LoggingFormat":                "logs are JSON",
	"Role":                         "a function has a role of its own, which Function.AddToRolePolicy and InitialPolicy extend",
	"Tracing":                      "set FunctionProps.Tracing",
}

// validateOptions refuses, by name, what is set elsewhere.
func validateOptions(options *awslambda.FunctionOptions) error {
	var problems []error
	for _, name := range given(options) {
		if instead, own := ownOptions[name]; own {
			problems = append(problems, fmt.Errorf("Options.%s must not be set: %s", name, instead))
		}
	}
	return errors.Join(problems...)
}

// given returns the names of the fields that have a value, in order.
func given(options *awslambda.FunctionOptions) []string {
	if options == nil {
		return nil
	}
	var names []string
	fields := reflect.ValueOf(options).Elem()
	for i := range fields.NumField() {
		if !fields.Field(i).IsZero() {
			names = append(names, fields.Type().Field(i).Name)
		}
	}
	slices.Sort(names)
	return names
}

// apply sets what the options give. CDK has the same fields in both structs, and further ones with every
// version: naming them here would leave out the newest.
func apply(options *awslambda.FunctionOptions, props *awslambda.FunctionProps) {
	to := reflect.ValueOf(props).Elem()
	for _, name := range given(options) {
		to.FieldByName(name).Set(reflect.ValueOf(options).Elem().FieldByName(name))
	}
}
