package template_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// parameterized returns a stack whose resource has the value of its parameter P.
func parameterized(t *testing.T, parameter string) *template.Stack {
	t.Helper()
	return stack(t, fmt.Sprintf(`{"Parameters": {"P": %s}, "Resources": {"A": {"Type": "T", "Properties": {"X": {"Ref": "P"}}}}}`, parameter))
}

// set returns the environment with values of parameters.
func set(parameters ...string) template.Environment {
	env := environment
	env.Parameters = parameters
	return env
}

func TestParameters(t *testing.T) {
	for name, c := range map[string]struct {
		parameter string
		given     []string
		want      any
	}{
		"a default":             {`{"Type": "String", "Default": "dev"}`, nil, "dev"},
		"a value":               {`{"Type": "String", "Default": "dev"}`, []string{"P=prod"}, "prod"},
		"an empty value":        {`{"Type": "String", "Default": "dev"}`, []string{"P="}, ""},
		"a value with a =":      {`{"Type": "String"}`, []string{"P=a=b:c"}, "a=b:c"},
		"a value of the stack":  {`{"Type": "String"}`, []string{"Orders-dev:P=x"}, "x"},
		"a number":              {`{"Type": "Number", "Default": 3, "MinValue": 1, "MaxValue": "5"}`, nil, "3"},
		"a fraction":            {`{"Type": "Number", "MinValue": 0.5}`, []string{"P=0.75"}, "0.75"},
		"numbers":               {`{"Type": "List<Number>", "MaxValue": 9}`, []string{"P=1, 2"}, []any{"1", "2"}},
		"texts":                 {`{"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}`, []string{"P=a,b"}, []any{"a", "b"}},
		"an allowed value":      {`{"Type": "String", "AllowedValues": [true, 1]}`, []string{"P=true"}, "true"},
		"a pattern":             {`{"Type": "String", "AllowedPattern": "a|bc"}`, []string{"P=bc"}, "bc"},
		"characters, not bytes": {`{"Type": "String", "MaxLength": "2"}`, []string{"P=äö"}, "äö"},
		"the name of something": {`{"Type": "AWS::EC2::VPC::Id"}`, []string{"P=vpc-1"}, "vpc-1"},
		"names of something":    {`{"Type": "List<AWS::EC2::Subnet::Id>"}`, []string{"P=a,b"}, []any{"a", "b"}},
		"the name of a stored":  {`{"Type": "AWS::SSM::Parameter::Name"}`, []string{"P=/x"}, "/x"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := parameterized(t, c.parameter).Provision(t.Context(), set(c.given...), fakes("T"))
			if err != nil {
				t.Fatal(err)
			}
			if got := d.Resources[0].Properties["X"]; !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
		})
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		parameter string
		given     []string
		want      string
	}{
		"no value": {
			`{"Type": "String", "Description": "where it runs", "AllowedValues": ["dev", "prod"]}`, nil,
			"stack Orders-dev: parameter P must have a value, because it has no default: add --parameter P=VALUE (String; where it runs; one of dev, prod)",
		},
		"another value":         {`{"Type": "String", "AllowedValues": ["dev", "prod"]}`, []string{"P=test"}, `parameter P must be one of dev, prod, got "test"`},
		"a default of no kind":  {`{"Type": "String", "AllowedValues": ["dev"], "Default": "x"}`, nil, `parameter P must be one of dev, got "x"`},
		"an element":            {`{"Type": "CommaDelimitedList", "AllowedValues": ["a"]}`, []string{"P=a,b"}, `parameter P must be one of a, got "a,b"`},
		"part of a pattern":     {`{"Type": "String", "AllowedPattern": "[a-z]+", "ConstraintDescription": "small letters only"}`, []string{"P=a1"}, `parameter P must match [a-z]+, got "a1" (small letters only)`},
		"a pattern of Java":     {`{"Type": "String", "AllowedPattern": "(?=a)"}`, []string{"P=a"}, "parameter P must have an AllowedPattern that Go's regexp takes (error parsing regexp: "},
		"no number":             {`{"Type": "Number"}`, []string{"P=many"}, `parameter P must be a number, got "many"`},
		"too little":            {`{"Type": "Number", "MinValue": 2}`, []string{"P=1"}, `parameter P must be at least 2, got "1"`},
		"too much":              {`{"Type": "List<Number>", "MaxValue": "2"}`, []string{"P=1,3"}, `parameter P must be at most 2, got "1,3"`},
		"too short":             {`{"Type": "String", "MinLength": 2}`, []string{"P=a"}, `parameter P must have a length of at least 2, got "a"`},
		"too long":              {`{"Type": "String", "MaxLength": 2}`, []string{"P=abc"}, `parameter P must have a length of at most 2, got "abc"`},
		"an unknown type":       {`{"Type": "Boolean", "Default": "true"}`, nil, `parameter P: the type must be one of CloudFormation's, got "Boolean"`},
		"a list as default":     {`{"Type": "String", "Default": ["a"]}`, nil, "default of parameter P: the value must be a string"},
		"an unknown parameter":  {`{"Type": "String", "Default": "a"}`, []string{"Q=secret"}, `--parameter must name one of P, got "Q"`},
		"of another stack":      {`{"Type": "String", "Default": "a"}`, []string{"Other:P=secret"}, `--parameter must name one of P, got "Other:P"`},
		"no value after a name": {`{"Type": "String", "Default": "a"}`, []string{"P"}, `--parameter must be NAME=VALUE or STACK:NAME=VALUE, got "P"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parameterized(t, c.parameter).Provision(t.Context(), set(c.given...), fakes("T"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// Every rule that a value breaks is said, and a value that is not to be echoed is not.
func TestAllThatIsWrongWithParameters(t *testing.T) {
	_, err := parameterized(t, `{"Type": "String", "MinLength": 9, "AllowedPattern": "[a-z]+", "NoEcho": "true"}`).Provision(t.Context(), set("P=HUSH", "Q=HUSH"), fakes("T"))
	if err == nil || strings.Contains(err.Error(), "HUSH") {
		t.Fatalf("error is %v", err)
	}
	want := []string{
		`--parameter must name one of P, got "Q"`,
		"stack Orders-dev: parameter P must match [a-z]+, got a value that is not shown (NoEcho)",
		"parameter P must have a length of at least 9, got a value that is not shown (NoEcho)",
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// The parameters by which the CDK's legacy synthesizer names what the CLI has uploaded need no value, nor does one that is
// read from the SSM Parameter Store and that nothing refers to.
func TestParametersOfTheCDK(t *testing.T) {
	s := stack(t, `{"Parameters": {
		"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk-bootstrap/hnb659fds/version"},
		"AssetParameters1234S3Bucket": {"Type": "String"}
	}, "Resources": {"A": {"Type": "T", "Properties": {"X": {"Ref": "AssetParameters1234S3Bucket"}}}}}`)
	if d := provision(t, s); d.Resources[0].Properties["X"] != "AssetParameters1234S3Bucket" {
		t.Errorf("it is %v", d.Resources[0].Properties)
	}
}

// A condition depends on the value of the run.
func TestAParameterChoosesResources(t *testing.T) {
	s := stack(t, `{"Parameters": {"Stage": {"Type": "String", "Default": "dev"}}, "Conditions": {"Prod": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}},
		"Resources": {"A": {"Type": "T", "Condition": "Prod"}}}`)
	for stage, want := range map[string]int{"dev": 0, "prod": 1} {
		d, err := s.Provision(t.Context(), set("Stage="+stage), fakes("T"))
		if err != nil || len(d.Resources) != want {
			t.Errorf("%s: %v, %v", stage, d, err)
		}
	}
}
