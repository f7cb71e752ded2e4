package habits

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrustedAssemblyHasTheTemplatesAndAManifestOfItsOwn(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "trusted")
	write(t, filepath.Join(from, "Orders-dev.template.json"), `{"Resources":{}}`)
	if out, err := trustedAssembly(t, from, to); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var manifest struct {
		Artifacts map[string]struct {
			Properties map[string]any
		}
	}
	content, err := os.ReadFile(filepath.Join(to, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &manifest); err != nil {
		t.Fatal(err)
	}
	properties := manifest.Artifacts["Orders-dev"].Properties
	if properties["templateFile"] != "Orders-dev.template.json" || properties["assumeRoleArn"] != nil || len(manifest.Artifacts) != 1 {
		t.Errorf("the manifest must name the template and no role to deploy with, got %s", content)
	}
	role, _ := properties["lookupRole"].(map[string]any)
	if arn, _ := role["arn"].(string); !strings.Contains(arn, "-lookup-role-") {
		t.Errorf("the manifest must name the lookup role, got %s", content)
	}
}

func TestTrustedAssemblyRefusesWhatIsNotATemplate(t *testing.T) {
	for name, put := range map[string]func(t *testing.T, from string){
		"a link to a file outside": func(t *testing.T, from string) {
			if err := os.Symlink("/proc/self/environ", filepath.Join(from, "Orders-dev.template.json")); err != nil {
				t.Fatal(err)
			}
		},
		"a manifest": func(t *testing.T, from string) {
			write(t, filepath.Join(from, "manifest.json"), "{}")
		},
		"a name that is an option": func(t *testing.T, from string) {
			write(t, filepath.Join(from, "--app.template.json"), "{}")
		},
		"a folder": func(t *testing.T, from string) {
			if err := os.Mkdir(filepath.Join(from, "Orders-dev.template.json"), 0o755); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			from := t.TempDir()
			put(t, from)
			out, err := trustedAssembly(t, from, filepath.Join(t.TempDir(), "trusted"))
			if err == nil || !strings.Contains(out, "must hold files <stack>.template.json only") {
				t.Errorf("it must be refused, got %v\n%s", err, out)
			}
		})
	}
}

func trustedAssembly(t *testing.T, from, to string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(root, ".github", "trusted-assembly.mjs"), from, to)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
