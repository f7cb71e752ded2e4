package outbox

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-cdk-go/awscdk/v2"
)

// problems collects what is wrong with the properties of one construct, so that all of it is reported at
// once. Values that are only known when the stack is deployed are not checked. Whether one is such a value is
// asked only of what would be refused, because each question crosses over to the CDK's own process.
type problems []error

func (f *problems) add(format string, args ...any) {
	*f = append(*f, fmt.Errorf(format, args...))
}

// addAll adds what an error joins, each with the name of the property that it is about.
func (f *problems) addAll(property string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			f.addAll(property, one)
		}
	} else if err != nil {
		f.add("%s.%w", property, err)
	}
}

// refuse panics, as CDK constructs do, when something is wrong with the properties of the construct.
func (f *problems) refuse(kind string, id *string) {
	err := errors.Join(*f...)
	if err == nil {
		return
	}
	name := "without an id"
	if id != nil {
		name = fmt.Sprintf("%q", *id)
	}
	panic(fmt.Sprintf("%s %s: %v", kind, name, err))
}

// id checks the id of a construct, of which the CDK itself would complain alone. It reports whether it is fine.
func (f *problems) id(id *string) (ok bool) {
	switch {
	case id == nil:
		f.add("the id must be a text, got nil")
	case strings.TrimSpace(*id) == "":
		f.add("the id must not be blank, got %q", *id)
	case unresolved(id):
		f.add("the id must be known when the app is synthesized, got the token %q", *id)
	default:
		return true
	}
	return false
}

// number checks for a whole number from lowest to highest, or none.
func (f *problems) number(name string, value *float64, lowest, highest float64) {
	if value == nil || *value >= lowest && *value <= highest && *value == math.Trunc(*value) {
		return
	}
	if !unresolved(value) {
		f.add("%s must be a whole number from %v to %v, got %v", name, lowest, highest, *value)
	}
}

// duration checks for whole seconds from lowest to highest, or nothing known.
func (f *problems) duration(name string, value span, lowest, highest time.Duration) {
	d := value.length
	if value.known && (d < lowest || d > highest || d%time.Second != 0) {
		f.add("%s must be whole seconds from %s to %s, got %s", name, words(lowest), words(highest), words(d))
	}
}

// days checks for whole days from the lowest number to longestDays, or nothing known.
func (f *problems) days(name string, value span, lowest int) {
	d := value.length
	if value.known && (d < time.Duration(lowest)*day || d > longestDays*day || d%day != 0) {
		f.add("%s must be whole days from %d to %d, got %s", name, lowest, longestDays, words(d))
	}
}

// text checks for 1 to longest characters.
func (f *problems) text(name string, value *string, longest int) {
	if value == nil {
		f.add("%s must have 1 to %d characters, got nil", name, longest)
		return
	}
	n := utf8.RuneCountInString(*value)
	if (n < 1 || n > longest || !isText(*value)) && !unresolved(value) {
		f.add("%s must have 1 to %d characters of UTF-8, got %d in %q", name, longest, n, *value)
	}
}

// keyPart checks a text that becomes part of a key of the outbox or the inbox, as record.Event.Validate does.
func (f *problems) keyPart(name string, value *string, longest int) {
	if value == nil {
		f.add("%s must have 1 to %d bytes, got nil", name, longest)
		return
	}
	n := len(*value)
	if (n < 1 || n > longest || !isText(*value) || strings.Contains(*value, "#")) && !unresolved(value) {
		f.add("%s must have 1 to %d bytes of UTF-8 without '#', got %d in %q", name, longest, n, *value)
	}
}

func isText(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsRune(value, utf8.RuneError)
}

// texts checks for a list that is not empty, of texts, or for none.
func (f *problems) texts(name string, values *[]*string, longest int) {
	f.each(name, values, longest, f.text)
}

// keyParts is texts for parts of keys.
func (f *problems) keyParts(name string, values *[]*string, longest int) {
	f.each(name, values, longest, f.keyPart)
}

func (f *problems) each(name string, values *[]*string, longest int, check func(string, *string, int)) {
	if values == nil {
		return
	}
	if len(*values) == 0 {
		f.add("%s must name at least one, got none", name)
	}
	for i, value := range *values {
		check(fmt.Sprintf("%s[%d]", name, i), value, longest)
	}
}

// notFromAWS checks that a source is not one that EventBridge keeps for itself.
func (f *problems) notFromAWS(name string, source *string) {
	if source != nil && strings.HasPrefix(*source, "aws.") {
		f.add("%s must not begin with \"aws.\", which is reserved for AWS services, got %q", name, *source)
	}
}

// exclusive checks that no setting of something to create stands next to the existing thing.
func (f *problems) exclusive(existing string, given bool, settings map[string]bool) {
	if !given {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if settings[name] {
			f.add("%s must not be set together with %s, whose own settings count", name, existing)
		}
	}
}

// unresolved reports whether a text or a number is a token: known only when the stack is deployed.
func unresolved(value any) bool { return *awscdk.Token_IsUnresolved(value) }
