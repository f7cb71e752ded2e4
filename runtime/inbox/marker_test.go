package inbox

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Consumers in other languages write the marker by docs/envelope.md.
func TestTheMarkerIsAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/envelope.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## The inbox from another language\n")
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*`) \\| ([SN]) \\| (.*) \\|$").FindAllStringSubmatch(section, -1) {
		for _, name := range strings.Split(strings.ReplaceAll(row[1], "`", ""), ", ") {
			documented[name] = row[2] + " " + row[3]
		}
	}
	m := marker{&Config{Consumer: "<INBOX_CONSUMER>", TTL: time.Hour}}
	item := m.item(record.Event{Source: "<source>", ID: "<detail.id>"})
	if got, want := slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(item)); !slices.Equal(got, want) {
		t.Errorf("the page documents the attributes %q, the marker has %q", got, want)
	}
	if got, want := documented[record.AttrPK], "S `"+scalar(item[record.AttrPK])+"`"; got != want {
		t.Errorf("the page says that the key is %s, it is %s", got, want)
	}
}
