package habits

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// A folder whose packages nobody looks after falls behind, and the example must have the versions of this project.
func TestDependabotLooksAfterEveryPackageJSON(t *testing.T) {
	found := regexp.MustCompile(`package-ecosystem: npm\n(?: *#.*\n)* *directories: \[(.*)\]`).FindSubmatch(read(t, ".github/dependabot.yml"))
	if found == nil {
		t.Fatal("dependabot.yml must list the directories with npm packages")
	}
	for file := range strings.Lines(run(t, "git", "ls-files", "package.json", "**/package.json")) {
		if directory := path.Join("/", path.Dir(strings.TrimSpace(file))); !strings.Contains(string(found[1]), `"`+directory+`"`) {
			t.Errorf("dependabot.yml must name %s with npm, got %s", directory, found[1])
		}
	}
}
