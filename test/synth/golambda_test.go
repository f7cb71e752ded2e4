package synth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsec2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
)

// synthesizeFunction is the template of a stack with one function, and the folder of its cloud assembly.
func synthesizeFunction(t *testing.T, props golambda.FunctionProps, context ...map[string]any) (template, string) {
	t.Helper()
	stack := awscdk.NewStack(newApp(t, context...), jsii.String("Stack"), nil)
	guard(t, func() { golambda.NewFunction(stack, jsii.String("Hello"), &props) })
	return synthesize(t, stack), *awscdk.App_Of(stack).Outdir()
}

// copyModule copies the test module into a folder of its own and returns the folder of its program.
func copyModule(t *testing.T) (root, program string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "module")
	if err := os.CopyFS(root, os.DirFS("test/synth/testdata/module")); err != nil {
		t.Fatal(err)
	}
	return root, filepath.Join(root, "cmd", "hello")
}

// absolute is the path without symbolic links, as metadata has it.
func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func asset(t *testing.T, tpl template) string {
	t.Helper()
	return tpl.part(t, "Hello").Properties["Code"].(map[string]any)["S3Key"].(string)
}

func TestGoFunctionDefaults(t *testing.T) {
	tpl, assembly := synthesizeFunction(t, golambda.FunctionProps{Entry: jsii.String(greet)}, noBundling)
	function := tpl.part(t, "Hello")
	delete(function.Properties, "Code")
	same(t, "function", tpl.readable(function.Properties), `{
		"Architectures": ["arm64"], "Handler": "bootstrap", "MemorySize": 128, "Runtime": "provided.al2023", "Timeout": 10,
		"Role": "${Hello/Role.Arn}", "TracingConfig": {"Mode": "Active"}, "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "${Hello/LogGroup}"}
	}`)
	built := function.Metadata[golambda.MetadataKey].(map[string]any)
	if got := filepath.Join(assembly, built["source"].(string)); filepath.IsAbs(built["source"].(string)) || got != absolute(t, greet) {
		t.Errorf("the source folder is %s, want %s, relative to the assembly", got, greet)
	}
	delete(built, "source")
	same(t, "metadata", built, `{"tags": ["lambda.norpc"], "ldflags": ["-s", "-w"]}`)
	same(t, "policy", tpl.statements(tpl.part(t, "Hello/Role/DefaultPolicy").Properties["PolicyDocument"]), `[
		{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "${Hello/LogGroup.Arn}"},
		{"Effect": "Allow", "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "Resource": "*"}
	]`)
	same(t, "managed policies", tpl.part(t, "Hello/Role").Properties["ManagedPolicyArns"], `null`)
	same(t, "log group", tpl.part(t, "Hello/LogGroup").Properties, `{"RetentionInDays": 30}`)
	same(t, "deletion policy of the log group", tpl.part(t, "Hello/LogGroup").DeletionPolicy, `"Retain"`)
}

func TestGoFunctionOverrides(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{
			Entry:                        jsii.String(greet),
			Architecture:                 awslambda.Architecture_X86_64(),
			MemorySize:                   jsii.Number(1024),
			Timeout:                      awscdk.Duration_Minutes(jsii.Number(1)),
			Environment:                  &map[string]*string{"GREETING": jsii.String("b")},
			ReservedConcurrentExecutions: jsii.Number(5),
			Description:                  jsii.String("Says hello."),
			Tracing:                      awslambda.Tracing_PASS_THROUGH,
			LogRetention:                 awslogs.RetentionDays_ONE_DAY,
			RemovalPolicy:                awscdk.RemovalPolicy_DESTROY,
			EncryptionKey:                awskms.NewKey(stack, jsii.String("Key"), nil),
		})
	})
	tpl := synthesize(t, stack)
	function := tpl.part(t, "Hello")
	for _, generated := range []string{"Code", "Role", "LoggingConfig"} {
		delete(function.Properties, generated)
	}
	same(t, "function", tpl.readable(function.Properties), `{
		"Architectures": ["x86_64"], "Handler": "bootstrap", "MemorySize": 1024, "Runtime": "provided.al2023", "Timeout": 60,
		"TracingConfig": {"Mode": "PassThrough"}, "Environment": {"Variables": {"GREETING": "b"}}, "ReservedConcurrentExecutions": 5,
		"Description": "Says hello.", "KmsKeyArn": "${Key.Arn}"
	}`)
	same(t, "log group", tpl.readable(tpl.part(t, "Hello/LogGroup").Properties), `{"RetentionInDays": 1, "KmsKeyId": "${Key.Arn}"}`)
	same(t, "deletion policy of the log group", tpl.part(t, "Hello/LogGroup").DeletionPolicy, `"Delete"`)
	keyPolicy := tpl.statements(tpl.part(t, "Key").Properties["KeyPolicy"])
	same(t, "who else may use the key", keyPolicy[1].(map[string]any)["Principal"], `{"Service": "logs.${AWS::Region}.${AWS::URLSuffix}"}`)
}

func TestGoFunctionRefuses(t *testing.T) {
	root, program := copyModule(t)
	broken := filepath.Join(root, "cmd", "broken")
	if err := os.MkdirAll(broken, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "main.go"), []byte("package main\n\nfunc main() { undefinedFunction() }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		entry *string
		want  []string
	}{
		"no entry":             {nil, []string{"Entry must be the folder of the function's main package, got none"}},
		"a folder that is not": {jsii.String("lambdas/nowhere"), []string{`got "lambdas/nowhere", which is not a folder`}},
		"a file":               {jsii.String(filepath.Join(program, "main.go")), []string{`main.go", which is not a folder`}},
		"a library":            {jsii.String(filepath.Join(root, "greeting")), []string{"go build ./greeting in " + root, "no main packages to build"}},
		"a folder without Go":  {jsii.String(root), []string{"go build . in " + root, "no Go files in"}},
		"a compile error":      {&broken, []string{"go build ./cmd/broken in " + root, "main.go:3:15: undefined: undefinedFunction"}},
	} {
		t.Run(name, func(t *testing.T) {
			stack := awscdk.NewStack(newApp(t), jsii.String("Stack"), nil)
			message := refused(t, func() {
				golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{Entry: test.entry})
			})
			for _, want := range append(test.want, `golambda "Hello": `) {
				if !strings.Contains(message, want) {
					t.Errorf("it says %q, want in it %q", message, want)
				}
			}
			if stack.Node().TryFindChild(jsii.String("Hello")) != nil {
				t.Error("a refused function was added all the same")
			}
		})
	}
}

func TestGoFunctionRefusesNil(t *testing.T) {
	stack := newStack(t)
	for want, add := range map[string]func(){
		"golambda: the id must be a text, got nil":                 func() { golambda.NewFunction(stack, nil, &golambda.FunctionProps{Entry: jsii.String(greet)}) },
		`golambda "Hello": the scope must be a construct, got nil`: func() { golambda.NewFunction(nil, jsii.String("Hello"), nil) },
		`golambda "Hello": Entry must be the folder`:               func() { golambda.NewFunction(stack, jsii.String("Hello"), nil) },
	} {
		wants(t, refused(t, add), want)
	}
	guard(t, func() { golambda.Prebuild("") }) // NewFunction reports what is wrong
}

// What the documentation promises is there before a function is made, too.
func TestGoFunctionDefaultsInProperties(t *testing.T) {
	props := (*golambda.FunctionProps)(nil).WithDefaults()
	same(t, "log retention and removal policy", []any{props.LogRetention, props.RemovalPolicy}, `["ONE_MONTH", "RETAIN"]`)
}

// One message tells everything that is wrong, and nothing is added.
func TestGoFunctionRefusesAllAtOnce(t *testing.T) {
	stack := awscdk.NewStack(newApp(t, noBundling), jsii.String("Stack"), nil)
	message := refused(t, func() {
		golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{
			Architecture:                 awslambda.Architecture_Custom(jsii.String("riscv64"), nil),
			MemorySize:                   jsii.Number(127.5),
			Timeout:                      awscdk.Duration_Minutes(jsii.Number(16)),
			ReservedConcurrentExecutions: jsii.Number(-1),
			Description:                  jsii.String(strings.Repeat("ä", 257)),
			Environment:                  &map[string]*string{"AWS_REGION": jsii.String("x"), "a-b": jsii.String("x"), "NIL": nil, "BIG": jsii.String(strings.Repeat("x", 4096))},
			Options: &awslambda.FunctionOptions{
				Architecture: awslambda.Architecture_ARM_64(), MemorySize: jsii.Number(1), Tracing: awslambda.Tracing_DISABLED,
				LogRetention: awslogs.RetentionDays_ONE_DAY, //nolint:staticcheck // it is deprecated, and refused
				Layers:       &[]awslambda.ILayerVersion{},
			},
		})
	})
	same(t, "problems", strings.Split(message, "\n"), `[
		"golambda \"Hello\": Entry must be the folder of the function's main package, got none",
		"Architecture must be arm64 or x86_64, got \"riscv64\"",
		"MemorySize must be a whole number from 128 to 10240, got 127.5",
		"Timeout must be whole seconds from 1s to 15m0s, got 16m0s",
		"ReservedConcurrentExecutions must be a whole number, 0 or more, got -1",
		"Description must have at most 256 characters, got 257",
		"Environment must not set AWS_REGION, which Lambda sets itself",
		"Environment must have a value for NIL, got nil",
		"Environment must have names of two or more letters, digits and underscores that begin with a letter, got \"a-b\"",
		"Environment must take at most 4096 bytes, names included, got 4114",
		"Options.Architecture must not be set: set FunctionProps.Architecture",
		"Options.LogRetention must not be set: set FunctionProps.LogRetention",
		"Options.MemorySize must not be set: set FunctionProps.MemorySize",
		"Options.Tracing must not be set: set FunctionProps.Tracing"
	]`)
	if stack.Node().TryFindChild(jsii.String("Hello")) != nil {
		t.Error("a refused function was added all the same")
	}
}

// What CDK's function can do beyond our own properties goes through untouched.
func TestGoFunctionTakesCDKsOptions(t *testing.T) {
	stack := newStack(t)
	guard(t, func() {
		vpc := awsec2.NewVpc(stack, jsii.String("Vpc"), nil)
		golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{
			Entry: jsii.String(greet),
			Options: &awslambda.FunctionOptions{
				Vpc:                   vpc,
				SecurityGroups:        &[]awsec2.ISecurityGroup{awsec2.NewSecurityGroup(stack, jsii.String("Group"), &awsec2.SecurityGroupProps{Vpc: vpc})},
				EphemeralStorageSize:  awscdk.Size_Mebibytes(jsii.Number(1024)),
				ApplicationLogLevelV2: awslambda.ApplicationLogLevel_DEBUG,
				Layers:                &[]awslambda.ILayerVersion{awslambda.LayerVersion_FromLayerVersionArn(stack, jsii.String("Layer"), jsii.String("arn:aws:lambda:eu-west-1:123456789012:layer:l:1"))},
			},
		})
	})
	tpl := synthesize(t, stack)
	properties := tpl.part(t, "Hello").Properties
	same(t, "storage", properties["EphemeralStorage"], `{"Size": 1024}`)
	same(t, "layers", properties["Layers"], `["arn:aws:lambda:eu-west-1:123456789012:layer:l:1"]`)
	same(t, "log level", properties["LoggingConfig"].(map[string]any)["ApplicationLogLevel"], `"DEBUG"`)
	same(t, "security groups", tpl.readable(properties["VpcConfig"].(map[string]any)["SecurityGroupIds"]), `["${Group.GroupId}"]`)
	statements := tpl.statements(tpl.part(t, "Hello/Role/DefaultPolicy").Properties["PolicyDocument"])
	same(t, "what the VPC and tracing need", statements[1], `{"Effect": "Allow", "Resource": "*", "Action": [
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
		"ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses", "xray:PutTelemetryRecords", "xray:PutTraceSegments"
	]}`)
}
