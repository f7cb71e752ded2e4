package synth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/golambda"
)

// appOfModule makes the working directory that of an app whose go.mod requires the test module, which is a copy.
func appOfModule(t *testing.T) (program string) {
	t.Helper()
	root, program := copyModule(t)
	app := t.TempDir()
	goMod := "module example.com/app\n\ngo 1.26\n\nrequire example.com/module v1.0.0\n\nreplace example.com/module => " + root + "\n"
	if err := os.WriteFile(filepath.Join(app, "go.mod"), []byte(goMod), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(app)
	return program
}

// The template says from which module the function comes, and not where this machine has it.
func TestGoFunctionOfAModule(t *testing.T) {
	program := appOfModule(t)
	direct, _ := synthesizeFunction(t, golambda.FunctionProps{Entry: &program})
	for _, prebuilt := range []bool{false, true} {
		if prebuilt {
			golambda.PrebuildModule("example.com/module", golambda.ARM64, "cmd/hello")
		}
		tpl, assembly := synthesizeFunction(t, golambda.FunctionProps{Module: jsii.String("example.com/module"), Entry: jsii.String("cmd/hello")})
		app, err := filepath.Rel(absolute(t, assembly), absolute(t, "."))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "metadata", tpl.part(t, "Hello").Metadata[golambda.MetadataKey],
			`{"module": "example.com/module", "package": "cmd/hello", "app": "`+filepath.ToSlash(app)+`", "tags": ["lambda.norpc"], "ldflags": ["-s", "-w"]}`)
		if got, want := asset(t, tpl), asset(t, direct); got != want {
			t.Errorf("the asset is %s, want %s: the source is the same", got, want)
		}
	}
}

// A function of the app's own module is one like the others of the app.
func TestGoFunctionOfTheAppsOwnModule(t *testing.T) {
	tpl, assembly := synthesizeFunction(t, golambda.FunctionProps{Module: jsii.String("github.com/outboxkit/transactional-outbox"), Entry: jsii.String(greet)}, noBundling)
	source, err := filepath.Rel(absolute(t, assembly), absolute(t, greet))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "metadata", tpl.part(t, "Hello").Metadata[golambda.MetadataKey], `{"source": "`+filepath.ToSlash(source)+`", "tags": ["lambda.norpc"], "ldflags": ["-s", "-w"]}`)
}

func TestGoFunctionOfAModuleRefuses(t *testing.T) {
	appOfModule(t)
	for name, test := range map[string]struct{ module, entry, want string }{
		"no module":       {"", "cmd/hello", `Module must be the path of a module, got ""`},
		"a folder":        {"../module", "cmd/hello", `Module must be the path of a module, got "../module"`},
		"a package above": {"example.com/module", "../cmd", `Package must be a folder in the module, got "../cmd"`},
		"no such package": {"example.com/module", "cmd/nobody", "it must have the package example.com/module/cmd/nobody"},
		"not required":    {"example.com/other", "cmd/hello", "Its go.mod must require the module"},
	} {
		t.Run(name, func(t *testing.T) {
			stack := awscdk.NewStack(newApp(t), jsii.String("Stack"), nil)
			message := refused(t, func() {
				golambda.NewFunction(stack, jsii.String("Hello"), &golambda.FunctionProps{Module: &test.module, Entry: &test.entry})
			})
			if !strings.Contains(message, test.want) || !strings.Contains(message, `golambda "Hello": `) {
				t.Errorf("it says %q, want in it %q", message, test.want)
			}
		})
	}
}
