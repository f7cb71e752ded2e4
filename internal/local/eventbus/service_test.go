package eventbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// allowAll is a policy that allows everyone.
type allowAll struct{}

func (allowAll) Allows(string, string, string) bool { return true }

func (allowAll) RoleAllows(string, string, string, string) bool { return true }

// A runningService is a service that listens, and an unchanged SDK client of it.
type runningService struct {
	*Service
	client *eventbridge.Client
	db     *bbolt.DB
	hops   chan hop.Hop
}

// callerByKey returns the developer, or the role that a test names as the access key.
func callerByKey(r *http.Request) iam.Request {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if key, _, _ := strings.Cut(credential, "/"); key != cloud.DeveloperKey {
		return iam.Request{Principal: iam.Principal{Account: cloud.Account, Role: "arn:aws:iam::" + cloud.Account + ":role/" + key, Session: key}}
	}
	return iam.Request{Principal: iam.Principal{Account: cloud.Account}}
}

// listen starts a service on a database, with a bus and the given rules.
func listen(t *testing.T, path string, rules ...map[string]any) *runningService {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	c := cloud.New("eu-west-1")
	c.SetEndpoint(cloud.SQS, "http://127.0.0.1:1") // nothing listens there
	a := &runningService{db: database(t, path), hops: make(chan hop.Hop, 10_000)}
	var err error
	a.Service, err = New(Config{Cloud: c, DB: a.db, Policies: allowAll{}, Caller: callerByKey, Sink: func(h hop.Hop) { a.hops <- h }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Close()
		goleak.VerifyNone(t, ignore, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
	})
	a.provision(t, "AWS::Events::EventBus", "Bus", map[string]any{"Name": "Orders"})
	for i, properties := range rules {
		a.provision(t, "AWS::Events::Rule", fmt.Sprint("Rule", i), properties)
	}
	a.client = c.EventBridge()
	return a
}

func (a *runningService) provision(t *testing.T, kind, id string, properties map[string]any) template.Attributes {
	t.Helper()
	attributes, err := a.Provisions()[kind](t.Context(), template.Resource{LogicalID: id, PhysicalName: id, Type: kind, Properties: properties})
	if err != nil {
		t.Fatal(err)
	}
	return attributes
}

// put sends entries to the bus and returns the answer.
func (a *runningService) put(t *testing.T, entries ...types.PutEventsRequestEntry) *eventbridge.PutEventsOutput {
	t.Helper()
	out, err := a.client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func order(id string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{
		EventBusName: aws.String("Orders"), Source: aws.String("orders"), DetailType: aws.String("OrderCreated"),
		Detail: aws.String(`{"id":"` + id + `","type":"OrderCreated"}`),
	}
}

func ruleWith(change map[string]any) map[string]any {
	properties := map[string]any{
		"EventBusName": "Orders", "EventPattern": map[string]any{"source": []any{"orders"}},
		"Targets": []any{map[string]any{"Id": "T", "Arn": queueARN}},
	}
	for name, value := range change {
		if properties[name] = value; value == nil {
			delete(properties, name)
		}
	}
	return properties
}

func TestAcknowledgedEventSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	a := listen(t, path, ruleWith(nil), ruleWith(map[string]any{"Name": "Second"}), ruleWith(map[string]any{"Name": "Off", "State": "DISABLED"}))
	out := a.put(t, order("1"), order("2"))
	left := afterKill(t, a.db)
	expect(t, "deliveries", len(left), 4)
	var made map[string]any
	if err := json.Unmarshal(left[0].Event, &made); err != nil {
		t.Fatal(err)
	}
	stamp, _ := made["time"].(string)
	if at, err := time.Parse(time.RFC3339, stamp); err != nil || time.Since(at) > time.Minute || !strings.HasSuffix(stamp, "Z") {
		t.Errorf("time %v", made["time"])
	}
	delete(made, "time")
	expect(t, "event", made, map[string]any{
		"version": "0", "id": *out.Entries[0].EventId, "detail-type": "OrderCreated", "source": "orders", "account": "000000000000",
		"region": "eu-west-1", "resources": []any{}, "detail": map[string]any{"id": "1", "type": "OrderCreated"},
	})
}

// TestRestartContinues checks that a run delivers what an earlier one, ended by kill -9, acknowledged and did not deliver.
func TestRestartContinues(t *testing.T) {
	dir := t.TempDir()
	killed := listen(t, filepath.Join(dir, "killed.db"), ruleWith(nil))
	killed.put(t, order("before"))
	raw, err := os.ReadFile(killed.db.Path())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "next.db")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	a := listen(t, path, ruleWith(nil))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	h := <-a.hops // nothing listens at the queues' endpoint, so it is a retry
	expect(t, "first attempt", []any{h.Outcome, h.EventIDs}, []any{hop.Retry, []string{"before"}})
	cancel()
	<-ended
}

func TestEventKeepsWhatTheCallerSays(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(nil))
	entry := order("1")
	entry.Detail = aws.String(`{"id":"1", "note":"<b> & \"quoted\" 😀 $ #", "big":12345678901234567890, "odd":"` + "\uFFFE\uFFFF" + `"}`)
	entry.Resources = []string{"arn:aws:a", "arn:aws:b"}
	entry.Time = aws.Time(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("", 3600)))
	a.put(t, entry)
	text := string(afterKill(t, a.db)[0].Event)
	for _, want := range []string{
		`"detail":{"id":"1","note":"<b> & \"quoted\" 😀 $ #","big":12345678901234567890,"odd":"\ufffe\uffff"}`,
		`"resources":["arn:aws:a","arn:aws:b"]`, `"time":"2026-01-02T02:04:05Z"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("event %s\nhas no %s", text, want)
		}
	}
}

func TestEntriesRefused(t *testing.T) {
	cases := map[string]struct {
		change  func(*types.PutEventsRequestEntry)
		code    string
		message string
	}{
		"no source":        {func(e *types.PutEventsRequestEntry) { e.Source = nil }, "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."},
		"no detail type":   {func(e *types.PutEventsRequestEntry) { e.DetailType = nil }, "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."},
		"no detail":        {func(e *types.PutEventsRequestEntry) { e.Detail = nil }, "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."},
		"long detail type": {func(e *types.PutEventsRequestEntry) { e.DetailType = aws.String(strings.Repeat("x", 129)) }, "InvalidArgument", "128"},
		"no JSON":          {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`{"a":`) }, "MalformedDetail", "Detail is malformed."},
		"no object":        {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`[1]`) }, "MalformedDetail", "Detail is malformed."},
		"source of AWS":    {func(e *types.PutEventsRequestEntry) { e.Source = aws.String("aws.s3") }, "NotAuthorizedForSourceException", "Not authorized for the source."},
	}
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(nil))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := len(afterKill(t, a.db))
			bad := order("bad")
			c.change(&bad)
			out := a.put(t, order("good"), bad)
			expect(t, "failed", out.FailedEntryCount, int32(1))
			expect(t, "the good one", out.Entries[0].ErrorCode == nil && out.Entries[0].EventId != nil, true)
			expect(t, "code", aws.ToString(out.Entries[1].ErrorCode), c.code)
			if m := aws.ToString(out.Entries[1].ErrorMessage); !strings.Contains(m, c.message) {
				t.Errorf("message %q, want %q", m, c.message)
			}
			expect(t, "deliveries", len(afterKill(t, a.db))-before, 1)
		})
	}
}

// As on AWS, an event for a bus that does not exist is accepted and lost; the console names the bus.
func TestUnknownBus(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(nil))
	for _, bus := range []string{"Nope", "arn:aws:events:us-east-1:000000000000:event-bus/Orders"} {
		e := order("1")
		e.EventBusName = &bus
		if out := a.put(t, e); out.FailedEntryCount != 0 || out.Entries[0].EventId == nil {
			t.Errorf("%s: %+v", bus, out)
		}
		if h := <-a.hops; h.Outcome != hop.Dropped || !strings.Contains(h.Detail, bus) {
			t.Errorf("%s: hop %+v", bus, h)
		}
	}
	expect(t, "deliveries", len(afterKill(t, a.db)), 0)
}

func TestRequestsRefused(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(nil))
	large := order("1")
	overhead := len("orders") + len("OrderCreated")
	large.Detail = aws.String(`{"x":"` + strings.Repeat("x", maxRequest-overhead-8) + `"}`)
	cases := map[string]struct {
		entries []types.PutEventsRequestEntry
		refused bool
	}{
		"ten":         {repeat(order("1"), 10), false},
		"eleven":      {repeat(order("1"), 11), true},
		"just fits":   {[]types.PutEventsRequestEntry{large}, false},
		"over by one": {[]types.PutEventsRequestEntry{large, {Source: aws.String("x")}}, true},
		"the time counts": {[]types.PutEventsRequestEntry{func() types.PutEventsRequestEntry {
			e := large
			e.Time = aws.Time(time.Now())
			return e
		}()}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := a.client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: c.entries})
			var refusal smithy.APIError
			if got := errors.As(err, &refusal) && refusal.ErrorCode() == "ValidationException"; got != c.refused {
				t.Errorf("error %v, want a ValidationException: %t", err, c.refused)
			}
		})
	}
}

func repeat(e types.PutEventsRequestEntry, n int) []types.PutEventsRequestEntry {
	var entries []types.PutEventsRequestEntry
	for range n {
		entries = append(entries, e)
	}
	return entries
}

func TestRulesSelect(t *testing.T) {
	other := func(change map[string]any) map[string]any {
		change["Targets"] = []any{map[string]any{"Id": "O", "Arn": queueARN}}
		return ruleWith(change)
	}
	a := listen(t, filepath.Join(t.TempDir(), "j.db"),
		ruleWith(map[string]any{"Name": "match"}),
		other(map[string]any{"Name": "pattern", "EventPattern": map[string]any{"source": []any{"payments"}}}),
		other(map[string]any{"Name": "off", "State": "DISABLED"}),
		other(map[string]any{"Name": "bus", "EventBusName": "default"}),
	)
	onDefault := order("2")
	onDefault.EventBusName = nil
	byARN := order("3")
	byARN.EventBusName = aws.String("arn:aws:events:eu-west-1:000000000000:event-bus/Orders")
	a.put(t, order("1"), onDefault, byARN)
	var got []string
	for _, d := range afterKill(t, a.db) {
		got = append(got, d.RuleARN[strings.LastIndex(d.RuleARN, "rule/"):])
	}
	expect(t, "rules", got, []string{"rule/Orders/match", "rule/bus", "rule/Orders/match"})
}

func TestTestEventPattern(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"))
	event := `{"id":"1","account":"0","source":"orders","time":"2026-01-01T00:00:00Z","region":"r","resources":[],"detail-type":"t","detail":{"n":3}}`
	cases := map[string]struct {
		event, pattern string
		want           bool
		code           string
	}{
		"match":           {event, `{"detail":{"n":[{"numeric":[">",2]}]}}`, true, ""},
		"no match":        {event, `{"detail":{"n":[4]}}`, false, ""},
		"invalid pattern": {event, `{"detail":4}`, false, "InvalidEventPatternException"},
		"no event":        {`{`, `{"source":["orders"]}`, false, "ValidationException"},
		"no resources":    {strings.Replace(event, `"resources":[],`, "", 1), `{"source":["orders"]}`, true, ""},
		"missing field":   {strings.Replace(event, `"region":"r",`, "", 1), `{"source":["orders"]}`, false, "ValidationException"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := a.client.TestEventPattern(t.Context(), &eventbridge.TestEventPatternInput{Event: &c.event, EventPattern: &c.pattern})
			if c.code != "" {
				var refusal smithy.APIError
				if !errors.As(err, &refusal) || refusal.ErrorCode() != c.code {
					t.Errorf("error %v, want %s", err, c.code)
				}
				return
			}
			if err != nil || out.Result != c.want {
				t.Errorf("%v, error %v, want %t", out, err, c.want)
			}
		})
	}
}

func TestReading(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(map[string]any{"Name": "one"}))
	buses, err := a.client.ListEventBuses(t.Context(), &eventbridge.ListEventBusesInput{})
	if err != nil || len(buses.EventBuses) != 2 || *buses.EventBuses[0].Name != "Orders" {
		t.Errorf("buses %v, error %v", buses, err)
	}
	rules, err := a.client.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: aws.String("Orders")})
	if err != nil || len(rules.Rules) != 1 || *rules.Rules[0].EventPattern != `{"source":["orders"]}` || rules.Rules[0].State != types.RuleStateEnabled {
		t.Errorf("rules %v, error %v", rules, err)
	}
	targets, err := a.client.ListTargetsByRule(t.Context(), &eventbridge.ListTargetsByRuleInput{EventBusName: aws.String("Orders"), Rule: aws.String("one")})
	if err != nil || len(targets.Targets) != 1 || *targets.Targets[0].Arn != queueARN {
		t.Errorf("targets %v, error %v", targets, err)
	}
	_, err = a.client.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: aws.String("Nope")})
	var missing *types.ResourceNotFoundException
	if !errors.As(err, &missing) {
		t.Errorf("error %v, want ResourceNotFoundException", err)
	}
	_, err = a.client.ListApiDestinations(t.Context(), &eventbridge.ListApiDestinationsInput{})
	if err == nil || !strings.Contains(err.Error(), "ListApiDestinations") {
		t.Errorf("error %v, want one that names the operation", err)
	}
}

func TestReferences(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"))
	bus := a.provision(t, "AWS::Events::EventBus", "Unnamed", map[string]any{})
	expect(t, "bus", bus, template.Attributes{Ref: "Unnamed", GetAtt: map[string]string{"Arn": "arn:aws:events:eu-west-1:000000000000:event-bus/Unnamed", "Name": "Unnamed"}})
	rule := a.provision(t, "AWS::Events::Rule", "OnBus", ruleWith(nil))
	expect(t, "rule", rule, template.Attributes{Ref: "Orders|OnBus", GetAtt: map[string]string{"Arn": "arn:aws:events:eu-west-1:000000000000:rule/Orders/OnBus"}})
	rule = a.provision(t, "AWS::Events::Rule", "OnDefault", ruleWith(map[string]any{"EventBusName": "default"}))
	expect(t, "rule", rule, template.Attributes{Ref: "OnDefault", GetAtt: map[string]string{"Arn": "arn:aws:events:eu-west-1:000000000000:rule/OnDefault"}})
	archive := a.provision(t, "AWS::Events::Archive", "Archive", map[string]any{"SourceArn": bus.GetAtt["Arn"], "RetentionDays": 7})
	expect(t, "archive", archive.GetAtt["Arn"], "arn:aws:events:eu-west-1:000000000000:archive/Archive")
}

func TestRulesRefused(t *testing.T) {
	target := func(change map[string]any) map[string]any {
		properties := map[string]any{"Id": "T", "Arn": queueARN}
		for name, value := range change {
			properties[name] = value
		}
		return map[string]any{"Targets": []any{properties}}
	}
	cases := map[string]struct {
		change map[string]any
		names  string
	}{
		"unknown property":       {map[string]any{"Color": "red"}, "Color"},
		"schedule on a bus":      {map[string]any{"ScheduleExpression": "rate(1 minute)"}, "only on the default event bus"},
		"schedule":               {map[string]any{"EventBusName": "default", "ScheduleExpression": "rate(1 minutes)"}, "singular"},
		"nothing":                {map[string]any{"EventPattern": nil}, "EventPattern or ScheduleExpression must be set"},
		"state":                  {map[string]any{"State": "OFF"}, "State"},
		"target id":              {target(map[string]any{"Id": "a b"}), "Id must be"},
		"two of one id":          {map[string]any{"Targets": []any{map[string]any{"Id": "T", "Arn": queueARN}, map[string]any{"Id": "T", "Arn": queueARN}}}, "unique"},
		"unknown bus":            {map[string]any{"EventBusName": "Nope"}, "Nope"},
		"invalid pattern":        {map[string]any{"EventPattern": map[string]any{"source": "orders"}}, "EventPattern"},
		"topic":                  {target(map[string]any{"Arn": "arn:aws:sns:eu-west-1:000000000000:t"}), "sns"},
		"transformer":            {target(map[string]any{"InputTransformer": map[string]any{}}), "InputTransformer"},
		"retries":                {target(map[string]any{"RetryPolicy": map[string]any{"MaximumRetryAttempts": 186}}), "186"},
		"age":                    {target(map[string]any{"RetryPolicy": map[string]any{"MaximumEventAgeInSeconds": 59}}), "59"},
		"FIFO dead-letter queue": {target(map[string]any{"DeadLetterConfig": map[string]any{"Arn": deadLetterARN + ".fifo"}}), "standard"},
		"FIFO without group":     {target(map[string]any{"Arn": queueARN + ".fifo"}), "MessageGroupId"},
		"group without FIFO":     {target(map[string]any{"SqsParameters": map[string]any{"MessageGroupId": "g"}}), "MessageGroupId"},
		"two inputs":             {target(map[string]any{"Input": "1", "InputPath": "$"}), "exclusive"},
		"input":                  {target(map[string]any{"Input": "{"}), "valid JSON"},
		"input path":             {target(map[string]any{"InputPath": "$.detail.items[0]"}), "items[0]"},
		"six targets":            {map[string]any{"Targets": []any{map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}}}, "at most 5"},
	}
	a := listen(t, filepath.Join(t.TempDir(), "j.db"))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := a.provisionRule(t.Context(), template.Resource{LogicalID: "R", PhysicalName: "R", Properties: ruleWith(c.change)})
			if err == nil || !strings.Contains(err.Error(), c.names) {
				t.Errorf("error %v, want one that contains %s", err, c.names)
			}
		})
	}
}

func TestInput(t *testing.T) {
	event := json.RawMessage(`{"source":"orders","detail":{"data":{"n":1}}}`)
	cases := map[string]struct {
		constant, path *string
		want           string
	}{
		"whole event": {nil, nil, string(event)},
		"root":        {nil, aws.String("$"), string(event)},
		"path":        {nil, aws.String("$.detail.data"), `{"n":1}`},
		"string":      {nil, aws.String("$.source"), `"orders"`},
		"constant":    {aws.String(`{"a":1}`), nil, `{"a":1}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in, err := newInput(targetProperties{Input: c.constant, InputPath: c.path})
			if err != nil {
				t.Fatal(err)
			}
			got, err := in.apply(occurrence{event: event})
			if err != nil || string(got) != c.want {
				t.Errorf("%s, error %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestListensOnLoopback(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"))
	if e := a.cloud.Endpoint(cloud.EventBridge); !regexp.MustCompile(`^http://127\.0\.0\.1:\d+$`).MatchString(e) {
		t.Errorf("endpoint %s", e)
	}
}

func TestPortTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	_, err = New(Config{Cloud: cloud.New("eu-west-1"), DB: database(t, filepath.Join(t.TempDir(), "j.db")), Port: port, Policies: allowAll{}})
	if !errors.Is(err, ErrPortTaken) || !strings.Contains(err.Error(), fmt.Sprint(port)) || !strings.Contains(err.Error(), "--port") {
		t.Errorf("error %v, want one that names the port and the flag", err)
	}
}

// TestRunReturnsSoon checks that Run returns soon after ctx is done although no queue can be reached.
func TestRunReturnsSoon(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(nil))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	a.put(t, order("1"))
	expect(t, "first outcome", (<-a.hops).Outcome, hop.Retry)
	cancel()
	select {
	case err := <-ended:
		expect(t, "error", err, nil)
	case <-time.After(time.Second):
		t.Error("Run has not returned within a second")
	}
	expect(t, "kept", len(afterKill(t, a.db)), 1)
}
