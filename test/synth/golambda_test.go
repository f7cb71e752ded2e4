package synth

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

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
		"TracingConfig": {"Mode": "Active"}, "Environment": {"Variables": {"GREETING": "b"}}, "ReservedConcurrentExecutions": 5,
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
		"Options.Tracing must not be set: tracing is active"
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

func TestGoFunctionIsBuiltForItsArchitecture(t *testing.T) {
	_, program := copyModule(t)
	for name, test := range map[string]struct {
		architecture awslambda.Architecture
		machine      elf.Machine
	}{
		"default": {nil, elf.EM_AARCH64},
		"arm64":   {awslambda.Architecture_ARM_64(), elf.EM_AARCH64},
		"x86_64":  {awslambda.Architecture_X86_64(), elf.EM_X86_64},
	} {
		t.Run(name, func(t *testing.T) {
			tpl, assembly := synthesizeFunction(t, golambda.FunctionProps{Entry: &program, Architecture: test.architecture})
			path := filepath.Join(assembly, "asset."+strings.TrimSuffix(asset(t, tpl), ".zip"), "bootstrap")
			file, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if file.Machine != test.machine {
				t.Errorf("the program is for %v, want %v", file.Machine, test.machine)
			}
			if libraries, _ := file.ImportedLibraries(); len(libraries) > 0 {
				t.Errorf("the program needs %v, which the runtime may not have", libraries)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o111 == 0 {
				t.Errorf("the program is not executable: %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestAssetDependsOnNothingButTheSource(t *testing.T) {
	_, here := copyModule(t)
	_, there := copyModule(t)
	otherRoot, other := copyModule(t)
	if err := os.WriteFile(filepath.Join(otherRoot, "greeting", "greeting.go"), []byte("package greeting\n\nconst Text = \"good day\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	hash := func(entry string) string {
		tpl, _ := synthesizeFunction(t, golambda.FunctionProps{Entry: &entry})
		return asset(t, tpl)
	}
	if a, b := hash(here), hash(there); a != b {
		t.Errorf("the same source in two folders has the assets %s and %s", a, b)
	}
	if a, b := hash(here), hash(other); a == b {
		t.Errorf("different sources have the same asset %s", a)
	}
}

// Three environments with the same functions must not cost three builds. That the source changes in
// between shows whether it was read again.
func TestGoFunctionIsBuiltOncePerProcess(t *testing.T) {
	root, program := copyModule(t)
	first, _ := synthesizeFunction(t, golambda.FunctionProps{Entry: &program})
	if err := os.WriteFile(filepath.Join(root, "greeting", "greeting.go"), []byte("package greeting\n\nconst Text = \"changed\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	second, _ := synthesizeFunction(t, golambda.FunctionProps{Entry: &program})
	if a, b := asset(t, first), asset(t, second); a != b {
		t.Errorf("the second stack built again: %s and %s", a, b)
	}
}

// Prebuilt functions are built by one go command, whatever becomes of them.
func TestPrebuildBuildsTogether(t *testing.T) {
	root, program := copyModule(t)
	second := filepath.Join(root, "cmd", "second")
	if err := os.CopyFS(second, os.DirFS(program)); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	compiler, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho \"$1 $AWS_SECRET_ACCESS_KEY\" >> " + filepath.Join(bin, "commands") + "\nexec " + compiler + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden")
	golambda.Prebuild(golambda.ARM64, program, second)
	app := newApp(t)
	guard(t, func() {
		stack := awscdk.NewStack(app, jsii.String("Stack"), nil)
		golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{Entry: &program})
		golambda.NewFunction(stack, jsii.String("Second"), &golambda.FunctionProps{Entry: &second})
	})
	commands, err := os.ReadFile(filepath.Join(bin, "commands"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(commands), "build"); n != 1 || strings.Contains(string(commands), "hidden") {
		t.Errorf("these go commands ran, want one build, without credentials:\n%s", commands)
	}
}

func TestPrebuild(t *testing.T) {
	root, program := copyModule(t)
	golambda.Prebuild(golambda.ARM64, program, filepath.Join(root, "nowhere"))
	app := newApp(t)
	guard(t, func() {
		stack := awscdk.NewStack(app, jsii.String("Stack"), nil)
		golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{Entry: &program})
		// What Prebuild met is told where the function is added.
		message := refused(t, func() {
			golambda.NewFunction(stack, jsii.String("Nowhere"), &golambda.FunctionProps{Entry: jsii.String(filepath.Join(root, "nowhere"))})
		})
		if !strings.Contains(message, `nowhere", which is not a folder`) {
			t.Errorf("it says %q", message)
		}
	})
}

// Not even a folder that looks like ours and is old is ours to remove.
func TestTheTemporaryFolderIsLeftAsItWas(t *testing.T) {
	_, program := copyModule(t)
	app := newApp(t)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	theirs := filepath.Join(temporary, "golambda-project", "main.go")
	if err := os.Mkdir(filepath.Dir(theirs), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(theirs, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(filepath.Dir(theirs), long, long); err != nil {
		t.Fatal(err)
	}
	guard(t, func() {
		stack := awscdk.NewStack(app, jsii.String("Stack"), nil)
		golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{Entry: &program})
	})
	left, err := os.ReadDir(temporary)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Errorf("the temporary folder holds %v, want what was there", left)
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Errorf("somebody else's project is gone: %v", err)
	}
}

// What was uploaded with a wrong mode must not stay when the mode gets right, and no umask makes it wrong.
func TestTheProgramsModeDoesNotDependOnTheUmask(t *testing.T) {
	_, here := copyModule(t)
	_, there := copyModule(t)
	mode := func(entry string, umask int) (string, os.FileMode) {
		old := syscall.Umask(umask)
		tpl, assembly := synthesizeFunction(t, golambda.FunctionProps{Entry: &entry})
		syscall.Umask(old)
		hash := strings.TrimSuffix(asset(t, tpl), ".zip")
		info, err := os.Stat(filepath.Join(assembly, "asset."+hash, "bootstrap"))
		if err != nil {
			t.Fatal(err)
		}
		return hash, info.Mode()
	}
	one, oneMode := mode(here, 0o022)
	two, twoMode := mode(there, 0o077)
	if one != two || oneMode != 0o755 || twoMode != 0o755 {
		t.Errorf("with umask 022 the asset is %s with mode %v, with 077 it is %s with mode %v, want the same with 0755", one, oneMode, two, twoMode)
	}
}

// Without staging the template names a folder that is still there afterwards.
func TestWithoutStaging(t *testing.T) {
	_, program := copyModule(t)
	app := newApp(t, map[string]any{"aws:cdk:disable-asset-staging": true, "aws:cdk:enable-asset-metadata": true})
	var tpl template
	guard(t, func() {
		stack := awscdk.NewStack(app, jsii.String("Stack"), nil)
		golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{Entry: &program})
		tpl = synthesize(t, stack)
	})
	folder := tpl.part(t, "Hello").Metadata["aws:asset:path"].(string)
	if _, err := os.Stat(filepath.Join(folder, "bootstrap")); err != nil {
		t.Error(err)
	}
}

// Options and GOFLAGS are both in force, and the template says so.
func TestBuildOptions(t *testing.T) {
	_, program := copyModule(t)
	hash := func(build *golambda.BuildOptions) (string, map[string]any) {
		tpl, _ := synthesizeFunction(t, golambda.FunctionProps{Entry: &program, Build: build})
		return asset(t, tpl), tpl.part(t, "Hello").Metadata[golambda.MetadataKey].(map[string]any)
	}
	plain, _ := hash(nil)
	optioned, metadata := hash(&golambda.BuildOptions{
		Tags: jsii.Strings("polite"), LDFlags: jsii.Strings("-X main.version=1.2 beta"), Flags: jsii.Strings("-mod=mod"),
	})
	if plain == optioned {
		t.Error("the options made no other program")
	}
	delete(metadata, "source")
	same(t, "metadata", metadata, `{"tags": ["lambda.norpc", "polite"], "ldflags": ["-s", "-w", "-X main.version=1.2 beta"], "flags": ["-mod=mod"]}`)
	message := refused(t, func() {
		stack := awscdk.NewStack(newApp(t), jsii.String("Stack"), nil)
		golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{Entry: &program, MemorySize: jsii.Number(1), Build: &golambda.BuildOptions{
			Tags: &[]*string{nil}, Flags: jsii.Strings("-toolexec=x"),
		}})
	})
	for _, want := range []string{`Build.Tags must be letters, digits, underscores and dots, got ""`, `Build.Flags must be -mod=`, "MemorySize must be"} {
		if !strings.Contains(message, want) {
			t.Errorf("it says %q, want in it %q", message, want)
		}
	}
}

// `cdk list` and tests that ask for no bundling must not wait for a compiler.
func TestNothingIsBuiltWithoutBundling(t *testing.T) {
	_, program := copyModule(t)
	tpl, assembly := synthesizeFunction(t, golambda.FunctionProps{Entry: &program}, noBundling)
	staged := filepath.Join(assembly, "asset."+strings.TrimSuffix(asset(t, tpl), ".zip"))
	if _, err := os.Stat(filepath.Join(staged, "main.go")); err != nil {
		t.Errorf("the source does not stand in for the program: %v", err)
	}
	if _, err := os.Stat(filepath.Join(staged, "bootstrap")); err == nil {
		t.Error("a program was built")
	}
}
