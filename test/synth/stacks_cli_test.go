package synth

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildApp compiles the app.
func buildApp(t *testing.T) string {
	t.Helper()
	app := filepath.Join(t.TempDir(), "app")
	if out, err := exec.Command("go", "build", "-o", app, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return app
}

// cdkCLI returns the CDK CLI with the arguments, without validation unless the environment asks for it.
func cdkCLI(env []string, args ...string) *exec.Cmd {
	cdk := exec.Command(filepath.Join("node_modules", ".bin", "cdk"), args...)
	cdk.Env = append(append(os.Environ(), "CDK_DISABLE_CLI_TELEMETRY=true", "AWS_EC2_METADATA_DISABLED=true"), env...)
	return cdk
}

// TestCDKValidatesTheTemplates lets the CDK check the reference application by the rules of CloudFormation's resources. It
// finds nothing; the one warning is the app's own.
func TestCDKValidatesTheTemplates(t *testing.T) {
	out, err := cdkCLI([]string{"CDK_VALIDATION=true"}, "synth", "--quiet", "--app", buildApp(t), "--output", t.TempDir()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	if strings.Count(text, "WARNING") != 1 || !strings.Contains(text, "the alarms of prod notify nobody") || strings.Contains(text, "ERROR") {
		t.Errorf("it prints\n%s\nwant nothing but the warning that prod's alarms notify nobody", text)
	}
}

// TestCLI runs the app as a person does: through the CDK CLI.
func TestCLI(t *testing.T) {
	app := buildApp(t)
	for name, tc := range map[string]struct {
		context []string
		stacks  string   // what it prints; empty: it fails
		says    []string // what the error says
	}{
		"every environment":  {nil, "Orders-dev\nOrders-staging\nOrders-prod\n", nil},
		"one environment":    {[]string{"-c", "environment=staging"}, "Orders-staging\n", nil},
		"an unknown one":     {[]string{"-c", "environment=production"}, "", []string{`"production"`, "dev, staging, prod"}},
		"pins that are text": {[]string{"-c", "environments=dev"}, "", []string{`"environments"`, "object"}},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := append([]string{"list", "--app", app, "--output", t.TempDir()}, tc.context...)
			cdk := cdkCLI(nil, args...)
			cdk.Stdout, cdk.Stderr = &stdout, &stderr
			err := cdk.Run()
			if stdout.String() != tc.stacks {
				t.Errorf("it prints %q, want %q\n%s", &stdout, tc.stacks, &stderr)
			}
			if failed := tc.stacks == ""; failed != (err != nil) {
				t.Errorf("it ended with %v", err)
			}
			for _, part := range tc.says {
				if !strings.Contains(stderr.String(), part) {
					t.Errorf("it says %q, want %s", &stderr, part)
				}
			}
			if strings.Contains(stderr.String(), "goroutine") {
				t.Errorf("it shows a Go stack trace:\n%s", &stderr)
			}
		})
	}
}
