package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
	"github.com/outboxkit/transactional-outbox/internal/operate"
)

// findAndRepair does what an operator does after mistakes. It audits twice: while dead-letter messages wait, which are no
// confirmations, and after some of them were deleted and the others redriven. Then it repairs what the auditor has on its list.
func (r *runner) findAndRepair(ctx context.Context) error {
	if err := r.audit(ctx, (*runner).onTheList, (*runner).inFull); err != nil || r.failed() {
		return err
	}
	if slices.Contains(r.rules.Mistakes, check.DeadLettersEmptied) {
		if err := r.emptyDeadLetters(ctx); err != nil {
			return fmt.Errorf("empty a dead-letter queue: %w", err)
		}
	}
	if err := r.redriveAll(ctx); err != nil {
		return err
	}
	if err := r.audit(ctx, (*runner).asReported, (*runner).inFull); err != nil || r.failed() {
		return err
	}
	if err := r.repair(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx, history.Repaired); err != nil {
		return err
	}
	return r.audit(ctx, (*runner).inFull)
}

// A report is one way to learn what is missing.
type report func(*runner, context.Context, *desk) (history.Audit, error)

// audit has the auditor look until it knows all that is missing by the last state, or until patience is at its end, and notes
// what each report names. The state afterwards shows what has come meanwhile.
func (r *runner) audit(ctx context.Context, reports ...report) error {
	d, err := r.desk(ctx)
	if err != nil {
		return err
	}
	owed, _ := check.Unconfirmed(history.Final(r.log.Entries()), r.consumers)
	a := auditing{runner: r, desk: d, owed: owed, changed: time.Now()}
	if err := until(ctx, func() (bool, error) { return a.look(ctx) }); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for _, report := range reports {
		a, err := report(r, ctx, d)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		r.say("the audit %q names %d effects as missing, of %d", a.By, len(a.Named), len(owed))
		r.log.Audit(a)
	}
	current, err := r.cluster.current(ctx)
	if err != nil {
		return err
	}
	state, err := r.read(ctx, current)
	if err != nil {
		return err
	}
	r.log.Phase(history.Phase{Name: history.Audited})
	r.log.State(state)
	return nil
}

func (r *runner) desk(ctx context.Context) (*desk, error) {
	current, err := r.cluster.current(ctx)
	if err != nil {
		return nil, err
	}
	return openDesk(ctx, current, r.stack)
}

// auditing is an auditor at work.
type auditing struct {
	*runner
	desk    *desk
	owed    map[history.Named]bool
	listed  int
	changed time.Time // when something changed last: its list, or what it has still to look at
}

// look invokes the auditor and reports whether all that is owed is on its list, or nothing more comes to it. An empty list
// may be one that nothing has come to yet.
func (a *auditing) look(ctx context.Context) (bool, error) {
	if err := a.desk.invokeAuditor(ctx); err != nil {
		return false, err
	}
	list, err := a.onTheList(ctx, a.desk)
	if err != nil {
		return false, err
	}
	pending, err := count(ctx, a.desk.sqs, a.desk.outbox.Audit.Pending)
	if err != nil {
		return false, err
	}
	left := maps.Clone(a.owed)
	for _, n := range list.Named {
		delete(left, n)
	}
	patience := a.Patience
	if len(list.Named) == 0 {
		patience = max(patience, defaultPatience)
	}
	if len(list.Named) != a.listed || pending > 0 {
		a.listed, a.changed = len(list.Named), time.Now()
	}
	return len(left) == 0 || time.Since(a.changed) > patience, nil
}

// invokeAuditor invokes the auditor as its schedule does.
func (d *desk) invokeAuditor(ctx context.Context) error {
	event, err := json.Marshal(map[string]string{"source": "aws.events", "detail-type": "Scheduled Event", "account": "000000000000", "region": d.region})
	if err != nil {
		return err
	}
	out, err := d.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &d.outbox.Audit.Function, Payload: event})
	if err == nil && out.FunctionError != nil {
		err = fmt.Errorf("the auditor failed: %s", out.Payload)
	}
	return err
}

// onTheList returns what the auditor has noted.
func (r *runner) onTheList(ctx context.Context, d *desk) (history.Audit, error) {
	a := history.Audit{By: "the auditor's list"}
	list := audit.List{Client: d.DynamoDB, Table: d.outbox.Audit.Table}
	for _, c := range d.outbox.Consumers {
		for u, err := range list.Of(ctx, c.Name) {
			if err != nil {
				return a, err
			}
			a.Named = append(a.Named, history.Named{Consumer: c.Label(), Event: u.ID})
		}
	}
	return a, nil
}

// asReported returns what `outbox audit` names: what is on the list and still missing.
func (r *runner) asReported(ctx context.Context, d *desk) (history.Audit, error) {
	return r.reported(ctx, d, "outbox audit", false)
}

// inFull returns what `outbox audit --full` names.
func (r *runner) inFull(ctx context.Context, d *desk) (history.Audit, error) {
	return r.reported(ctx, d, "outbox audit --full", true)
}

func (r *runner) reported(ctx context.Context, d *desk, by string, full bool) (history.Audit, error) {
	a := history.Audit{By: by}
	search := d.search()
	search.Full = full
	_, err := operate.Audit(ctx, search, func(m operate.MissingEffect) error {
		a.Named = append(a.Named, history.Named{Consumer: m.Consumer, Event: m.ID})
		return nil
	})
	return a, err
}

// search is for all that was written up to now.
func (d *desk) search() operate.Search {
	return operate.Search{
		Clients: d.Clients, Outbox: d.outbox, Until: time.Now(), Dialog: operate.NewDialog(strings.NewReader(""), io.Discard, true, false),
	}
}

// repairRate is how many events a second are sent again.
const repairRate = 500

// repair sends what is on the auditor's list again, as `outbox repair --behind` does: the queues of ordered consumers hold
// what came after an event that is missing.
func (r *runner) repair(ctx context.Context) error {
	d, err := r.desk(ctx)
	if err != nil {
		return err
	}
	repair := operate.Repair{Search: d.search(), Rate: repairRate, Maximum: 100_000, Behind: true}
	result, err := repair.Run(ctx, operate.CommandLine{})
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	sent := 0
	for _, c := range result.Consumers {
		sent += c.Sent
	}
	r.say("%d events were sent again", sent)
	return nil
}

// emptyDeadLetters deletes the messages in the dead-letter queue of the first consumer that has any, in an order that
// follows from the seed.
func (r *runner) emptyDeadLetters(ctx context.Context) error {
	d, err := r.desk(ctx)
	if err != nil {
		return err
	}
	all := d.outbox.Consumers
	first := dice{r.Plan.Seed}.of(len(all), check.DeadLettersEmptied)
	for n := range all {
		c := all[(first+n)%len(all)]
		deleted, err := d.deleteAll(ctx, c.DeadLetterQueue)
		if err != nil {
			return err
		}
		if len(deleted) > 0 || n+1 == len(all) {
			r.say("%d dead-letter messages of %s are deleted", len(deleted), c.Label())
			r.log.Mistake(history.Mistake{Kind: check.DeadLettersEmptied, Consumer: c.Label()})
			r.log.Mistake(history.Mistake{Kind: check.DeadLettersEmptied, Consumer: c.Label(), Over: true, Events: deleted})
			return nil
		}
	}
	return nil
}

// deleteAll deletes the messages of a dead-letter queue one by one, so that it is known which, and returns their events.
func (d *desk) deleteAll(ctx context.Context, queue string) (events []string, err error) {
	for {
		out, err := d.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &queue, MaxNumberOfMessages: 10, VisibilityTimeout: 60})
		if err != nil || len(out.Messages) == 0 {
			return events, err
		}
		for _, m := range out.Messages {
			if _, err := d.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: aws.String(*m.ReceiptHandle)}); err != nil {
				return events, err
			}
			events = append(events, eventIn(m)...)
		}
	}
}
