package smoke

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// An Outcome is what a check came to.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "pass"
	Failed  Outcome = "FAIL"    // the guarantee, or what the API promises, does not hold
	Differs Outcome = "differs" // something is not as in the documents, or not there, and the code can do with it
	Skipped Outcome = "skipped" // it was not done, for the reason
)

// A Check is one check. Its number never changes: reports and docs/aws.md name it.
type Check struct {
	Number int    `json:"number"`
	Title  string `json:"title"`
	// Does is what it writes and changes in the stack, and puts back.
	Does string `json:"does"`
	// Open is what AWS's documentation does not tell.
	Open string `json:"open,omitempty"`
	// Minutes and Dollars are about what it takes on AWS.
	Minutes float64 `json:"minutes"`
	Dollars float64 `json:"dollars"`
	// Reference is whether it needs the reference application.
	Reference bool `json:"reference,omitempty"`
	// AfterDestroy is whether it is for a stack that was destroyed.
	AfterDestroy bool `json:"afterDestroy,omitempty"`

	run func(context.Context, *job) error
}

// Checks returns all checks, in the order of their numbers.
func Checks() []Check {
	return []Check{
		eventDataCheck, hardNamesCheck, postCheck, storedCheck, alarmCheck, pipeDeadLetterCheck, ruleDeadLetterCheck, rolesCheck,
		patchCheck, orderedGapCheck, largeEventsCheck, validationCheck, replayCheck, recordAgeCheck, traceCheck, destroyedCheck,
	}
}

// A Selection names the checks that are wanted.
type Selection struct {
	Only, Skip   []int
	AfterDestroy bool
}

// Validate names the numbers that no check has.
func (s Selection) Validate() error {
	last := len(Checks())
	var problems []error
	for flag, numbers := range map[string][]int{"--only": s.Only, "--skip": s.Skip} {
		for _, n := range numbers {
			if n < 1 || n > last {
				problems = append(problems, fmt.Errorf("%s must name checks from 1 to %d, got %d", flag, last, n))
			}
		}
	}
	if s.AfterDestroy && len(s.Only)+len(s.Skip) > 0 {
		problems = append(problems, errors.New("--after-destroy is a check of its own: not with --only or --skip"))
	}
	return errors.Join(problems...)
}

// Of returns those of all checks that are wanted.
func (s Selection) Of(all []Check) []Check {
	var some []Check
	for _, c := range all {
		switch {
		case c.AfterDestroy != s.AfterDestroy:
		case len(s.Only) > 0 && !slices.Contains(s.Only, c.Number), slices.Contains(s.Skip, c.Number):
		default:
			some = append(some, c)
		}
	}
	return some
}

// findings are what a check has seen so far.
type findings struct{ seen, wrong, differs []string }

// see notes something for the report.
func (f *findings) see(format string, args ...any) {
	f.seen = append(f.seen, fmt.Sprintf(format, args...))
}

// fail notes what is not as it must be. The check goes on.
func (f *findings) fail(format string, args ...any) {
	f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
}

// differ notes what is not as the documents say, and what comes of it.
func (f *findings) differ(format string, args ...any) {
	f.differs = append(f.differs, fmt.Sprintf(format, args...))
}

// expect notes a failure where got is not want.
func expect[T comparable](f *findings, what string, got, want T) {
	if got != want {
		f.fail("%s is %v, want %v", what, got, want)
	}
}

// A skipError is the reason why a check cannot be done on this stack.
type skipError string

func (e skipError) Error() string { return string(e) }

func skip(format string, args ...any) error { return skipError(fmt.Sprintf(format, args...)) }

// outcome returns what the findings and the error of a check come to, and the text for it.
func (f *findings) outcome(err error) (Outcome, string) {
	var skipped skipError
	texts := slices.Concat(f.wrong, f.differs, f.seen)
	switch {
	case len(f.wrong) > 0 && err != nil:
		texts = append([]string{err.Error()}, texts...)
		fallthrough
	case len(f.wrong) > 0:
		return Failed, strings.Join(texts, "; ")
	case errors.As(err, &skipped):
		return Skipped, string(skipped)
	case isNotLocal(err):
		return Differs, strings.Join(append([]string{"the local run has no such thing: " + apiMessage(err)}, texts...), "; ")
	case err != nil:
		return Failed, strings.Join(append([]string{err.Error()}, texts...), "; ")
	case len(f.differs) > 0:
		return Differs, strings.Join(texts, "; ")
	}
	return Passed, strings.Join(texts, "; ")
}

// isNotLocal reports whether the local run has refused a request because it does not have the operation, or not all of it.
func isNotLocal(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && strings.Contains(api.ErrorMessage(), "the local run")
}

func apiMessage(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return err.Error()
}

// hasCode reports whether a service has answered with one of the error codes.
func hasCode(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	return slices.ContainsFunc(codes, func(code string) bool {
		return api.ErrorCode() == code || strings.HasSuffix(api.ErrorCode(), "."+code)
	})
}
