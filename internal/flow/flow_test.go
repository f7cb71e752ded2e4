package flow_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/flow"
)

// read returns the flow of a template with these resources.
func read(t *testing.T, resources string) *flow.Graph {
	t.Helper()
	g, err := flow.Read(nil, flow.Template{Body: []byte(`{"Resources":{` + resources + `}}`)})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// text returns the edges of a graph with the nodes' paths: "A → B", "A ⇢ B" for dead letters.
func text(g *flow.Graph) []string {
	path := func(id string) string { n, _ := g.Node(id); return n.Path }
	var all []string
	for _, e := range g.Edges {
		arrow := " → "
		if e.DeadLetters {
			arrow = " ⇢ "
		}
		all = append(all, path(e.From)+arrow+path(e.To))
	}
	slices.Sort(all)
	return all
}

func reference(t *testing.T) *flow.Graph {
	t.Helper()
	raw, err := os.ReadFile("../../test/synth/golden/Orders-prod.json")
	if err != nil {
		t.Fatal(err)
	}
	g, err := flow.Read(nil, flow.Template{Body: raw})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestTheReferenceApplication has the whole way of an order, what its consumers' failures come to, and a background.
func TestTheReferenceApplication(t *testing.T) {
	g := reference(t)
	got := text(g)
	for _, want := range []string{
		"Api → Outbox/Table", "Api → UpdateOrder", "UpdateOrder → Outbox/Table", // POST and PATCH
		"Outbox/Table → Outbox/Pipe", "Outbox/Pipe → Outbox/EventBus", "Outbox/Pipe ⇢ Outbox/PipeDeadLetterQueue",
		"Outbox/EventBus → Outbox/PublisherOne/Rule", "Outbox/PublisherOne/Rule → Outbox/PublisherOne/Queue",
		"Outbox/PublisherOne/Rule ⇢ Outbox/RuleDeadLetterQueue", "Outbox/PublisherOne/Queue → Outbox/PublisherOne/Function",
		"Outbox/PublisherOne/Queue ⇢ Outbox/PublisherOne/DeadLetterQueue",
		"Outbox/PublisherOne/Function ⇢ Outbox/PublisherOne/DeadLetterQueue", // the inbox sends there itself
		"Outbox/HeartbeatQueue → Outbox/Heartbeat",                           // polled by the function's own code
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %q", want, got)
		}
	}
	var background, writing []string
	for _, n := range g.Nodes {
		if n.Background {
			background = append(background, n.Path)
		}
		if n.Writes {
			writing = append(writing, n.Path)
		}
	}
	if want := "Outbox/AuditDeadLetterQueue Outbox/AuditQueue Outbox/AuditSchedule Outbox/Auditor Outbox/Heartbeat Outbox/HeartbeatQueue Outbox/HeartbeatRule Outbox/HeartbeatSchedule"; strings.Join(background, " ") != want {
		t.Errorf("in the background are %q", background)
	}
	if want := "Outbox/Heartbeat Outbox/PublisherOne"; !strings.HasPrefix(strings.Join(writing, " "), want) || len(writing) != 2 {
		t.Errorf("%q write new events, want %s", writing, want)
	}
	var others []string
	for _, n := range g.Others {
		others = append(others, n.Path)
	}
	if want := "Notifications Orders Outbox/AuditTable Outbox/InboxTable"; strings.Join(others, " ") != want {
		t.Errorf("beside the flow are %q", others)
	}
}

func TestRead(t *testing.T) {
	const (
		queue    = `"Q":{"Type":"AWS::SQS::Queue"}`
		function = `"F":{"Type":"AWS::Lambda::Function","Properties":{"Role":{"Fn::GetAtt":["R","Arn"]}}},"R":{"Type":"AWS::IAM::Role"}`
		mapping  = `"M":{"Type":"AWS::Lambda::EventSourceMapping","Properties":{"EventSourceArn":{"Fn::GetAtt":["Q","Arn"]},"FunctionName":{"Ref":"F"}}}`
	)
	for name, c := range map[string]struct {
		resources string
		want      []string
	}{
		"a queue and its function": {queue + "," + function + "," + mapping, []string{"Q → F"}},
		"a bus of another stack": {
			queue + `,"Rule":{"Type":"AWS::Events::Rule","Properties":{"EventBusName":{"Fn::ImportValue":"Shared-Bus"},"EventPattern":{"source":["orders"]},"Targets":[{"Arn":{"Fn::GetAtt":"Q.Arn"}}]}}`,
			[]string{"Rule → Q", "Shared-Bus → Rule"},
		},
		"the default bus, and a queue of another stack": {
			`"Rule":{"Type":"AWS::Events::Rule","Properties":{"EventPattern":{"source":["orders"]},"Targets":[{"Arn":"arn:aws:sqs:eu-west-1:1:Theirs"}]}}`,
			[]string{"Rule → Theirs", "default → Rule"},
		},
		"a topic with subscribers, and one that reaches people": {
			queue + `,"T":{"Type":"AWS::SNS::Topic"},"S":{"Type":"AWS::SNS::Subscription","Properties":{"TopicArn":{"Ref":"T"},"Protocol":"sqs","Endpoint":{"Fn::GetAtt":["Q","Arn"]}}},` +
				`"P":{"Type":"AWS::SNS::Subscription","Properties":{"TopicArn":{"Ref":"T"},"Protocol":"email","Endpoint":"a@b.example"}}`,
			[]string{"T → Q"},
		},
		"what a role lets its function send": {
			queue + "," + function + `,"P":{"Type":"AWS::IAM::Policy","Properties":{"Roles":[{"Ref":"R"}],"PolicyDocument":{"Statement":[{"Effect":"Allow","Action":["sqs:SendMessage","sqs:GetQueueUrl"],"Resource":{"Fn::GetAtt":["Q","Arn"]}}]}}}`,
			[]string{"F → Q"},
		},
		"what it does not": {
			queue + "," + function + `,"P":{"Type":"AWS::IAM::Policy","Properties":{"Roles":[{"Ref":"R"}],"PolicyDocument":{"Statement":[{"Effect":"Deny","Action":"sqs:*","Resource":{"Fn::GetAtt":["Q","Arn"]}},{"Effect":"Allow","Action":"sqs:GetQueueUrl","Resource":{"Fn::GetAtt":["Q","Arn"]}}]}}}`,
			nil,
		},
		"names in an Fn::Sub": {
			queue + `,"Rule":{"Type":"AWS::Events::Rule","Properties":{"ScheduleExpression":"rate(1 hour)","Targets":[{"Arn":{"Fn::Sub":"${Q.Arn}"}}]}}`,
			[]string{"Rule → Q"},
		},
		"both branches of a condition": {
			queue + `,"Rule":{"Type":"AWS::Events::Rule","Properties":{"ScheduleExpression":"rate(1 hour)","Targets":[{"Arn":{"Fn::If":["C",{"Fn::GetAtt":["Q","Arn"]},{"Ref":"AWS::NoValue"}]}}]}}`,
			[]string{"Rule → Q"},
		},
		"nothing that moves": {`"Table":{"Type":"AWS::DynamoDB::Table"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := text(read(t, c.resources)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for template, want := range map[string]string{"Resources:": "invalid character", "{}": "must have Resources, got none"} {
		if _, err := flow.Read(nil, flow.Template{Body: []byte(template)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", template, err, want)
		}
	}
}

// TestWhatTheStackDoesNotHave is not in its flow: a condition has left it out.
func TestWhatTheStackDoesNotHave(t *testing.T) {
	template := `{"Resources":{"Q":{"Type":"AWS::SQS::Queue"},"T":{"Type":"AWS::SNS::Topic"}}}`
	g, err := flow.Read(func(id string) bool { return id == "Q" }, flow.Template{Body: []byte(template)})
	if err != nil || len(g.Nodes)+len(g.Others) != 1 {
		t.Errorf("%v, %+v", err, g)
	}
}

// TestTwoStacks are one flow where one imports what the other exports.
func TestTwoStacks(t *testing.T) {
	g, err := flow.Read(nil,
		flow.Template{Stack: "Shop", Body: []byte(`{"Resources":{"Bus":{"Type":"AWS::Events::EventBus","Metadata":{"aws:cdk:path":"Shop/Bus/Resource"}}},"Outputs":{"E":{"Value":{"Ref":"Bus"},"Export":{"Name":"Shop:Bus"}}}}`)},
		flow.Template{Stack: "Ship", Body: []byte(`{"Resources":{"Q":{"Type":"AWS::SQS::Queue","Metadata":{"aws:cdk:path":"Ship/Queue/Resource"}},"Rule":{"Type":"AWS::Events::Rule","Metadata":{"aws:cdk:path":"Ship/Rule/Resource"},"Properties":{"EventBusName":{"Fn::ImportValue":"Shop:Bus"},"EventPattern":{"source":["s"]},"Targets":[{"Arn":{"Fn::GetAtt":["Q","Arn"]}}]}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := text(g), []string{"Ship/Rule → Ship/Queue", "Shop/Bus → Ship/Rule"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTwoStacksWithTheSameIDs: both have their own, references stay in their stack, and a rule finds the bus of the other.
func TestTwoStacksWithTheSameIDs(t *testing.T) {
	const queue = `"Queue":{"Type":"AWS::SQS::Queue"},"Function":{"Type":"AWS::Lambda::Function"},` +
		`"Mapping":{"Type":"AWS::Lambda::EventSourceMapping","Properties":{"EventSourceArn":{"Fn::Sub":"${Queue.Arn}"},"FunctionName":{"Ref":"Function"}}}`
	const rule = `"Rule":{"Type":"AWS::Events::Rule","Properties":{"EventBusName":%s,"EventPattern":{"source":["s"]},"Targets":[{"Arn":{"Fn::GetAtt":%s}}]}}`
	g, err := flow.Read(nil,
		flow.Template{Stack: "Shop", Body: []byte(`{"Resources":{"Bus":{"Type":"AWS::Events::EventBus"},` + queue + `,` + fmt.Sprintf(rule, `{"Ref":"Bus"}`, `["Queue","Arn"]`) +
			`},"Outputs":{"Out":{"Value":{"Ref":"Bus"},"Export":{"Name":"Shop:Bus"}}}}`)},
		flow.Template{Stack: "Ship", Body: []byte(`{"Resources":{` + queue + `,` + fmt.Sprintf(rule, `{"Fn::ImportValue":"Shop:Bus"}`, `"Queue.Arn"`) +
			`},"Outputs":{"Out":{"Value":{"Ref":"Queue"},"Export":{"Name":"Ship:Queue"}}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range g.Edges {
		got = append(got, e.From+" → "+e.To)
	}
	slices.Sort(got)
	want := []string{
		"Bus → Ship/Rule", "Bus → Shop/Rule", "Ship/Queue → Ship/Function", "Ship/Rule → Ship/Queue",
		"Shop/Queue → Shop/Function", "Shop/Rule → Shop/Queue",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if via := g.Into("Ship/Function")[0].Via; !slices.Equal(via, []string{"Ship/Mapping"}) {
		t.Errorf("what connects them is %q, want Ship/Mapping", via)
	}
}

func TestPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		`{"source":["orders"],"detail-type":["OrderCreated","OrderPaid"]}`:         "OrderCreated, OrderPaid",
		`{"source":["orders"],"detail":{"aggregateType":["Order"],"version":[1]}}`: "aggregateType Order; version [1]",
		`{"source":["orders"]}`: "source orders",
		`{"account":["1"]}`:     `{"account":["1"]}`,
		`{"detail":{"a":[{"prefix":"` + strings.Repeat("x", 100) + `"}]}}`: `a [{"prefix":"` + strings.Repeat("x", 68) + "…",
	} {
		g := read(t, `"Q":{"Type":"AWS::SQS::Queue"},"Rule":{"Type":"AWS::Events::Rule","Properties":{"EventPattern":`+pattern+`,"Targets":[{"Arn":{"Fn::GetAtt":["Q","Arn"]}}]}}`)
		if n, _ := g.Node("Rule"); n.Detail != want {
			t.Errorf("%s is %q, want %q", pattern, n.Detail, want)
		}
	}
}

// consumers returns a bus with so many consumers.
func consumers(n int) string {
	parts := []string{`"Bus":{"Type":"AWS::Events::EventBus"}`}
	for i := range n {
		parts = append(parts, strings.ReplaceAll(`"Rule#":{"Type":"AWS::Events::Rule","Properties":{"EventBusName":{"Ref":"Bus"},"EventPattern":{"source":["s"]},"Targets":[{"Arn":{"Fn::GetAtt":["Queue#","Arn"]}}]}},`+
			`"Queue#":{"Type":"AWS::SQS::Queue","Properties":{"RedrivePolicy":{"deadLetterTargetArn":{"Fn::GetAtt":["Dead#","Arn"]}}}},"Dead#":{"Type":"AWS::SQS::Queue"},`+
			`"Function#":{"Type":"AWS::Lambda::Function"},"Mapping#":{"Type":"AWS::Lambda::EventSourceMapping","Properties":{"EventSourceArn":{"Fn::GetAtt":["Queue#","Arn"]},"FunctionName":{"Ref":"Function#"}}}`, "#", fmt.Sprint(i)))
	}
	return strings.Join(parts, ",")
}

// TestLayouts: whatever the flow is like, each node of the foreground has one place, no two overlap, and each line leads from
// the edge of one box to that of another.
func TestLayouts(t *testing.T) {
	rule := func(name string, targets ...string) string {
		var arns []string
		for _, target := range targets {
			arns = append(arns, `{"Arn":{"Fn::GetAtt":["`+target+`","Arn"]}}`)
		}
		return `"` + name + `":{"Type":"AWS::Events::Rule","Properties":{"EventBusName":{"Ref":"Bus"},"EventPattern":{"source":["s"]},"Targets":[` + strings.Join(arns, ",") + `]}}`
	}
	mapping := func(name, queue, function string) string {
		return `"` + name + `":{"Type":"AWS::Lambda::EventSourceMapping","Properties":{"EventSourceArn":{"Fn::GetAtt":["` + queue + `","Arn"]},"FunctionName":{"Ref":"` + function + `"}}}`
	}
	for name, g := range map[string]*flow.Graph{
		"the reference application": reference(t),
		"one consumer":              read(t, consumers(1)),
		"thirty consumers":          read(t, consumers(30)),
		"a bus alone":               read(t, `"Bus":{"Type":"AWS::Events::EventBus"},"Q":{"Type":"AWS::SQS::Queue"},`+rule("R", "Q")),
		"a rule with three targets": read(t, `"Bus":{"Type":"AWS::Events::EventBus"},"A":{"Type":"AWS::SQS::Queue"},"B":{"Type":"AWS::SQS::Queue"},"C":{"Type":"AWS::Lambda::Function"},`+rule("R", "A", "B", "C")),
		"two rules with one queue":  read(t, `"Bus":{"Type":"AWS::Events::EventBus"},"A":{"Type":"AWS::SQS::Queue"},`+rule("R", "A")+","+rule("S", "A")),
		"a long chain": read(t, `"Bus":{"Type":"AWS::Events::EventBus"},"T":{"Type":"AWS::SNS::Topic"},"Q":{"Type":"AWS::SQS::Queue"},"F":{"Type":"AWS::Lambda::Function"},`+
			rule("R", "T")+`,"S":{"Type":"AWS::SNS::Subscription","Properties":{"TopicArn":{"Ref":"T"},"Protocol":"sqs","Endpoint":{"Fn::GetAtt":["Q","Arn"]}}},`+mapping("M", "Q", "F")),
		"two parts": read(t, consumers(2)+`,"Other":{"Type":"AWS::SQS::Queue"},"Fn":{"Type":"AWS::Lambda::Function"},`+mapping("OtherMapping", "Other", "Fn")),
		"a queue that is a dead-letter queue too": read(t, consumers(1)+","+rule("R", "Dead0")),
		"nothing": read(t, `"Table":{"Type":"AWS::DynamoDB::Table"}`),
	} {
		for which, l := range map[string]flow.Layout{"wide": g.Wide(), "narrow": g.Narrow()} {
			t.Run(name+"/"+which, func(t *testing.T) { checkLayout(t, g, l) })
			if which == "narrow" && l.Width > 359 {
				t.Errorf("%s: it is %d pixels wide", name, l.Width)
			}
		}
	}
}

func checkLayout(t *testing.T, g *flow.Graph, l flow.Layout) {
	t.Helper()
	placed := map[string]flow.Box{}
	for i, b := range l.Boxes {
		if _, twice := placed[b.ID]; twice {
			t.Errorf("%s has two places", b.ID)
		}
		placed[b.ID] = b
		if b.X < 0 || b.Y < 0 || b.X+b.Width > l.Width || b.Y+b.Height > l.Height {
			t.Errorf("%+v is outside of %d × %d", b, l.Width, l.Height)
		}
		for _, o := range l.Boxes[:i] {
			if b.X < o.X+o.Width && o.X < b.X+b.Width && b.Y < o.Y+o.Height && o.Y < b.Y+b.Height {
				t.Errorf("%+v and %+v overlap", b, o)
			}
		}
	}
	for _, n := range g.Nodes {
		if _, ok := placed[n.ID]; ok == n.Background {
			t.Errorf("%s has a place: %v", n.ID, ok)
		}
	}
	touches := func(b flow.Box, x, y int) bool {
		return x >= b.X && x <= b.X+b.Width && y >= b.Y && y <= b.Y+b.Height
	}
	for _, line := range l.Lines {
		var x1, y1, x2, y2 int
		if _, err := fmt.Sscanf(line.Path, "M%d %d", &x1, &y1); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscanf(line.Path[strings.LastIndexByte(line.Path, 'L'):], "L%d %d", &x2, &y2); err != nil {
			t.Fatal(err)
		}
		if !touches(placed[line.From], x1, y1) || !touches(placed[line.To], x2, y2) {
			t.Errorf("the line %s → %s, %s, does not lead from %+v to %+v", line.From, line.To, line.Path, placed[line.From], placed[line.To])
		}
	}
}
