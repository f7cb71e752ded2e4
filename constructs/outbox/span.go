package outbox

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

const (
	second = time.Second
	minute = time.Minute
	day    = 24 * time.Hour
)

// A span is a Duration together with its length, for which the CDK's own process is asked once.
type span struct {
	duration awscdk.Duration // nil where none is given
	length   time.Duration
	known    bool // at synth
}

func spanOf(given awscdk.Duration) span {
	if given == nil || *given.IsUnresolved() {
		return span{duration: given}
	}
	ms := *given.ToMilliseconds(&awscdk.TimeConversionOptions{Integral: jsii.Bool(false)})
	return span{duration: given, length: time.Duration(ms * float64(time.Millisecond)), known: true}
}

// spanFor returns a span that this package chooses itself.
func spanFor(length time.Duration) span {
	return span{duration: awscdk.Duration_Seconds(jsii.Number(length.Seconds())), length: length, known: true}
}

func (s span) given() bool { return s.duration != nil }

// atMost returns the length where it is known, else the longest that there can be.
func (s span) atMost(longest time.Duration) time.Duration {
	if s.known {
		return s.length
	}
	return longest
}

// seconds returns the length as the value of an environment variable. A duration that is only known when the
// stack is deployed must be one in seconds, which the CDK checks.
func (s span) seconds() *string {
	if s.known {
		return jsii.String(strconv.FormatInt(int64(s.length/time.Second), 10))
	}
	return awscdk.Tokenization_StringifyNumber(s.duration.ToSeconds(nil))
}

// words returns a duration for people: in days where it is whole days.
func words(d time.Duration) string {
	switch {
	case d == day:
		return "1 day"
	case d > day && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	default:
		return d.String()
	}
}
