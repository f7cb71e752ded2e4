// Package local runs synthesized CDK stacks, or a CloudFormation template, on this machine, with no AWS account and no Docker: the tables in
// DynamoDB Local, the queues in fauxqs, and the REST API, pipes, rules, event source mappings and functions by
// itself, with AWS's semantics. It reads nothing but the cloud assembly or the template, and the code that they name.
//
// Each folder below it stands in for one AWS service. None of them knows the code of stacks/ or constructs/:
// they know templates and AWS's contracts. Everything listens on 127.0.0.1 only.
package local

import (
	"errors"
	"fmt"
	"strings"
)

// Options say what to run and where. The zero value runs the first stack of ./cdk.out on ports that the system
// chooses, in a temporary folder.
type Options struct {
	// App is the folder that cdk synth wrote. Default: cdk.out.
	App string
	// Template is a CloudFormation template, JSON or YAML, that runs in place of an app. Default: none.
	Template string
	// Stacks are the names of the stacks. Default: the first of the app. With a Template it is one name, which the stack
	// gets; default: what the file is called.
	Stacks []string
	// All runs all stacks of the app.
	All bool
	// Parameters are values of the templates' parameters: "Name=value", or "Stack:Name=value" for one stack only.
	// Default: each parameter has its default.
	Parameters []string
	// StandIns are what is made in place of something that no stack of the run has: see [StandInForms]. Default: nothing.
	StandIns []string
	// Port of the REST API; the AWS endpoints take the ports after it. 0 lets the system choose all of them.
	Port int
	// Data is the folder that keeps tables, queues and positions. Default: a new temporary folder.
	Data string
	// Keep keeps the temporary folder at the end.
	Keep bool
	// Faults is a file with a plan of faults to inject, see [faults]. Default: none.
	Faults string
	// IAM is IAMOff to let every call in, whatever the policies of the template say. Default: they are enforced.
	IAM string
	// Watch builds a function again when a file of its source is saved, and applies another template when it is synthesized.
	Watch bool
	// Page is the URL of the page that shows the run, for whoever starts it. Default: there is none.
	Page string
	// Auth checks the callers of the API: the signature of their requests, and the policies of a caller that is a role.
	Auth bool

	// kept are the ports of the services before, which those of another template take. Default: those of Port.
	kept map[int]int
}

// The values of Options.IAM.
const (
	IAMOn  = "on"
	IAMOff = "off"
)

// PagePort returns the port for the page that shows the run: the one after the endpoints, or 0 where the system chooses.
func (o Options) PagePort() int { return o.portOf(ports) }

// ports is how many ports in a row a run takes: the REST API's and one for each endpoint.
const ports = 5

// What follows them has its place here, so that it has the same port in every run: the page, the REST APIs beside the first, and
// then the URLs of functions.
const (
	furtherAPIs  = ports + 1
	functionURLs = 10
)

// Validate reports everything that is wrong with the options.
func (o Options) Validate() error {
	var problems []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	highest := 65535 - ports
	require(o.Port >= 0 && o.Port <= highest, "--port must be a whole number from 0 to %d, got %d", highest, o.Port)
	require(o.IAM == "" || o.IAM == IAMOn || o.IAM == IAMOff, "--iam must be %s or %s, got %q", IAMOn, IAMOff, o.IAM)
	require(!o.Auth || o.IAM != IAMOff, "--auth needs --iam=on, got --iam=off")
	require(o.Template == "" || o.App == "", "--template must not stand beside --app, got %s and %s", o.Template, o.App)
	require(o.Template == "" || !o.All && len(o.Stacks) < 2, "--template is one stack, which --stack may name once: got several stacks")
	require(!o.All || len(o.Stacks) == 0, "--all must not stand beside --stack, got --stack %s", strings.Join(o.Stacks, ", "))
	_, err := standIns(o.StandIns)
	return errors.Join(append(problems, err)...)
}

// portOf returns the n-th port of the run, or 0 for one that the system chooses.
func (o Options) portOf(n int) int {
	if port, kept := o.kept[n]; kept {
		return port
	}
	if o.Port == 0 {
		return 0
	}
	return o.Port + n
}
