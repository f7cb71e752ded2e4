package eventbus

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	anyBus  = "arn:aws:events:eu-west-1:000000000000:event-bus/"
	roleARN = "arn:aws:iam::000000000000:role/events"
)

func ruleOf(bus, name string, targets ...any) template.Resource {
	return template.Resource{LogicalID: name, PhysicalName: name, Properties: map[string]any{
		"Name": name, "EventBusName": bus, "EventPattern": map[string]any{"source": []any{"orders"}}, "Targets": targets,
	}}
}

// put puts one event on the bus "default" and returns the bodies that the queue got.
func (w *clockwork) put(rules ...template.Resource) []string {
	w.t.Helper()
	for _, name := range []string{"second", "third"} {
		w.addBus(name)
	}
	for _, r := range rules {
		if _, err := w.provisionRule(w.t.Context(), r); err != nil {
			w.t.Fatal(err)
		}
	}
	out, err := w.putEvents(nil, putEventsRequest{[]entry{{Source: "orders", DetailType: "A", Detail: `{"id":"e1","text":"say \"hi\"","list":[{"n":1.50},{"n":2}]}`}}})
	if err != nil || out.FailedEntryCount > 0 {
		w.t.Fatal(out, err)
	}
	w.run(time.Minute)
	var bodies []string
	for _, m := range w.sent[queueARN] {
		bodies = append(bodies, m.body)
	}
	return bodies
}

var rarely = map[string]any{"ScheduleExpression": "rate(365 days)"}

func TestInputTransformer(t *testing.T) {
	paths := map[string]any{"id": "$.detail.id", "text": "$.detail.text", "numbers": "$.detail.list[*].n", "first": "$.detail.list[0]", "none": "$.detail.none"}
	for name, c := range map[string]struct{ template, want string }{
		"JSON":                  {`{"id":<id>,"n":<numbers>,"o":<first>,"s":"<id>!","none":<none>}`, `{"id":"e1","n":[1.50,2],"o":{"n":1.50},"s":"e1!","none":""}`},
		"a quoted string":       {`"<id> came by <aws.events.rule-name>"`, `"e1 came by R"`},
		"text":                  {`<id> has <first>, 1 < 2`, `e1 has {"n":1.50}, 1 < 2`},
		"an object in a string": {`{"o":"<first>"}`, `{"o":"{n:1.50}"}`},
		"escaped as a value":    {`{"t":<text>}`, `{"t":"say \"hi\""}`},
		"reserved":              {`{"arn":<aws.events.rule-arn>,"at":<aws.events.event.ingestion-time>}`, `{"arn":"arn:aws:events:eu-west-1:000000000000:rule/R","at":"2000-01-01T00:00:00Z"}`},
	} {
		inBubble(t, name, func(t *testing.T, path string) {
			w := newClockwork(t, path, rarely)
			got := w.put(ruleOf("", "R", map[string]any{"Id": "T", "Arn": queueARN, "InputTransformer": map[string]any{"InputPathsMap": paths, "InputTemplate": c.template}}))
			expect(t, "bodies", got, []string{c.want})
		})
	}
	inBubble(t, "the whole event", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		got := w.put(ruleOf("", "R", map[string]any{"Id": "T", "Arn": queueARN, "InputTransformer": map[string]any{"InputTemplate": `{"e":<aws.events.event>,"j":<aws.events.event.json>}`}}))
		var body struct{ E, J map[string]any }
		if err := json.Unmarshal([]byte(got[0]), &body); err != nil || body.E["detail"] != nil || body.E["source"] != "orders" || body.J["detail"] == nil {
			t.Errorf("%s (%v)", got, err)
		}
	})
	inBubble(t, "what is no JSON", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		w.put(ruleOf("", "R", map[string]any{
			"Id": "T", "Arn": queueARN, "DeadLetterConfig": map[string]any{"Arn": deadLetterARN},
			"InputTransformer": map[string]any{"InputPathsMap": paths, "InputTemplate": `{"t":"<text>"}`},
		}))
		got := w.sent[deadLetterARN]
		if len(got) != 1 || got[0].attributes["ERROR_CODE"] != "SDK_CLIENT_ERROR" || !strings.Contains(got[0].attributes["ERROR_MESSAGE"], "must make JSON") {
			t.Errorf("dead-letter messages %+v", got)
		}
	})
}

func TestABusAsTarget(t *testing.T) {
	inBubble(t, "not on to a third", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		if _, err := w.provisionArchive(t.Context(), template.Resource{PhysicalName: "A", Properties: map[string]any{"SourceArn": w.addBus("second").arn}}); err != nil {
			t.Fatal(err)
		}
		got := w.put(
			ruleOf("", "One", map[string]any{"Id": "T", "Arn": anyBus + "second", "RoleArn": roleARN}),
			ruleOf("second", "Two", map[string]any{"Id": "T", "Arn": anyBus + "third", "RoleArn": roleARN}, map[string]any{"Id": "Q", "Arn": queueARN}),
			ruleOf("third", "Three", map[string]any{"Id": "Q", "Arn": queueARN}),
		)
		if len(got) != 1 || !strings.Contains(got[0], `"id":"e1"`) {
			t.Errorf("bodies %q", got)
		}
		i := indexOf(w.hops, hop.Dropped)
		if i < 0 || w.hops[i].Resource != "Two" || !strings.Contains(w.hops[i].Detail, "is not sent on to a third") {
			t.Errorf("hops %+v", w.hops)
		}
		if count, _, _ := w.size(w.archives[0]); count != 1 {
			t.Errorf("the archive of the second bus has %d events", count)
		}
	})
	inBubble(t, "missing", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		w.put(ruleOf("", "One", map[string]any{"Id": "T", "Arn": anyBus + "fourth", "RoleArn": roleARN, "DeadLetterConfig": map[string]any{"Arn": deadLetterARN}}))
		if got := w.sent[deadLetterARN]; len(got) != 1 || got[0].attributes["ERROR_CODE"] != "NO_RESOURCE" {
			t.Errorf("dead-letter messages %+v", got)
		}
	})
}

func indexOf(hops []hop.Hop, outcome hop.Outcome) int {
	for i, h := range hops {
		if h.Outcome == outcome {
			return i
		}
	}
	return -1
}

// asked records what the policies are asked, and refuses everything.
type asked struct{ questions *[]string }

func (a asked) Allows(target, service, source string) bool {
	*a.questions = append(*a.questions, fmt.Sprintln("policy of", target, service, source))
	return false
}

func (a asked) RoleAllows(role, service, source, target string) bool {
	*a.questions = append(*a.questions, fmt.Sprintln("role", role, service, source, target))
	return false
}

// A target's role decides in place of the target's policy, and never about the dead-letter queue.
func TestTheRoleOfATargetDecides(t *testing.T) {
	inBubble(t, "", func(t *testing.T, path string) {
		w := newClockwork(t, path, rarely)
		var questions []string
		w.dispatcher.policies = asked{&questions}
		w.put(ruleOf("", "R", map[string]any{"Id": "T", "Arn": queueARN, "RoleArn": roleARN, "DeadLetterConfig": map[string]any{"Arn": deadLetterARN}}))
		const source = "arn:aws:events:eu-west-1:000000000000:rule/R"
		expect(t, "questions", questions, []string{
			"role " + roleARN + " events.amazonaws.com " + source + " " + queueARN + "\n",
			"policy of " + deadLetterARN + " events.amazonaws.com " + source + "\n",
		})
		expect(t, "outcomes", w.outcomes(), "dropped ")
	})
}

func TestTargetsThatAreRefused(t *testing.T) {
	w := listen(t, filepath.Join(t.TempDir(), "j.db"))
	transformer := func(template string, paths map[string]any) map[string]any {
		return map[string]any{"Arn": queueARN, "InputTransformer": map[string]any{"InputTemplate": template, "InputPathsMap": paths}}
	}
	for name, c := range map[string]struct {
		target map[string]any
		want   string
	}{
		"a stream":          {map[string]any{"Arn": "arn:aws:kinesis:eu-west-1:000000000000:stream/s"}, "must be the ARN of an SQS queue, an SNS topic, a function or an event bus"},
		"another account":   {map[string]any{"Arn": "arn:aws:events:eu-west-1:222222222222:event-bus/b", "RoleArn": roleARN}, "Arn must be that of an event bus in the region eu-west-1 and the account 000000000000, the only ones of the run, got"},
		"another region":    {map[string]any{"Arn": "arn:aws:events:us-west-2:000000000000:event-bus/b", "RoleArn": roleARN}, `got "arn:aws:events:us-west-2`},
		"input of a bus":    {map[string]any{"Arn": anyBus + "second", "Input": "{}"}, "must be empty, because the target is an event bus"},
		"two inputs":        {map[string]any{"Arn": queueARN, "Input": "{}", "InputPath": "$"}, "Input, InputPath and InputTransformer are mutually exclusive"},
		"unknown variable":  {transformer("<id>", nil), "<id> must be in InputPathsMap or one of AWS's variables"},
		"unknown reserved":  {transformer("<aws.events.account>", nil), "<aws.events.account> must be"},
		"no template":       {transformer("", nil), "InputTemplate must have 1 to 8192 characters, got 0"},
		"a name of AWS":     {transformer("x", map[string]any{"aws.x": "$.id"}), `do not begin with "aws", got "aws.x"`},
		"brackets":          {transformer("x", map[string]any{"id": "$['id']"}), "InputPathsMap: id: a JSON path must be $"},
		"a group of no use": {map[string]any{"Arn": queueARN, "SqsParameters": map[string]any{"MessageGroupId": "g"}}, "MessageGroupId must be empty"},
	} {
		c.target["Id"] = "T"
		_, err := w.provisionRule(t.Context(), ruleOf("", "R", c.target))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
