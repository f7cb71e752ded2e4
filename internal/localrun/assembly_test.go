package localrun

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A copy of an assembly, with its stages, still names the source folders of the original.
func TestACopiedAssemblyHasTheSameSources(t *testing.T) {
	root := template.RealPath(t.TempDir())
	from, to := filepath.Join(root, "app", "cdk.out"), filepath.Join(root, "elsewhere", "deep", "copy")
	template := func(source string) string {
		return `{"Resources": {"Fn": {"Metadata": {"outboxkit:golambda": {"source": "` + source + `"}}}, "Queue": {}}}`
	}
	for name, content := range map[string]string{
		"app/fn/main.go":                             "",
		"app/cdk.out/S.template.json":                template("../fn"),
		"app/cdk.out/assembly-Prod/P.template.json":  template("../../fn"),
		"app/cdk.out/asset.1/bootstrap":              "",
		"app/cdk.out/assembly-Prod/P.assets.json":    `{}`,
		"app/cdk.out/assembly-Prod/manifest.json":    `{}`,
		"app/cdk.out/asset.2/not-a.template.json.go": "",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := CopyAssembly(from, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"S.template.json", "assembly-Prod/P.template.json"} {
		raw, err := os.ReadFile(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		var copied struct {
			Resources struct {
				Fn struct {
					Metadata map[string]struct{ Source string }
				}
			}
		}
		if err := json.Unmarshal(raw, &copied); err != nil {
			t.Fatal(err)
		}
		source := copied.Resources.Fn.Metadata[metadataKey].Source
		if got := filepath.Join(filepath.Dir(filepath.Join(to, name)), source); got != filepath.Join(root, "app", "fn") {
			t.Errorf("%s names the source %s, which is %s", name, source, got)
		}
	}
}
