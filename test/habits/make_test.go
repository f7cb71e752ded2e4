package habits

import (
	"regexp"
	"strings"
	"testing"
)

var phony = regexp.MustCompile(`(?m)^\.PHONY: (.*)$`)

// Each target that a person types is a .PHONY one.
func TestMakeHelpExplainsEveryTarget(t *testing.T) {
	help := run(t, "make", "-s", "help")
	targets := phony.FindAllStringSubmatch(string(read(t, "Makefile")), -1)
	if len(targets) == 0 {
		t.Fatal("the Makefile has no targets")
	}
	for _, line := range targets {
		for target := range strings.FieldsSeq(line[1]) {
			if !regexp.MustCompile(`(?m)^  make ` + target + ` +\S`).MatchString(help) {
				t.Errorf("make help must explain %q, got:\n%s", target, help)
			}
		}
	}
}
