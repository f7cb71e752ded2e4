package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteKeepsWhatIsWrittenByHand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "benchmarks.md")
	read := func() string {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if err := write(file, "# Figures\n\nold\n"); err != nil { // the first time
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(read()+"\n\n## Why\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(file, "# Figures\n\nnew\n"); err != nil {
		t.Fatal(err)
	}
	if got, want := read(), "# Figures\n\nnew\n\n"+byHand+"\n\n## Why\n"; got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
}

func TestWriteRefusesAFileWithoutTheLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notes.md")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(file, "figures"); err == nil || !strings.Contains(err.Error(), byHand) {
		t.Errorf("the error is %v, want one that names the line", err)
	}
	if content, _ := os.ReadFile(file); string(content) != "mine" {
		t.Errorf("the file was overwritten with %q", content)
	}
}

// The page that `make bench` writes has the line.
func TestThePageHasTheLine(t *testing.T) {
	page, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(page), "\n"+byHand+"\n") != 1 {
		t.Errorf("docs/benchmarks.md must have the line %q once", byHand)
	}
}
