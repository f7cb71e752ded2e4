package smoke

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// TestNumbers: the numbers are those of the list, for ever, and each check says what it does, leaves open and costs.
func TestNumbers(t *testing.T) {
	for i, c := range Checks() {
		if c.Number != i+1 {
			t.Errorf("check %d is in place %d", c.Number, i+1)
		}
		if c.Title == "" || c.Does == "" || c.Open == "" || c.Minutes <= 0 || c.run == nil {
			t.Errorf("check %d does not say all of it: %+v", c.Number, c)
		}
	}
}

func TestSelection(t *testing.T) {
	numbers := func(s Selection) (all []int) {
		for _, c := range s.Of(Checks()) {
			all = append(all, c.Number)
		}
		return all
	}
	for name, tc := range map[string]struct {
		s    Selection
		want []int
	}{
		"all":               {Selection{}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
		"some":              {Selection{Only: []int{7, 3}}, []int{3, 7}},
		"all but some":      {Selection{Skip: []int{14, 6}}, []int{1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 15}},
		"some but one":      {Selection{Only: []int{3, 7}, Skip: []int{3}}, []int{7}},
		"after cdk destroy": {Selection{AfterDestroy: true}, []int{16}},
	} {
		if got := numbers(tc.s); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	err := Selection{Only: []int{0}, Skip: []int{17}, AfterDestroy: true}.Validate()
	for _, want := range []string{"--only must name checks from 1 to 16, got 0", "--skip must name checks from 1 to 16, got 17", "--after-destroy"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error %v does not say %q", err, want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	notLocal := &smithy.GenericAPIError{Code: "UnsupportedOperation", Message: `the local run does not have the operation "X"`}
	for name, tc := range map[string]struct {
		make func(*findings)
		err  error
		want Outcome
		says string
	}{
		"nothing wrong":                        {func(f *findings) { f.see("seen") }, nil, Passed, "seen"},
		"something wrong":                      {func(f *findings) { f.see("seen"); f.differ("other"); f.fail("wrong") }, nil, Failed, "wrong; other; seen"},
		"something else":                       {func(f *findings) { f.see("seen"); f.differ("other") }, nil, Differs, "other; seen"},
		"a reason":                             {func(*findings) {}, skip("no %s", "queue"), Skipped, "no queue"},
		"an error":                             {func(f *findings) { f.see("seen") }, errors.New("broken"), Failed, "broken; seen"},
		"not in the local run":                 {func(*findings) {}, errors.Join(errors.New("ask"), notLocal), Differs, "the local run does not have"},
		"wrong before it is not there locally": {func(f *findings) { f.fail("wrong") }, notLocal, Failed, "wrong"},
		"wrong before a reason":                {func(f *findings) { f.fail("wrong") }, skip("no"), Failed, "wrong"},
	} {
		var f findings
		tc.make(&f)
		if got, text := f.outcome(tc.err); got != tc.want || !strings.Contains(text, tc.says) {
			t.Errorf("%s: %s %q, want %s %q", name, got, text, tc.want, tc.says)
		}
	}
}

// TestCleanups: the last first, all of them whatever fails, and after an interruption too; what fails is named.
func TestCleanups(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var done []string
	var c cleanups
	for _, name := range []string{"one", "two", "three"} {
		c.add(name, func(ctx context.Context) error {
			done = append(done, name)
			if name == "two" {
				return errors.New("refused")
			}
			return ctx.Err()
		})
	}
	left := c.run(ctx, operate.NewDialog(nil, io.Discard, true, false))
	if !slices.Equal(done, []string{"three", "two", "one"}) || !slices.Equal(left, []string{"two (refused)"}) {
		t.Errorf("it undid %v, and left %v", done, left)
	}
	if again := c.run(t.Context(), operate.NewDialog(nil, io.Discard, true, false)); again != nil || len(done) != 3 {
		t.Errorf("a second time it undid %v", done[3:])
	}
}

// TestReport: a table that Markdown takes, without account ids, and why it was no success.
func TestReport(t *testing.T) {
	r := &Report{
		Stack: "Orders-dev", Where: "region eu-central-1", Began: time.Date(2026, 11, 27, 4, 0, 0, 0, time.UTC), Left: []string{"queue q of 111122223333"},
		Checks: []CheckReport{
			{Check: Check{Number: 3, Title: "a|b"}, Outcome: Failed, Observed: "arn:aws:sqs:eu-central-1:111122223333:q\nis | there, at 1795752425907"},
			{Check: Check{Number: 4, Title: "c"}, Outcome: Passed, Observed: "fine"},
		},
	}
	var b strings.Builder
	r.Markdown(&b)
	for _, want := range []string{
		"| # | check | outcome | observed | s |\n|---|---|---|---|---|\n",
		`| 3 | a\|b | FAIL | arn:aws:sqs:eu-central-1:<account>:q is \| there, at 1795752425907 | 0 |` + "\n",
		"| 4 | c | pass | fine | 0 |\n", "**Not removed:** queue q of <account>",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report does not have %q:\n%s", want, b.String())
		}
	}
	if m := r.Masked(); strings.Contains(m.Checks[0].Observed+m.Left[0], "111122223333") || !strings.Contains(r.Checks[0].Observed, "111122223333") {
		t.Error("the JSON has the account's id")
	}
	err := r.Problem()
	if err == nil || !strings.Contains(err.Error(), "[3]") || !strings.Contains(err.Error(), "queue q") {
		t.Errorf("the problem is %v", err)
	}
	if err := (&Report{Checks: r.Checks[1:]}).Problem(); err != nil {
		t.Errorf("a success is a problem: %v", err)
	}
}

// TestFormOfAPipesMessage: what a redrive needs must be there; a condition of another name is only noted.
func TestFormOfAPipesMessage(t *testing.T) {
	const good = `{"context":{"condition":"RetryAttemptsExhausted"},"DDBStreamBatchInfo":{"shardId":"s","startSequenceNumber":"1","endSequenceNumber":"1",` +
		`"batchSize":1,"streamArn":"a","approximateArrivalOfFirstRecord":"t","approximateArrivalOfLastRecord":"t"}}`
	for name, tc := range map[string]struct {
		body string
		want Outcome
	}{
		"as documented":     {good, Passed},
		"another condition": {strings.Replace(good, "RetryAttemptsExhausted", "Other", 1), Differs},
		"no shard":          {strings.Replace(good, "shardId", "shard", 1), Failed},
		"no times":          {strings.Replace(good, "approximateArrivalOfLastRecord", "x", 1), Failed},
		"the event itself":  {`{"source":"orders","detail":{}}`, Failed},
		"no JSON":           {"x", Failed},
	} {
		var f findings
		f.formOfDeadLetter(tc.body)
		if got, text := f.outcome(nil); got != tc.want {
			t.Errorf("%s: %s, want %s: %s", name, got, tc.want, text)
		}
	}
}

func TestAttributesOfARulesMessage(t *testing.T) {
	message := func(names ...string) *types.Message {
		m := &types.Message{MessageAttributes: map[string]types.MessageAttributeValue{}}
		for _, name := range names {
			m.MessageAttributes[name] = types.MessageAttributeValue{StringValue: aws.String("arn:q")}
		}
		return m
	}
	for want, m := range map[Outcome]*types.Message{
		Passed: message("RULE_ARN", "TARGET_ARN", "ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"),
		Failed: message("RULE_ARN", "TARGET_ARN", "ERROR_CODE"),
	} {
		var f findings
		f.checkRuleMessage(m, "arn:q")
		if got, text := f.outcome(nil); got != want {
			t.Errorf("%s, want %s: %s", got, want, text)
		}
	}
	var f findings
	f.checkRuleMessage(message(ruleAttributes...), "arn:other")
	if got, _ := f.outcome(nil); got != Failed {
		t.Errorf("%s for another target's message", got)
	}
}
