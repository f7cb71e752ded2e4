package outboxtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestIsFresh(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		newer string // the file that is newer than the assembly
		want  bool
	}{
		"nothing is newer":    {"", true},
		"a source":            {"main.go", false},
		"a function's source": {"lambdas/ship/main.go", false},
		"a template":          {"mapping/post.vtl", false},
		"cdk.json":            {"cdk.json", false},
		"a test":              {"main_test.go", true},
		"a package":           {"node_modules/x/index.js", true},
		"a hidden file":       {".git/index", true},
		"what was made":       {"cdk.out/tree.json", true},
	} {
		t.Run(name, func(t *testing.T) {
			app := t.TempDir()
			write := func(file string, at time.Time) {
				path := filepath.Join(app, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(path, at, at); err != nil {
					t.Fatal(err)
				}
			}
			for _, file := range []string{"main.go", "cdk.json"} {
				write(file, now.Add(-time.Hour))
			}
			write("cdk.out/manifest.json", now)
			if c.newer != "" {
				write(c.newer, now.Add(time.Hour))
			}
			if fresh, err := isFresh(app, filepath.Join(app, "cdk.out")); err != nil || fresh != c.want {
				t.Errorf("fresh is %t, %v; want %t", fresh, err, c.want)
			}
		})
	}
	app := t.TempDir()
	if fresh, err := isFresh(app, filepath.Join(app, "cdk.out")); err != nil || fresh {
		t.Errorf("without an assembly: %t, %v", fresh, err)
	}
}

func TestFindApp(t *testing.T) {
	app := t.TempDir()
	below := filepath.Join(app, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(app, "cdk.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	resolved, err := filepath.EvalSymlinks(app)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := findApp(); err != nil || found != app && found != resolved {
		t.Errorf("found %q: %v", found, err)
	}
}
