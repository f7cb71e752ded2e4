// Package local runs a synthesized CDK stack on this machine, with no AWS account and no Docker: the tables in
// DynamoDB Local, the queues in fauxqs, and the REST API, pipes, rules, event source mappings and functions by
// itself, with AWS's semantics. It reads nothing but the cloud assembly.
//
// Each folder below it stands in for one AWS service. None of them knows the code of stacks/ or constructs/:
// they know templates and AWS's contracts. Everything listens on 127.0.0.1 only.
package local

import (
	"errors"
	"fmt"
)

// Options say what to run and where. The zero value runs the first stack of ./cdk.out on ports that the system
// chooses, in a temporary folder.
type Options struct {
	// App is the folder that cdk synth wrote.
	App string
	// Stack is the name of the stack. Default: the first of the app.
	Stack string
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
	// Page is the URL of the page that shows the run, for whoever starts it. Default: there is none.
	Page string
	// Auth checks the callers of the API: the signature of their requests, and the policies of a caller that is a role.
	Auth bool
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

// Validate reports what is wrong with the options.
func (o Options) Validate() error {
	if highest := 65535 - ports; o.Port < 0 || o.Port > highest {
		return fmt.Errorf("--port must be a whole number from 0 to %d, got %d", highest, o.Port)
	}
	if o.IAM != "" && o.IAM != IAMOn && o.IAM != IAMOff {
		return fmt.Errorf("--iam must be %s or %s, got %q", IAMOn, IAMOff, o.IAM)
	}
	if o.Auth && o.IAM == IAMOff {
		return errors.New("--auth needs --iam=on, got --iam=off")
	}
	return nil
}
