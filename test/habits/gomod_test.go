package habits

import (
	"go/version"
	"regexp"
	"strings"
	"testing"
)

var goDirective = regexp.MustCompile(`(?m)^go (\S+)$`)

// A higher go directive than the dependencies ask for shuts out teams whose compiler is a little older.
func TestGoDirectiveIsAsLowAsTheDependenciesAllow(t *testing.T) {
	var highest, who string
	for line := range strings.Lines(run(t, "go", "list", "-m", "-f", "{{if not .Main}}{{.GoVersion}} {{.Path}}{{end}}", "all")) {
		asked, module, found := strings.Cut(strings.TrimSpace(line), " ")
		if found && asked != "" && version.Compare("go"+asked, "go"+highest) > 0 {
			highest, who = asked, module
		}
	}
	own := goVersion(t, "go.mod")
	if version.Compare("go"+own, "go"+highest) != 0 {
		t.Errorf("the go directive must be %s, which %s asks for, got %s", highest, who, own)
	}
	// An app that imports the construct must not need more than the construct.
	if example := goVersion(t, "examples/shipping/go.mod"); example != own {
		t.Errorf("the go directive of examples/shipping must be %s, got %s", own, example)
	}
}

// CI shows that the oldest compiler that go.mod allows is enough.
func TestCIRunsTheOldestGo(t *testing.T) {
	if own := goVersion(t, "go.mod"); !strings.Contains(string(read(t, ".github/workflows/ci.yml")), `go: "`+own+`"`) {
		t.Errorf("ci.yml must have a job with Go %s, the go directive of go.mod", own)
	}
}

// npm and the CDK CLI put Go templates below node_modules that do not compile.
func TestGoIgnoresWhatNpmInstalls(t *testing.T) {
	for line := range strings.Lines(run(t, "go", "list", "-e", "./...")) {
		if strings.Contains(line, "node_modules") || strings.Contains(line, "cdk.out") {
			t.Errorf("go list ./... must name our packages only, got %s", strings.TrimSpace(line))
		}
	}
}

func goVersion(t *testing.T, file string) string {
	t.Helper()
	found := goDirective.FindSubmatch(read(t, file))
	if found == nil {
		t.Fatalf("%s has no go directive", file)
	}
	return string(found[1])
}
