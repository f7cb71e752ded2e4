package synth

import (
	"os"
	"strings"
	"testing"
)

// The program in the README is the one that the tests synthesize.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("examples/shipping/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+strings.TrimSpace(string(program))+"\n```") {
		t.Error("the README's program differs from examples/shipping/main.go")
	}
}
