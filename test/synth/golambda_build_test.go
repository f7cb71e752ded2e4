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
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
)

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
