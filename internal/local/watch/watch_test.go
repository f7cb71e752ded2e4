package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func newWatcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func save(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(time.Now().String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w *Watcher) want(t *testing.T, what string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if got, err := w.Next(ctx); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%s: changed %q, %v, want %q", what, got, err, want)
	}
}

func ofSuffix(suffix string) func(string) bool {
	return func(path string) bool { return strings.HasSuffix(path, suffix) }
}

func TestNext(t *testing.T) {
	root := t.TempDir()
	one, two := filepath.Join(root, "one"), filepath.Join(root, "two")
	for _, folder := range []string{one, two} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w := newWatcher(t)
	for owner, files := range map[string]Files{
		"a": {[]string{one}, ofSuffix(".go")}, "b": {[]string{one, two}, ofSuffix(".go")}, "c": {[]string{filepath.Join(root, "later")}, ofSuffix(".json")},
	} {
		if err := w.Set(owner, files); err != nil {
			t.Fatal(err)
		}
	}
	save(t, filepath.Join(one, "notes.txt")) // nobody's
	save(t, filepath.Join(two, "x.go"))
	w.want(t, "a file of one owner", "b")
	save(t, filepath.Join(one, "x.go"))
	save(t, filepath.Join(two, "x.go"))
	save(t, filepath.Join(one, "x.go"))
	w.want(t, "files of two owners, one of them twice", "a", "b")
	if err := os.Rename(filepath.Join(one, "x.go"), filepath.Join(one, "y.go")); err != nil {
		t.Fatal(err)
	}
	w.want(t, "a new name", "a", "b")
	if err := os.Remove(filepath.Join(two, "x.go")); err != nil {
		t.Fatal(err)
	}
	w.want(t, "a file that goes", "b")
	save(t, filepath.Join(root, "later", "x.json"))
	w.want(t, "a folder that comes", "c")
	save(t, filepath.Join(root, "later", "x.json"))
	w.want(t, "a file in it", "c")
	if err := os.RemoveAll(filepath.Join(root, "later")); err != nil {
		t.Fatal(err)
	}
	w.want(t, "a folder that goes", "c")
	save(t, filepath.Join(root, "later", "x.json"))
	w.want(t, "and comes again", "c")
	if err := w.Forget(func(owner string) bool { return owner != "b" }); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(two, "x.go"))
	save(t, filepath.Join(one, "x.go"))
	w.want(t, "after one is forgotten", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Next(ctx); err == nil {
		t.Error("it does not end with the context")
	}
}
