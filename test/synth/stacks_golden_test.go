package synth

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/outboxkit/transactional-outbox/stacks"
)

// update renews the golden templates: go test ./test/synth -run Golden -update
var update = flag.Bool("update", false, "write the golden templates instead of comparing with them")

// TestGolden compares each environment's whole template with the one in golden/. A difference is a change
// of what is deployed: when it is intended, `make golden` renews the file, and its git diff shows the reviewer.
func TestGolden(t *testing.T) {
	for name, got := range ordersTemplates(t) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("test", "synth", "golden", name+".json")
			got = withoutAssetHashes(got)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; `make golden` writes it", err)
			}
			if line, ok := firstDifference(got, string(want)); !ok {
				t.Errorf("the template differs from %s; if that is intended, renew it with `make golden`; first difference:\n%s", file, line)
			}
		})
	}
}

// ordersTemplates synthesizes the application as the CLI does without credentials and returns the templates
// by stack name.
func ordersTemplates(t *testing.T) map[string]string {
	t.Helper()
	t.Setenv("CDK_DEFAULT_ACCOUNT", "")
	t.Setenv("CDK_DEFAULT_REGION", "")
	environments, err := stacks.Choose("", nil)
	if err != nil {
		t.Fatal(err)
	}
	// The CLI asks for asset metadata, so that the golden templates are what it synthesizes.
	app := newApp(t, noBundling, map[string]any{"aws:cdk:enable-asset-metadata": true})
	templates := map[string]string{}
	guard(t, func() {
		var all []awscdk.Stack
		for _, env := range environments {
			all = append(all, stacks.NewOrdersStack(app, env))
		}
		assembly := app.Synth(nil)
		for _, stack := range all {
			raw, err := os.ReadFile(*assembly.GetStackArtifact(stack.ArtifactId()).TemplateFullPath())
			if err != nil {
				t.Fatal(err)
			}
			templates[*stack.StackName()] = fromCdkOut(t, string(raw), *app.Outdir())
		}
	})
	return templates
}

// fromCdkOut is the template as it would be in cdk.out, from where it names the source folders of functions.
func fromCdkOut(t *testing.T, template, outdir string) string {
	t.Helper()
	here, err := filepath.Rel(absolute(t, outdir), absolute(t, "."))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(template, `"source": "`+filepath.ToSlash(here)+"/", `"source": "../`)
}

var assetHash = regexp.MustCompile(`[0-9a-f]{64}`)

// withoutAssetHashes: what a function's hash depends on, its source and the Go release, is not the template's business.
func withoutAssetHashes(template string) string {
	return assetHash.ReplaceAllString(template, strings.Repeat("0", 64))
}

// firstDifference returns the first line that differs, as it is and as it was.
func firstDifference(got, want string) (string, bool) {
	if got == want {
		return "", true
	}
	is, was := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(is), len(was)) {
		if is[i] != was[i] {
			return "- " + was[i] + "\n+ " + is[i], false
		}
	}
	return "one template goes on where the other ends", false
}
