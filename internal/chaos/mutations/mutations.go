// Package mutations breaks each thing that the guarantee rests on: by a patch of the source in patches/, or by a change of
// the template. The checker must see every one of them; test/proof runs them.
package mutations

import (
	"encoding/json"
	"slices"

	"github.com/outboxkit/transactional-outbox/internal/chaos"
	"github.com/outboxkit/transactional-outbox/internal/chaos/check"
	"github.com/outboxkit/transactional-outbox/internal/local/faults"
)

// A Situation is a short run that hits weak points hard. Without a mutation the guarantee holds in it.
type Situation struct {
	Orders  int
	Plan    chaos.Plan
	Changes []chaos.Change
}

const mutationSeed = 11

func rate(rates map[faults.Point]float64) faults.Plan {
	return faults.Plan{Seed: mutationSeed, Rates: rates}
}

// Situations are the short runs, by name.
var Situations = map[string]Situation{
	"calm": {Orders: 30, Plan: chaos.Plan{Plan: rate(nil)}},
	// Nothing gets past the bus until the run has been killed.
	"killed before delivery": {Orders: 24, Plan: chaos.Plan{
		Plan:  rate(map[faults.Point]float64{faults.BusPartial: 1}),
		Kills: []chaos.Kill{{After: 0.9, Point: check.KillRun}},
	}},
	"storm": {Orders: 16, Plan: chaos.Plan{Plan: rate(map[faults.Point]float64{
		faults.DynamoDBConflict: 0.15, faults.DynamoDBErrorBefore: 0.15, faults.BusPartial: 0.3, faults.BusNoPermission: 0.1,
		faults.QueueDuplicate: 0.3, faults.QueueReorder: 0.3, faults.FunctionKillBefore: 0.1,
	})}},
	// Every consumer misses something, and the rules' dead-letter queue has something for some of them.
	"a stopped pipe": {Orders: 30, Plan: chaos.Plan{
		Plan:     rate(map[faults.Point]float64{faults.BusNoPermission: 0.1}),
		Mistakes: []chaos.Mistake{{Kind: check.PipeStopped, After: 0.3, Until: 0.6}},
	}},
	// Messages that were handled come back, long after.
	"late duplicates": {
		Orders: 8, Plan: chaos.Plan{Plan: rate(map[faults.Point]float64{faults.QueueDeleteFails: 1})},
		Changes: []chaos.Change{func(t *chaos.Template) {
			t.Properties("AWS::SQS::Queue", "/"+chaos.Ledger+"/Queue/")["VisibilityTimeout"] = 20
		}},
	},
}

// A Mutation breaks one thing that the guarantee rests on: by a patch of the source in patches/, or by a change of
// the template. It is caught in a run, or by a test of what no run meets.
type Mutation struct {
	Patch     string // name of the patch, empty for none
	Change    chaos.Change
	Situation string
	Caught    []check.Rule // in the run one of these must be found violated
	Test      Test         // in place of a run
}

// A Test is a test that must fail.
type Test struct{ Package, Name string }

// All are the mutations, by what they break.
var All = map[string]Mutation{
	"the pipe's position is stored before delivery": {Patch: "position-before-delivery", Situation: "killed before delivery", Caught: []check.Rule{check.Lost}},
	"FailedEntryCount is ignored":                   {Patch: "failed-entry-count-ignored", Situation: "storm", Caught: []check.Rule{check.Lost}},
	"the pipe goes on with LATEST after a restart":  {Patch: "latest-after-restart", Situation: "killed before delivery", Caught: []check.Rule{check.Lost}},
	"dual write instead of a transaction":           {Patch: "dual-write", Situation: "storm", Caught: []check.Rule{check.Torn}},
	"the inbox marker is written separately":        {Patch: "marker-in-separate-write", Situation: "storm", Caught: []check.Rule{check.Duplicated}},
	"the marker's TTL is shorter than redelivery":   {Change: forgetful, Situation: "late duplicates", Caught: []check.Rule{check.Duplicated}},
	"messages are deleted before success":           {Patch: "deleted-before-success", Situation: "storm", Caught: []check.Rule{check.Lost}},
	"a stream record is dropped":                    {Patch: "stream-record-dropped", Situation: "calm", Caught: []check.Rule{check.Lost}},
	"a batch is acknowledged on a partial failure":  {Patch: "batch-acknowledged-on-partial-failure", Situation: "storm", Caught: []check.Rule{check.Lost}},
	"the API answers 2xx on a canceled transaction": {Change: alwaysCreated, Situation: "storm", Caught: []check.Rule{check.Lost}},
	"the filter lacks the INSERT condition":         {Change: anyChange, Situation: "calm", Caught: []check.Rule{check.Republished}},
	"the marker's key ignores the source":           {Patch: "marker-without-source", Test: Test{"./runtime/inbox", "TestEventsOfTwoSourcesAreNotOne"}},
	"a marker is for any event of its id":           {Patch: "marker-for-anything", Test: Test{"./runtime/inbox", "TestEventThatOnlySharesAnIDIsRefused"}},
	"a consumer begins with whatever comes first":   {Patch: "begins-with-what-comes-first", Test: Test{"./runtime/inbox", "TestJoiningInEveryOrderOfArrival"}},
	"a consumer's name is its construct path":       {Patch: "name-from-the-construct-path", Test: Test{"./test/synth", "TestNamesStayWhenTheStackMovesBelowAStage"}},
	"the TTL leaves out the dead-letter queues":     {Patch: "inbox-ttl-without-dead-letter-queues", Test: Test{"./test/synth", "TestInboxTTL"}},
	"the redrive trusts the queue's count":          {Patch: "redrive-trusts-the-count", Test: Test{"./runtime/redrive", "TestTheCountIsNotTrusted"}},
	"the auditor skips a consumer":                  {Patch: "auditor-skips-a-consumer", Situation: "a stopped pipe", Caught: []check.Rule{check.Unnamed}},
	"a dead letter is a confirmation":               {Patch: "dead-letter-confirms", Test: Test{"./constructs/functions/auditor", "TestADeadLetterConfirmsNothing"}},
	"a repair sends to all consumers":               {Patch: "repair-sends-to-all", Test: Test{"./internal/operate", "TestRepairSendsToTheOneConsumer"}},
	"a heartbeat that is missing is fine":           {Patch: "missing-heartbeat-is-fine", Test: Test{"./test/synth", "TestMonitorAlarms"}},
	"the rules' dead-letter queue has no policy":    {Change: closedDeadLetterQueue, Situation: "storm", Caught: []check.Rule{check.Lost}},
}

// forgetful makes the ledger's inbox forget after a second.
func forgetful(t *chaos.Template) {
	environment := object(t.Properties("AWS::Lambda::Function", "/"+chaos.Ledger+"/")["Environment"])
	variables := object(environment["Variables"])
	if variables["INBOX_TTL_SECONDS"] == nil {
		t.Problem("the ledger has no INBOX_TTL_SECONDS")
		return
	}
	variables["INBOX_TTL_SECONDS"] = "1"
}

// alwaysCreated answers POST /orders with 201 whatever DynamoDB says, as the SAM sample's default mapping does.
func alwaysCreated(t *chaos.Template) {
	integration := object(t.Properties("AWS::ApiGateway::Method", "/orders/POST/")["Integration"])
	responses, _ := integration["IntegrationResponses"].([]any)
	for _, r := range responses {
		if object(r)["StatusCode"] == "201" {
			created := object(r)
			delete(created, "SelectionPattern")
			integration["IntegrationResponses"] = []any{created}
			return
		}
	}
	t.Problem("POST /orders has no integration response 201")
}

// anyChange lets every change of an outbox item through.
func anyChange(t *chaos.Template) {
	source := object(t.Properties("AWS::Pipes::Pipe", "/Outbox/")["SourceParameters"])
	filters, _ := object(source["FilterCriteria"])["Filters"].([]any)
	for _, f := range filters {
		var pattern map[string]any
		text, _ := object(f)["Pattern"].(string)
		if json.Unmarshal([]byte(text), &pattern) != nil || pattern["eventName"] == nil {
			t.Problem("the pipe's filter has no eventName: %s", text)
			return
		}
		delete(pattern, "eventName")
		raw, _ := json.Marshal(pattern)
		object(f)["Pattern"] = string(raw)
	}
}

// closedDeadLetterQueue takes the statement that lets EventBridge in from the rules' dead-letter queue.
func closedDeadLetterQueue(t *chaos.Template) {
	document := object(t.Properties("AWS::SQS::QueuePolicy", "/RuleDeadLetterQueue/")["PolicyDocument"])
	statements, _ := document["Statement"].([]any)
	kept := slices.DeleteFunc(slices.Clone(statements), func(s any) bool { return object(s)["Effect"] == "Allow" })
	if len(kept) == len(statements) {
		t.Problem("the policy of the rules' dead-letter queue lets nobody in")
		return
	}
	document["Statement"] = kept
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
