package synth

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

// snippet is a code block of a page whose source is named by a comment above it:
//
//	<!-- examples/shipping/main.go -->             the whole file
//	<!-- examples/shipping/main.go: main -->       one declaration of it, with its comment
//	<!-- part of examples/shipping/go.mod -->      some of its lines
type snippet struct {
	part       bool
	file, decl string
	text       string
}

var (
	codeBlock = regexp.MustCompile("(?ms)^((?:<!-- [^\n]* -->\n)?)```([a-z]*)\n(.*?)\n```$")
	source    = regexp.MustCompile(`^<!-- (part of )?([\w./-]+)(?:: (\w+))? -->\n$`)
)

// snippetsOf returns the page's snippets. A block of Go without a source is an error: nobody would keep it true.
func snippetsOf(page string) ([]snippet, error) {
	var all []snippet
	for _, block := range codeBlock.FindAllStringSubmatch(page, -1) {
		from := source.FindStringSubmatch(block[1])
		switch {
		case from != nil:
			all = append(all, snippet{part: from[1] != "", file: from[2], decl: from[3], text: block[3]})
		case block[2] == "go":
			return nil, fmt.Errorf("no comment above this block names its source:\n%s", block[3])
		}
	}
	return all, nil
}

// check reports how the snippet differs from its source.
func (s snippet) check() error {
	raw, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	want := strings.TrimRight(string(raw), "\n")
	if s.decl != "" {
		if want, err = declaration(s.file, want, s.decl); err != nil {
			return err
		}
	}
	if s.part {
		if !strings.Contains("\n"+want+"\n", "\n"+s.text+"\n") {
			return fmt.Errorf("%s does not have these lines:\n%s", s.file, s.text)
		}
		return nil
	}
	if s.text != want {
		return fmt.Errorf("the page differs from %s %s, which is now:\n%s", s.file, s.decl, want)
	}
	return nil
}

// declaration returns the text of a function of a Go file, with its comment.
func declaration(file, text, name string) (string, error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, text, parser.ParseComments)
	if err != nil {
		return "", err
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
			begin := f.Pos()
			if f.Doc != nil {
				begin = f.Doc.Pos()
			}
			return text[files.Position(begin).Offset:files.Position(f.End()).Offset], nil
		}
	}
	return "", fmt.Errorf("%s has no function %s", file, name)
}

// TestReadmeShowsTheExamples: what the README shows is what the tests compile and run.
func TestReadmeShowsTheExamples(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets, err := snippetsOf(string(readme))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, s := range snippets {
		shown[s.file] = true
		if err := s.check(); err != nil {
			t.Error(err)
		}
	}
	for _, file := range []string{"main.go", "lambdas/ship/main.go", "order/main.go", "package.json"} {
		if !shown["examples/shipping/"+file] {
			t.Errorf("the README does not show examples/shipping/%s", file)
		}
	}
}

// TestSnippetsAreCompared: a page that has drifted from its source does not pass.
func TestSnippetsAreCompared(t *testing.T) {
	for name, tc := range map[string]struct{ page, says string }{
		"a block without a source": {"```go\nfunc main() {}\n```", "names its source"},
		"another whole file":       {"<!-- examples/shipping/package.json -->\n```json\n{}\n```", "differs from examples/shipping/package.json"},
		"another function":         {"<!-- examples/shipping/order/main.go: place -->\n```go\nfunc place() {}\n```", "differs from examples/shipping/order/main.go place"},
		"a function that is gone":  {"<!-- examples/shipping/order/main.go: gone -->\n```go\nfunc gone() {}\n```", "no function gone"},
		"lines that are not there": {"<!-- part of examples/shipping/go.mod -->\n```\nignore (\n\t./cdk.out\n)\n```", "does not have these lines"},
		"a file that is not there": {"<!-- examples/nowhere.go -->\n```go\npackage main\n```", "examples/nowhere.go"},
		"the second of two":        {"<!-- part of examples/shipping/go.mod -->\n```\nignore (\n```\n\n```go\npackage main\n```", "names its source"},
	} {
		snippets, err := snippetsOf(tc.page)
		if err == nil {
			for _, s := range snippets {
				if err = s.check(); err != nil {
					break
				}
			}
		}
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, tc.says)
		}
	}
}
