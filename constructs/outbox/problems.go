package outbox

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

const (
	second = time.Second
	minute = time.Minute
	day    = 24 * time.Hour
)

// problems collects what is wrong with the properties of one construct, so that all of it is said at
// once. Values that are only known when the stack is deployed are not checked.
type problems []error

func (f *problems) add(format string, args ...any) {
	*f = append(*f, fmt.Errorf(format, args...))
}

// refuse panics, as CDK constructs do, when something is wrong with the properties of the construct.
func (f *problems) refuse(kind string, id *string) {
	if err := errors.Join(*f...); err != nil {
		panic(fmt.Sprintf("%s %q: %v", kind, *id, err))
	}
}

// number wants a whole number from lowest to highest, or none.
func (f *problems) number(name string, value *float64, lowest, highest float64) {
	if value == nil || *awscdk.Token_IsUnresolved(value) {
		return
	}
	if *value < lowest || *value > highest || *value != math.Trunc(*value) {
		f.add("%s is %v, allowed is a whole number from %v to %v", name, *value, lowest, highest)
	}
}

// duration wants whole seconds from lowest to highest, or none.
func (f *problems) duration(name string, value awscdk.Duration, lowest, highest time.Duration) {
	d, known := length(value)
	if !known {
		return
	}
	if d < lowest || d > highest || d%time.Second != 0 {
		f.add("%s is %v, allowed are whole seconds from %v to %v", name, d, lowest, highest)
	}
}

// days wants whole days from lowest to highest, or none.
func (f *problems) days(name string, value awscdk.Duration, lowest, highest int) {
	d, known := length(value)
	if !known {
		return
	}
	if d < time.Duration(lowest)*day || d > time.Duration(highest)*day || d%day != 0 {
		f.add("%s is %v, allowed are whole days from %d to %d", name, d, lowest, highest)
	}
}

// length is how long a duration is, if there is one and it is known at synth.
func length(value awscdk.Duration) (d time.Duration, known bool) {
	if value == nil || *value.IsUnresolved() {
		return 0, false
	}
	ms := *value.ToMilliseconds(&awscdk.TimeConversionOptions{Integral: jsii.Bool(false)})
	return time.Duration(ms * float64(time.Millisecond)), true
}

// text wants 1 to longest characters.
func (f *problems) text(name string, value *string, longest int) {
	if value == nil {
		f.add("%s is nil, allowed are 1 to %d characters", name, longest)
		return
	}
	if *awscdk.Token_IsUnresolved(value) {
		return
	}
	if n := utf8.RuneCountInString(*value); n < 1 || n > longest {
		f.add("%s is %q with %d characters, allowed are 1 to %d", name, *value, n, longest)
	}
}

// texts wants a list that is not empty, of texts, or none.
func (f *problems) texts(name string, values *[]*string, longest int) {
	if values == nil {
		return
	}
	if len(*values) == 0 {
		f.add("%s is empty, name at least one or leave it out", name)
	}
	for i, value := range *values {
		f.text(fmt.Sprintf("%s[%d]", name, i), value, longest)
	}
}

// notFromAWS wants a source that EventBridge does not keep for itself.
func (f *problems) notFromAWS(name string, source *string) {
	if source != nil && strings.HasPrefix(*source, "aws.") {
		f.add("%s is %q, it must not begin with \"aws.\", which is reserved for AWS services", name, *source)
	}
}

// exclusive wants no setting of something to create next to the existing thing.
func (f *problems) exclusive(existing string, given bool, settings map[string]bool) {
	if !given {
		return
	}
	var set []string
	for name, isSet := range settings {
		if isSet {
			set = append(set, name)
		}
	}
	slices.Sort(set)
	for _, name := range set {
		f.add("%s is set together with %s, which brings its own: set one of them", name, existing)
	}
}
