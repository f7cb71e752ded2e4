package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/pipes"
	pipetypes "github.com/aws/aws-sdk-go-v2/service/pipes/types"

	"github.com/outboxkit/transactional-outbox/internal/audit"
	"github.com/outboxkit/transactional-outbox/internal/description"
)

// newSortedTable makes a table with a sort key, as the outbox's and the auditor's are.
func newSortedTable(t *testing.T, name string) string {
	t.Helper()
	name = strings.NewReplacer("/", "-", " ", "-", ",", "", "'", "").Replace(t.Name()) + "-" + name
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}, {AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// note puts an event on the auditor's list, as the auditor does.
func note(t *testing.T, table, consumer, id string, age time.Duration) {
	t.Helper()
	err := audit.List{Client: db, Table: table}.Note(t.Context(), audit.Unconfirmed{
		Event: audit.Event{
			ID: id, Source: "orders", Type: "OrderCreated", AggregateType: "Order", AggregateID: "o-" + id, Version: 1, WrittenAt: time.Now().Add(-age),
		},
		Consumer: consumer, Since: time.Now().Add(-age / 2), Checks: 1, NextCheckAt: time.Now(), ExpiresAt: time.Now().Add(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func survey(t *testing.T, p *plant, stack *Stack) *Status {
	t.Helper()
	s, err := NewSurveyor(p.clients(), stack, CommandLine{Stack: "Orders", Port: DefaultPort}).Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func screen(s *Status, width int) string {
	var b strings.Builder
	s.Write(&b, width)
	return b.String()
}

// TestStatusFitsTheScreen: twelve consumers, on a wide terminal and on a narrow one.
func TestStatusFitsTheScreen(t *testing.T) {
	var ids []string
	for n := range 12 {
		ids = append(ids, fmt.Sprintf("order-created-publisher-number-%02d", n))
	}
	stack := audited(stackOf(ids...), newSortedTable(t, "audit"))
	p := newPlant(stack)
	for _, c := range stack.Consumers {
		p.queues[c.Queue]["ApproximateNumberOfMessages"] = "123456"
		p.metrics["ApproximateAgeOfOldestMessage "+c.ID] = []datapoint{{time.Now(), 100 * 60}}
		note(t, stack.Outboxes[0].Audit.Table, c.Name, "e-1", 50*time.Minute)
	}
	s := survey(t, p, stack)
	if len(s.Needs) != 0 {
		t.Errorf("it needs %v, want nothing", s.Needs)
	}
	for _, width := range []int{80, 120} {
		text := screen(s, width)
		if n := strings.Count(text, "\n"); n > 24 {
			t.Errorf("on %d columns it has %d lines, want no more than a small terminal's 24:\n%s", width, n, text)
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("on %d columns a line has %d: %s", width, n, line)
			}
		}
		for _, want := range []string{"pipe", "RUNNING", " s ago, after 0.8 s", "12 events not confirmed within 15 min, the oldest for 50 min", "123456", "100 min", "number-11", "nothing needs a person"} {
			if !strings.Contains(text, want) {
				t.Errorf("on %d columns it does not show %q:\n%s", width, want, text)
			}
		}
	}
	if text := screen(s, 0); !strings.Contains(text, "order-created-publisher-number-11") {
		t.Errorf("not on a terminal, names are cut:\n%s", text)
	}
}

// TestWhatNeedsAPerson: each fault by itself is named, with what to type.
func TestWhatNeedsAPerson(t *testing.T) {
	table := newSortedTable(t, "audit")
	for name, tc := range map[string]struct {
		breakIt func(*plant, *Stack)
		what    string
		do      string
	}{
		"a pipe that was stopped": {func(p *plant, _ *Stack) {
			p.pipe = &pipes.DescribePipeOutput{CurrentState: pipetypes.PipeStateStopped, StateReason: aws.String("No records could be delivered")}
		}, "the pipe is STOPPED (No records could be delivered): events wait in the stream, at most 20 h", "outbox resume --stack Orders --pipe"},
		"a pipe that is gone": {func(p *plant, _ *Stack) { p.pipe = nil }, "pipe orders-pipe is gone", "outbox repair --stack Orders --full"},
		"no heartbeat for a while": {func(p *plant, _ *Stack) {
			p.metrics["HeartbeatLag Orders/Outbox"][0].at = time.Now().Add(-20*time.Minute - 5*time.Second)
		}, "no heartbeat has arrived for 20 min", "log of function heartbeat"},
		"no heartbeat at all":              {func(p *plant, _ *Stack) { p.metrics = nil }, "no heartbeat has arrived in the last 3 h", "log of function heartbeat"},
		"heartbeats that are late":         {func(p *plant, _ *Stack) { p.metrics["HeartbeatLag Orders/Outbox"][0].value = 400_000 }, "heartbeats take 6 min, more than 5 min", "throttling"},
		"a mapping that was disabled":      {func(p *plant, _ *Stack) { p.mappings["Ship-mapping"] = "Disabled" }, "event source mapping of Ship is Disabled", "outbox resume --stack Orders --consumer Ship"},
		"a mapping that is gone":           {func(p *plant, _ *Stack) { delete(p.mappings, "Ship-mapping") }, "event source mapping of Ship is gone", "out of the stack's template and deploy, then deploy with both again"},
		"a queue that Lambda may not poll": {func(p *plant, _ *Stack) { p.problems["Ship-mapping"] = "PROBLEM: Lambda internal error" }, "does not get on with the queue of Ship: PROBLEM", "read the log of function Ship-function"},
		"a rule that was disabled":         {func(p *plant, _ *Stack) { p.rules["Ship-rule"] = "DISABLED" }, "the rule of Ship is DISABLED", "aws events enable-rule --event-bus-name orders-bus --name Ship-rule; then outbox repair --stack Orders --consumer Ship"},
		"a heartbeat's schedule that was disabled": {func(p *plant, _ *Stack) {
			p.rules["heartbeat-schedule"], p.metrics = "DISABLED", nil
		}, "the heartbeat's schedule is DISABLED: no heartbeat is written", "aws events enable-rule --name heartbeat-schedule"},
		"a heartbeat's rule that was disabled": {func(p *plant, _ *Stack) {
			p.rules["heartbeat-rule"], p.metrics = "DISABLED", nil
		}, "the heartbeat's rule is DISABLED: no heartbeat arrives", "aws events enable-rule --name heartbeat-rule --event-bus-name orders-bus"},
		"a heartbeat's rule that is gone": {func(p *plant, _ *Stack) { delete(p.rules, "heartbeat-rule") }, "the heartbeat's rule is gone", "take Monitor out of the stack"},
		"an auditor's schedule that was disabled": {
			func(p *plant, _ *Stack) { p.rules["audit-schedule"] = "DISABLED" },
			"the auditor's schedule is DISABLED: nobody looks for effects", "aws events enable-rule --name audit-schedule",
		},
		"a rule that is gone":        {func(p *plant, _ *Stack) { delete(p.rules, "Ship-rule") }, "the rule of Ship is gone", `--event-pattern '{"source":["orders"]}' && aws events put-targets --event-bus-name orders-bus --rule Ship-rule --targets 'Id=Queue,Arn=arn:aws:sqs:eu-central-1:111122223333:Ship,DeadLetterConfig={Arn=arn:aws:sqs:eu-central-1:111122223333:rule-dead}'`},
		"dead letters of a consumer": {func(p *plant, _ *Stack) { p.queues[plantQueues+"Ship-dead"]["ApproximateNumberOfMessages"] = "3" }, "Ship gave up on 3 events", "outbox dead-letters list --stack Orders --consumer Ship"},
		"a dead letter that is received": {func(p *plant, _ *Stack) {
			p.queues[plantQueues+"Ship-dead"]["ApproximateNumberOfMessagesNotVisible"] = "1"
		}, "Ship gave up on 1 event:", "outbox dead-letters list"},
		"dead letters of the rules":       {func(p *plant, _ *Stack) { p.queues[plantQueues+"rule-dead"]["ApproximateNumberOfMessages"] = "1" }, "the rules could not deliver 1 event:", "outbox dead-letters list --stack Orders"},
		"dead letters of the pipe":        {func(p *plant, _ *Stack) { p.queues[plantQueues+"pipe-dead"]["ApproximateNumberOfMessages"] = "2" }, "given up on 2 batches of records: fix why, and redrive them: they are read from the stream for 24 hours, later from the outbox table", "outbox dead-letters list --stack Orders"},
		"dead letters of the auditor":     {func(p *plant, _ *Stack) { p.queues[plantQueues+"auditor-dead"]["ApproximateNumberOfMessages"] = "1" }, "auditor gave up on 1 batch", "outbox audit --stack Orders --full --since 24h"},
		"a queue that is gone":            {func(p *plant, _ *Stack) { delete(p.queues, plantQueues+"Ship") }, "could not be read: the queue of Ship", "SQS GetQueueAttributes: QueueDoesNotExist"},
		"what has had no effect for long": {func(_ *plant, s *Stack) { note(t, table, s.Consumers[0].Name, "e-1", 2*time.Hour) }, "1 event had no effect at Ship, the oldest for 2 h", "outbox repair --stack Orders --consumer Ship --dry-run"},
		"an alarm": {func(p *plant, _ *Stack) {
			p.alarms = []cwtypes.MetricAlarm{{AlarmName: aws.String("PipeSilent"), StateValue: cwtypes.StateValueAlarm, AlarmDescription: aws.String("Start the pipe.")}}
		}, "alarm PipeSilent is on", "Start the pipe."},
	} {
		t.Run(name, func(t *testing.T) {
			stack := audited(stackOf("Ship"), table)
			p := newPlant(stack)
			tc.breakIt(p, stack)
			s := survey(t, p, stack)
			if name == "what has had no effect for long" {
				defer func() {
					_ = audit.List{Client: db, Table: table}.Remove(t.Context(), listed(t, table, stack.Consumers[0].Name)[0])
				}()
			}
			if len(s.Needs) != 1 || !strings.Contains(s.Needs[0].What, tc.what) || !strings.Contains(s.Needs[0].Do, tc.do) {
				t.Fatalf("it needs %+v, want %q with %q and nothing else", s.Needs, tc.what, tc.do)
			}
			if text := screen(s, 120); !strings.Contains(text, "→ "+s.Needs[0].Do+"\n") {
				t.Errorf("the command is not on a line of its own:\n%s", text)
			}
		})
	}
}

// TestWhatIsNoARNIsNotShownAsOne: where the queue could not be read, somebody must fill in both.
func TestWhatIsNoARNIsNotShownAsOne(t *testing.T) {
	stack := stackOf("Ship")
	p := newPlant(stack)
	delete(p.rules, "Ship-rule")
	p.refused["GetQueueAttributes"] = true
	if s := survey(t, p, stack); !strings.Contains(s.Needs[0].Do, "'Id=Queue,Arn=QUEUE_ARN,DeadLetterConfig={Arn=DEAD_LETTER_QUEUE_ARN}'") {
		t.Errorf("it needs %+v", s.Needs)
	}
}

// TestASchedulesStateIsShown in the lines of heartbeat and audit, where it does not run; an older description names none.
func TestASchedulesStateIsShown(t *testing.T) {
	stack := audited(stackOf("Ship"), newSortedTable(t, "audit"))
	p := newPlant(stack)
	if text := screen(survey(t, p, stack), 0); strings.Contains(text, "schedule") {
		t.Errorf("a schedule that runs is shown:\n%s", text)
	}
	p.rules["heartbeat-schedule"], p.rules["audit-schedule"] = "DISABLED", "DISABLED"
	delete(p.rules, "heartbeat-rule")
	text := screen(survey(t, p, stack), 0)
	for _, want := range []string{"(limit 5 min); schedule DISABLED; rule MISSING\n", "within 15 min; schedule DISABLED\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not show %q:\n%s", want, text)
		}
	}
	h := stack.Outboxes[0].Heartbeat
	h.Schedule, h.Rule, stack.Outboxes[0].Audit.Schedule = "", "", ""
	if s := survey(t, p, stack); len(s.Needs) != 0 || strings.Contains(screen(s, 0), "schedule") {
		t.Errorf("of parts that the description does not name it says %v", s.Needs)
	}
}

// listed returns what is on the auditor's list of a consumer.
func listed(t *testing.T, table, consumer string) (all []audit.Unconfirmed) {
	t.Helper()
	for u, err := range (audit.List{Client: db, Table: table}).Of(t.Context(), consumer) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

// TestWhatNeedsNobody: what ends by itself, and what is not there on purpose.
func TestWhatNeedsNobody(t *testing.T) {
	stack := stackOf("Ship")
	p := newPlant(stack)
	p.pipe.CurrentState = pipetypes.PipeStateStarting
	p.mappings["Ship-mapping"] = "Enabling"
	p.metrics, p.deployed = nil, time.Now().Add(-time.Minute) // the first heartbeat is on its way
	p.alarms = []cwtypes.MetricAlarm{{AlarmName: aws.String("PipeSilent"), StateValue: cwtypes.StateValueInsufficientData}}
	s := survey(t, p, stack)
	if len(s.Needs) != 0 {
		t.Errorf("it needs %v, want nothing", s.Needs)
	}
	stack.Outboxes[0].Heartbeat = nil
	if text := screen(survey(t, p, stack), 120); !strings.Contains(text, "without Monitor") || !strings.Contains(text, "without Audit") {
		t.Errorf("it does not say that there is no heartbeat and no audit:\n%s", text)
	}
}

// TestAPermissionThatIsMissing: a question mark, the reason once, and everything else.
func TestAPermissionThatIsMissing(t *testing.T) {
	for operation, shows := range map[string]string{
		"DescribePipe": "pipe          ?", "GetEventSourceMapping": "?        enabled", "DescribeRule": "enabled  ?", "GetMetricData": "heartbeat     ?", "DescribeAlarms": "alarms that are on: ?",
	} {
		t.Run(operation, func(t *testing.T) {
			stack := stackOf("Ship")
			p := newPlant(stack)
			p.refused[operation] = true
			p.queues[plantQueues+"Ship"]["ApproximateNumberOfMessages"] = "77"
			s := survey(t, p, stack)
			text := screen(s, 0)
			if !strings.Contains(text, shows) || !strings.Contains(text, "77") {
				t.Errorf("it does not show %q and the rest:\n%s", shows, text)
			}
			if len(s.Needs) != 1 || strings.Count(s.Needs[0].Do, "not authorized to perform: "+operation) == 0 {
				t.Errorf("it needs %+v, want the permission", s.Needs)
			}
		})
	}
}

// TestConsumersOfAnImportedOutbox: their stack has no outbox, and the rules' dead-letter queue is theirs.
func TestConsumersOfAnImportedOutbox(t *testing.T) {
	stack := stackOf("Bill")
	stack.Outboxes, stack.Consumers[0].Outbox = nil, nil
	p := newPlant(stack)
	p.queue(plantQueues + "rule-dead")
	p.queues[plantQueues+"rule-dead"]["ApproximateNumberOfMessages"] = "1"
	s := survey(t, p, stack)
	if len(s.Needs) != 1 || !strings.Contains(s.Needs[0].What, "the rule of Bill could not deliver 1 event") {
		t.Errorf("it needs %+v", s.Needs)
	}
	if text := screen(s, 0); !strings.Contains(text, "of imported outboxes") || !strings.Contains(text, "Bill") {
		t.Errorf("it shows\n%s", text)
	}
}

// TestAConsumerOfAnotherApp: the audit was told of its name and its inbox, and of nothing else.
func TestAConsumerOfAnotherApp(t *testing.T) {
	stack := audited(stackOf("Ship"), newSortedTable(t, "audit"))
	p := newPlant(stack)
	other := &Consumer{Outbox: stack.Outboxes[0], Consumer: description.Consumer{Version: "1", Name: "Billing/Outbox/Bill", Inbox: "TABLE", Pattern: []byte(`{}`)}}
	stack.Consumers = append(stack.Consumers, other)
	stack.Outboxes[0].Consumers = stack.Consumers
	note(t, stack.Outboxes[0].Audit.Table, other.Name, "e-1", 2*time.Hour)
	s := survey(t, p, stack)
	if len(s.Needs) != 1 || !strings.Contains(s.Needs[0].What, "1 event had no effect at Billing/Outbox/Bill") {
		t.Errorf("it needs %+v", s.Needs)
	}
}

// TestStatusShowsNoCommandToTheTerminal: names and reasons may be anything.
func TestStatusShowsNoCommandToTheTerminal(t *testing.T) {
	stack := stackOf("Sh\x1b]0;x\x07ip")
	p := newPlant(stack)
	p.pipe = &pipes.DescribePipeOutput{CurrentState: pipetypes.PipeStateStopped, StateReason: aws.String("no\x1b[2Jreason\nforged line")}
	s := survey(t, p, stack)
	for what, text := range map[string]string{"the screen": screen(s, 80), "the line": s.Line()} {
		if strings.ContainsAny(text, "\x1b\x07") || strings.Contains(text, "\nforged") {
			t.Errorf("%s has a command: %q", what, text)
		}
	}
}

// TestStatusAsksManyThingsAtOnce, and not all.
func TestStatusAsksManyThingsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ids []string
		for n := range 12 {
			ids = append(ids, fmt.Sprint("c", n))
		}
		stack := stackOf(ids...)
		p := newPlant(stack)
		p.slow = 100 * time.Millisecond
		before := time.Now()
		survey(t, p, stack)
		if took := time.Since(before); took > time.Second || p.max > requestsAtOnce {
			t.Errorf("it took %s with %d requests at once, want less than 1 s with at most %d", took, p.max, requestsAtOnce)
		}
	})
}

// TestWatch: every two seconds, and for metrics, which cost money, no more often than they change.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stack := stackOf("Ship")
		p := newPlant(stack)
		ctx, stop := context.WithTimeout(t.Context(), 61*time.Second)
		defer stop()
		shown := 0
		last, err := NewSurveyor(p.clients(), stack, CommandLine{}).Watch(ctx, func(*Status) error { shown++; return nil })
		if err != nil || last == nil || shown != 31 {
			t.Errorf("in a minute it showed %d (%v), want 31 and no error", shown, err)
		}
		if p.requests["GetMetricData"] != 3 || p.requests["DescribePipe"] != 31 {
			t.Errorf("it made %v, want metrics 3 times", p.requests)
		}
	})
}

// TestStatusAsJSON: what was not read has an error in place of a value.
func TestStatusAsJSON(t *testing.T) {
	stack := stackOf("Ship")
	p := newPlant(stack)
	p.refused["DescribePipe"] = true
	encoded, err := json.Marshal(survey(t, p, stack))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Outboxes []struct {
			Pipe      struct{ Error string }
			Heartbeat struct {
				Last struct{ Value struct{ LagMS int64 } }
			}
			Audit     *struct{}
			Consumers []struct {
				Consumer string
				Queue    struct{ Value struct{ Waiting int64 } }
			}
		}
		Needs []Need
	}
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	o := got.Outboxes[0]
	if !strings.Contains(o.Pipe.Error, "DescribePipe") || o.Heartbeat.Last.Value.LagMS != 800 || o.Audit != nil || o.Consumers[0].Consumer != "Ship" || len(got.Needs) != 1 {
		t.Errorf("it is %s", encoded)
	}
}
