package gobuild_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

// A library ships a function, lib/functions/one, that needs what nobody who uses the library itself needs.
const libraryMod = "module example.com/lib\n\ngo 1.25\n\nrequire example.com/extra v1.0.0\n"

var (
	libraryFiles = map[string]string{
		"go.mod": libraryMod, "lib.go": "package lib\n\nconst Text = \"lib\"\n",
		"functions/one/main.go": "package main\n\nimport \"example.com/extra\"\n\nfunc main() { print(\"one \", extra.Text) }\n",
		"functions/two/main.go": "package main\n\nimport \"example.com/extra\"\n\nfunc main() { print(\"two \", extra.Text) }\n",
	}
	extraFiles = map[string]string{"go.mod": "module example.com/extra\n\ngo 1.25\n", "extra.go": "package extra\n\nconst Text = \"extra\"\n"}
	appFiles   = map[string]string{
		"go.mod":  "module example.com/app\n\ngo 1.25\n\nrequire example.com/lib v1.0.0\n",
		"main.go": "package main\n\nimport \"example.com/lib\"\n\nfunc main() { print(lib.Text) }\n",
	}
)

func below(folder string, files map[string]string) map[string]string {
	all := map[string]string{}
	for name, content := range files {
		all[folder+"/"+name] = content
	}
	return all
}

// publish puts a module into the proxy in the folder "proxy".
func (w *world) publish(modulePath string, files map[string]string) {
	w.t.Helper()
	folder := "published/" + modulePath
	w.write(below(folder, files))
	w.mustGo(folder, "mod", "tidy") // a module brings its go.sum along
	var zip bytes.Buffer
	if err := modzip.CreateFromDir(&zip, module.Version{Path: modulePath, Version: "v1.0.0"}, filepath.Join(w.root, folder)); err != nil {
		w.t.Fatal(err)
	}
	w.write(map[string]string{
		"proxy/" + modulePath + "/@v/list":        "v1.0.0\n",
		"proxy/" + modulePath + "/@v/v1.0.0.info": `{"Version": "v1.0.0"}`,
		"proxy/" + modulePath + "/@v/v1.0.0.mod":  files["go.mod"],
		"proxy/" + modulePath + "/@v/v1.0.0.zip":  zip.String(),
	})
}

// offline makes the proxy the only place that modules come from, and the module cache an empty one.
func (w *world) offline() {
	w.t.Helper()
	w.t.Setenv("GOPROXY", "file://"+filepath.ToSlash(filepath.Join(w.root, "proxy")))
	w.t.Setenv("GOSUMDB", "off")
	w.t.Setenv("GOMODCACHE", filepath.Join(w.root, "modcache"))
	w.t.Setenv("GOTOOLCHAIN", "local")
	w.t.Cleanup(func() { w.goCommand(".", "clean", "-modcache") }) // its files are read-only
}

// goCommand runs the go command in a folder and returns what it writes.
func (w *world) goCommand(folder string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(w.root, folder)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mustGo is goCommand for what must succeed.
func (w *world) mustGo(folder string, args ...string) {
	w.t.Helper()
	if out, err := w.goCommand(folder, args...); err != nil {
		w.t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// ofModule returns the target of a function of the library, as the app in the folder finds it.
func (w *world) ofModule(app, function string) gobuild.Target {
	w.t.Helper()
	t := w.target("")
	found, err := w.Find(w.t.Context(), filepath.Join(w.root, app), gobuild.Origin{Module: "example.com/lib", Package: "functions/" + function})
	if err != nil {
		w.t.Fatal(err)
	}
	t.Dir, t.Standalone = found.Dir, !found.Own
	return t
}

// snapshot returns the files of a folder, to find out what has changed.
func (w *world) snapshot(folder string) map[string]string {
	w.t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(w.root, folder), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

// unchanged checks that a folder has the files that it had.
func (w *world) unchanged(folder string, before map[string]string) {
	w.t.Helper()
	after := w.snapshot(folder)
	for path, content := range after {
		if before[path] != content {
			w.t.Errorf("%s was written", path)
		}
	}
	if len(after) != len(before) {
		w.t.Errorf("%s has %d files, had %d", folder, len(after), len(before))
	}
}

// What only the function needs is in neither go.mod nor go.sum of the app, and yet it is built, from the module cache and
// with any setup of the app; nothing of the app is written.
func TestFunctionsOfAModuleThatTheAppDependsOn(t *testing.T) {
	for name, setUp := range map[string]func(w *world){
		"from the module cache": func(*world) {},
		"GOFLAGS of the app":    func(w *world) { w.t.Setenv("GOFLAGS", "-mod=mod") },
		"a go.mod of another name": func(w *world) {
			for _, name := range []string{"mod", "sum"} {
				content := w.snapshot("app")[filepath.Join(w.root, "app", "go."+name)]
				w.write(map[string]string{"app/tools." + name: content})
			}
			w.mustGo("app", "mod", "edit", "-droprequire", "example.com/lib")
			w.t.Setenv("GOFLAGS", "-modfile=tools.mod")
		},
		"a vendor folder": func(w *world) { w.mustGo("app", "mod", "vendor") },
		"a vendor folder and an empty cache": func(w *world) {
			w.mustGo("app", "mod", "vendor")
			w.mustGo("app", "clean", "-modcache")
		},
		"a workspace that is set": func(w *world) {
			w.write(map[string]string{"app/go.work": "go 1.25\n\nuse .\n"})
			w.t.Setenv("GOWORK", filepath.Join(w.root, "app", "go.work"))
		},
		"a workspace above the module cache": func(w *world) { w.write(map[string]string{"go.work": "go 1.25\n\nuse ./app\n"}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, below("app", appFiles))
			w.offline()
			w.publish("example.com/extra", extraFiles)
			w.publish("example.com/lib", libraryFiles)
			w.mustGo("app", "get", "example.com/lib")
			if sums, err := os.ReadFile(filepath.Join(w.root, "app", "go.sum")); err != nil || strings.Contains(string(sums), "example.com/extra v1.0.0 h1:") {
				t.Fatalf("the app's go.sum must lack what only the function needs, got %s, %v", sums, err)
			}
			if out, err := w.goCommand("app", "build", "-mod=readonly", "example.com/lib/functions/one"); err == nil {
				t.Fatalf("the app itself builds the function, so this shows nothing: %s", out)
			}
			setUp(w)
			before := w.snapshot("app")

			one, two := w.ofModule("app", "one"), w.ofModule("app", "two")
			w.Together([]gobuild.Target{one, two})(t.Context())
			w.check(one, "one extra")
			w.check(two, "two extra")
			if len(w.commands) != 1 {
				t.Errorf("they were built by %d commands, want 1:\n%s", len(w.commands), strings.Join(w.commands, "\n"))
			}
			w.unchanged("app", before)
		})
	}
}

func TestFunctionsOfAModuleInAFolder(t *testing.T) {
	local := strings.Replace(libraryMod, "require", "replace example.com/extra => ../extra\n\nrequire", 1)
	files := below("lib", libraryFiles)
	files["lib/go.mod"] = local
	for name, test := range map[string]struct {
		files map[string]string
		app   string
		own   bool
	}{
		"that replaces it":   {map[string]string{"app/go.mod": appFiles["go.mod"] + "\nreplace example.com/lib => ../lib\n"}, "app", false},
		"of the workspace":   {map[string]string{"go.work": "go 1.25\n\nuse (\n\t./app\n\t./lib\n)\n", "app/go.mod": "module example.com/app\n\ngo 1.25\n"}, "app", true},
		"that is the app":    {nil, "lib", true},
		"that the app is in": {map[string]string{"lib/cmd/app/x": ""}, "lib/cmd/app", true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, below("app", appFiles))
			w.offline()
			w.write(files)
			w.write(below("extra", extraFiles))
			w.write(test.files)
			target := w.ofModule(test.app, "one")
			if target.Standalone == test.own || target.Dir != filepath.Join(w.root, "lib", "functions", "one") {
				t.Errorf("it is %+v", target)
			}
			w.check(target, "one extra")
		})
	}
}

func TestModulesThatAreNotFound(t *testing.T) {
	w := newWorld(t, below("app", appFiles))
	w.offline()
	w.write(map[string]string{"app/go.mod": "module example.com/app\n\ngo 1.25\n", "empty/x": ""})
	for name, test := range map[string]struct {
		app    string
		origin gobuild.Origin
		want   string
	}{
		"not required":     {"app", gobuild.Origin{Module: "example.com/lib", Package: "x"}, "Its go.mod must require the module"},
		"no go.mod":        {"empty", gobuild.Origin{Module: "example.com/lib", Package: "x"}, "Its go.mod must require the module"},
		"no such package":  {"app", gobuild.Origin{Module: "example.com/app", Package: "x"}, "it must have the package example.com/app/x"},
		"another folder":   {"app", gobuild.Origin{Module: "example.com/app", Package: "../lib"}, `Package must be a folder in the module, got "../lib"`},
		"several packages": {"app", gobuild.Origin{Module: "example.com/app", Package: "..."}, `Package must be a folder in the module, got "..."`},
		"several modules":  {"app", gobuild.Origin{Module: "all", Package: "x"}, `Module must be the path of a module, got "all"`},
		"a flag":           {"app", gobuild.Origin{Module: "-toolexec=/bin/evil", Package: "x"}, "Module must be the path of a module"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Find(t.Context(), filepath.Join(w.root, test.app), test.origin)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
		})
	}
}
