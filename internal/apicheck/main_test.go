package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const source = `package kept

import "time"

const Limit = 10

const Patience time.Duration = 1

type base struct{ Inherited int }

func (base) Promoted() {}

type Store struct {
	base
	Name   string
	hidden int
}

func (s *Store) Save(name string) error { s.hidden++; return nil }

func (s *Store) unexported() {}

type closer interface{ Close() error }

type Client interface {
	closer
	Get(key string) (value string, err error)
}

type Sealed interface{ sealed() }

func Map[K comparable, V any](in map[K]V) []V { return nil }
`

func TestDescribe(t *testing.T) {
	inModule(t, source)
	found, err := describe([]string{"./..."})
	if err != nil {
		t.Fatal(err)
	}
	want := `const Limit = 10
const Patience time.Duration = 1
func Map[K comparable, V any](in map[K]V) []V
method (*Store) Save(name string) error
method (Store) Promoted()
type Client interface
type Client interface, Close() error
type Client interface, Get(key string) (value string, err error)
type Sealed interface
type Sealed interface, only this module can implement it
type Store struct
type Store struct, Inherited int
type Store struct, Name string`
	if got := strings.Join(found["public/kept"], "\n"); got != want || len(found) != 1 {
		t.Errorf("got %d packages, and of public/kept\n%s\nwant\n%s", len(found), got, want)
	}
}

func TestAChangeIsShownUntilTheSnapshotIsRenewed(t *testing.T) {
	public = []string{"./..."}
	module := inModule(t, source)
	var out strings.Builder
	if err := run(&out, false); err == nil || !strings.Contains(err.Error(), "make api-update") {
		t.Errorf("without snapshots it must say how to make them, got %v", err)
	}
	if err := run(&out, true); err != nil {
		t.Fatal(err)
	}
	if err := run(&out, false); err != nil || out.Len() > 0 {
		t.Errorf("nothing has changed, got %v\n%s", err, &out)
	}

	put(t, module, "public/kept/kept.go", strings.Replace(source, "Save(name string)", "Save(name, key string)", 1))
	want := "public/kept\n- method (*Store) Save(name string) error\n+ method (*Store) Save(name string, key string) error\n"
	if err := run(&out, false); err == nil || out.String() != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, &out, want)
	}
	if err := run(&out, true); err != nil {
		t.Fatal(err)
	}
	if err := run(&out, false); err != nil {
		t.Errorf("the snapshot is renewed, got %v", err)
	}
}

// inModule puts the test into a module with one public package, which has the source, and others that are not public.
func inModule(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, "go.mod", "module example.com/m\n\ngo 1.26.0\n")
	put(t, dir, "main.go", "package main\n\nfunc main() {}\n")
	put(t, dir, "public/kept/kept.go", source)
	put(t, dir, "public/internal/deep/deep.go", "package deep\n\nconst Hidden = 1\n")
	t.Chdir(dir)
	return dir
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
