package synth

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/stacks"
)

// placeInTable is the construct path in the first column of a row of docs/data.md.
var placeInTable = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// TestDataPageNamesEveryPlace: docs/data.md lists everything in the stack that keeps data, and nothing that is not there.
func TestDataPageNamesEveryPlace(t *testing.T) {
	page, err := os.ReadFile("docs/data.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Where personal data lies")
	unused := map[string]bool{}
	for _, row := range placeInTable.FindAllStringSubmatch(section, -1) {
		unused[row[1]] = true
	}
	listed := map[string]bool{}
	for place := range unused {
		listed[place] = true
	}
	tpl := orders(t, stacks.Prod())
	for _, kind := range []string{
		"AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Events::Archive", "AWS::SQS::Queue", "AWS::Logs::LogGroup", "AWS::S3::Bucket",
	} {
		for _, place := range tpl.paths(kind) {
			found := false
			for pattern := range listed {
				if matched, err := path.Match(pattern, place); err == nil && matched {
					found = true
					delete(unused, pattern)
				}
			}
			if !found {
				t.Errorf("docs/data.md does not say what is in %s (%s)", place, kind)
			}
		}
	}
	for pattern := range unused {
		t.Errorf("docs/data.md lists %s, which the stack does not have", pattern)
	}
}
