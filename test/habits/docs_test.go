package habits

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// folderTests are the tests that stand in a folder: the functions, and the names that they give to subtests.
type folderTests struct {
	functions, subtests map[string]bool
}

// A testIndex holds the tests of each folder of the repository.
type testIndex map[string]folderTests

// add takes in the tests of a file: a subtest's name is the text in its t.Run, or the key of its row in a table.
func (x testIndex) add(folder string, file *ast.File) {
	tests, known := x[folder]
	if !known {
		tests = folderTests{map[string]bool{}, map[string]bool{}}
		x[folder] = tests
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && strings.HasPrefix(n.Name.Name, "Test") {
				tests.functions[n.Name.Name] = true
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Run" && len(n.Args) == 2 {
				addText(tests.subtests, n.Args[0])
			}
		case *ast.KeyValueExpr:
			addText(tests.subtests, n.Key)
		}
		return true
	})
}

func addText(texts map[string]bool, e ast.Expr) {
	if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
		if text, err := strconv.Unquote(literal.Value); err == nil {
			texts[text] = true
		}
	}
}

// skippedFolders hold files that are not the repository's.
var skippedFolders = []string{"node_modules", "cdk.out", ".git", ".local"}

// indexTests reads all test files of the repository.
func indexTests(t *testing.T) testIndex {
	t.Helper()
	x := testIndex{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(skippedFolders, d.Name()) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, name)
		x.add(path.Dir(filepath.ToSlash(below)), file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// operations are names of AWS's operations that look like tests'.
var operations = []string{"TestEventPattern"}

// quoted matches what a page may say of tests: a folder, a test, and subtests in quotation marks right behind a test.
var quoted = regexp.MustCompile("`(Test[A-Z]\\w*)`((?:, \"[^\"]+\")*)|`([a-z][\\w/]*)`")

// problems returns what the page quotes and the repository does not have. A test belongs to the folder that the same line,
// or cell of a table, names before it, to any folder where none is named.
func (x testIndex) problems(page string) []string {
	var found []string
	for _, part := range strings.FieldsFunc(page, func(r rune) bool { return r == '\n' || r == '|' }) {
		folder := ""
		for _, match := range quoted.FindAllStringSubmatch(part, -1) {
			name, subtests := match[1], match[2]
			if _, known := x[match[3]]; known {
				folder = match[3]
			}
			if name == "" || slices.Contains(operations, name) {
				continue
			}
			tests, ok := x.of(folder, name)
			if !ok {
				found = append(found, fmt.Sprintf("%s has no test %s", where(folder), name))
				continue
			}
			for subtest := range strings.SplitSeq(strings.TrimPrefix(subtests, ", "), ", \"") {
				if subtest = strings.Trim(subtest, "\""); subtest != "" && !tests.subtests[subtest] {
					found = append(found, fmt.Sprintf("no subtest %q beside %s", subtest, name))
				}
			}
		}
	}
	return found
}

// of returns the tests of the folder that has the test.
func (x testIndex) of(folder, name string) (folderTests, bool) {
	if folder != "" {
		return x[folder], x[folder].functions[name]
	}
	for _, tests := range x {
		if tests.functions[name] {
			return tests, true
		}
	}
	return folderTests{}, false
}

func where(folder string) string {
	if folder == "" {
		return "the repository"
	}
	return folder
}

// TestPagesQuoteTestsThatExist checks that each test and subtest that a page of docs names is there.
func TestPagesQuoteTestsThatExist(t *testing.T) {
	x := indexTests(t)
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("got %d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		name := "docs/" + filepath.Base(page)
		text := string(read(t, name))
		for _, problem := range x.problems(text) {
			t.Errorf("%s: %s", name, problem)
		}
		if name == "docs/guarantee.md" && len(quoted.FindAllString(text, -1)) < 40 {
			t.Errorf("%s quotes fewer tests than it did", name)
		}
	}
}

// TestQuotedTestsAreLookedFor checks that a page that quotes what is not there is found.
func TestQuotedTestsAreLookedFor(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "orders_test.go", `package orders
func TestOrders(t *testing.T) {
	t.Run("an order, and its event", func(t *testing.T) {})
	for name := range map[string]int{"twice at once": 2} { t.Run(name, nil) }
}`, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	x := testIndex{}
	x.add("test/orders", file)
	x.add("test/other", &ast.File{Name: ast.NewIdent("other")})
	for page, want := range map[string]string{
		"`test/orders` `TestOrders`": "",
		"`TestOrders`, \"an order, and its event\", \"twice at once\" and so on":    "",
		"`TestEventPattern` is an operation":                                        "",
		"`TestGone`":                                                                "the repository has no test TestGone",
		"`test/other` `TestOrders`":                                                 "test/other has no test TestOrders",
		"| `test/other` | `TestOrders` |":                                           "",
		"`test/orders` `TestOrders`, \"twice\"":                                     `no subtest "twice" beside TestOrders`,
		"`test/orders` `TestOrders`, \"twice at once\", \"an order\"":               `no subtest "an order" beside TestOrders`,
		"`test/orders` `TestOrders`, `TestGone`, \"whose subtest is gone as well\"": "test/orders has no test TestGone",
	} {
		if got := strings.Join(x.problems(page), "; "); got != want {
			t.Errorf("%s: got %q, want %q", page, got, want)
		}
	}
}
