package smoke

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outboxkit/transactional-outbox/runtime/outbox"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// hardText has what templates and JSON writers trip over.
const hardText = "\" \\ ' / \n \t é 😀 <$.x>"

var eventDataCheck = Check{
	Number: 1, Title: "event data arrives unchanged",
	Does: "commits 1 event to the outbox; a temporary rule and queue receive it",
	Open: "how Pipes inserts an object, an empty string, and a string into its template",

	Minutes: 1.5, Dollars: 0.001, run: eventData,
}

func eventData(ctx context.Context, j *job) error {
	t, err := j.tap(ctx)
	if err != nil {
		return err
	}
	id, err := j.writeOne(ctx, t, smokeType, "data", map[string]string{"text": hardText})
	if err != nil {
		return err
	}
	got, err := j.arrives(ctx, t.consumer, id)
	if err != nil {
		return err
	}
	stored, err := j.item(ctx, j.Outbox.Table, eventKey(t.aggregateType, "data", id))
	if err != nil {
		return err
	}
	if !sameJSON(got.event.Data, []byte(textOf(stored, record.AttrData))) {
		j.fail("the data came as `%s`, and %s was written", got.event.Data, textOf(stored, record.AttrData))
	}
	expect(&j.findings, "causationId", got.event.CausationID, "")
	expect(&j.findings, "correlationId", got.event.CorrelationID, id)
	expect(&j.findings, "traceparent", got.event.Traceparent, "")
	expect(&j.findings, "the version", got.event.Version, 1)
	if err := j.expectEffects(ctx, t.consumer, id, "", 1); err != nil {
		return err
	}
	var forms []string
	for _, name := range record.DetailFields {
		forms = append(forms, name+" "+form(got.detail()[name]))
	}
	j.see("forms: %s", strings.Join(forms, ", "))
	return nil
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	left, _ := json.Marshal(x)
	right, _ := json.Marshal(y)
	return bytes.Equal(left, right)
}

// form returns in which form a field of the envelope came.
func form(raw json.RawMessage) string {
	switch trimmed := strings.TrimSpace(string(raw)); {
	case trimmed == "":
		return "missing"
	case strings.HasPrefix(trimmed, `{"S"`), strings.HasPrefix(trimmed, `{ "S"`):
		return `{"S":…}`
	case trimmed[0] == '{':
		return "object"
	case trimmed[0] == '"':
		return "string"
	case trimmed == "null":
		return "null"
	}
	return "number"
}

var hardNamesCheck = Check{
	Number: 2, Title: "an id with quotes, backslashes and <$.x>",
	Does: "commits 1 event whose aggregate has such an id; where Pipes cannot render it, it waits in the pipe's dead-letter queue and is redriven",
	Open: "whether Pipes escapes a string that it inserts into its template",

	Minutes: 1, Dollars: 0.001, run: hardNames,
}

func hardNames(ctx context.Context, j *job) error {
	t, err := j.tap(ctx)
	if err != nil {
		return err
	}
	aggregate := strings.NewReplacer("\n", "", "\t", "").Replace(hardText)
	id, err := j.writeOne(ctx, t, smokeType, aggregate, map[string]int{"n": 1})
	if err != nil {
		return err
	}
	var dead *deadLetter
	err = j.await(ctx, "event "+id+" arrives, or is in the pipe's dead-letter queue", func() (bool, error) {
		if err := j.take(ctx, t.consumer); err != nil || len(t.messages[id]) > 0 {
			return err == nil, err
		}
		dead, err = j.deadLetterOf(ctx, id)
		return dead != nil, err
	})
	if err != nil {
		return err
	}
	if dead != nil {
		j.differ("Pipes could not render it, and put it into its dead-letter queue, as ADR 10 says: `%s`", dead.body)
		if err := j.redrivePipe(ctx, dead); err != nil {
			return err
		}
	}
	got, err := j.arrives(ctx, t.consumer, id)
	if err != nil {
		return err
	}
	expect(&j.findings, "the aggregate's id", got.event.AggregateID, aggregate)
	if err := j.expectEffects(ctx, t.consumer, id, "", 1); err != nil {
		return err
	}
	j.see("aggregateId came as `%s`", got.detail()[record.AttrAggregateID])
	return nil
}

var largeEventsCheck = Check{
	Number: 11, Title: "ten large events in one transaction",
	Does: "commits 10 events of 200 kB in one transaction; the temporary queue receives them",
	Open: "whether Pipes splits a batch whose entries are larger together than PutEvents takes",

	Minutes: 1, Dollars: 0.01, run: largeEvents,
}

const (
	largeEventCount = 10
	largeEventBytes = 200_000
)

func largeEvents(ctx context.Context, j *job) error {
	t, err := j.tap(ctx)
	if err != nil {
		return err
	}
	var all []outbox.Event
	for n := range largeEventCount {
		all = append(all, outbox.Event{
			Type: smokeType, AggregateType: t.aggregateType, AggregateID: fmt.Sprintf("large-%d", n), Version: 1,
			Data: map[string]string{"text": strings.Repeat(fmt.Sprint(n), largeEventBytes)},
		})
	}
	ids, err := j.write(ctx, true, all...)
	if err != nil {
		return err
	}
	for n, id := range ids {
		got, err := j.arrives(ctx, t.consumer, id)
		if err != nil {
			if dead, lookErr := j.deadLetterOf(ctx, id); lookErr == nil && dead != nil {
				j.see("it is in the pipe's dead-letter queue: `%s`", dead.body)
			}
			return err
		}
		want, _ := json.Marshal(all[n].Data) // a map of strings always marshals
		if !sameJSON(got.event.Data, want) {
			j.fail("event %d came with other data, of %d bytes", n, len(got.event.Data))
		}
		if err := j.expectEffects(ctx, t.consumer, id, fmt.Sprintf(", event %d", n), 1); err != nil {
			return err
		}
	}
	j.see("%d events of %d bytes arrived", len(ids), largeEventBytes)
	return nil
}
