package chaos

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/local/faults"
	"github.com/outboxkit/transactional-outbox/test/chaos/check"
	"github.com/outboxkit/transactional-outbox/test/localrun"
)

// situation is a short run that hits weak points hard. Without a mutation the guarantee holds in it.
type situation struct {
	orders  int
	plan    Plan
	changes []Change
}

const mutationSeed = 11

func rate(rates map[faults.Point]float64) faults.Plan {
	return faults.Plan{Seed: mutationSeed, Rates: rates}
}

var situations = map[string]situation{
	"calm": {orders: 30, plan: Plan{Plan: rate(nil)}},
	// Nothing gets past the bus until the run has been killed.
	"killed before delivery": {orders: 24, plan: Plan{
		Plan:  rate(map[faults.Point]float64{faults.BusPartial: 1}),
		Kills: []Kill{{After: 0.9, Point: check.KillRun}},
	}},
	"storm": {orders: 16, plan: Plan{Plan: rate(map[faults.Point]float64{
		faults.DynamoDBConflict: 0.15, faults.DynamoDBErrorBefore: 0.15, faults.BusPartial: 0.3, faults.BusNoPermission: 0.1,
		faults.QueueDuplicate: 0.3, faults.QueueReorder: 0.3, faults.FunctionKillBefore: 0.1,
	})}},
	// Messages that were handled come back, long after.
	"late duplicates": {
		orders: 8, plan: Plan{Plan: rate(map[faults.Point]float64{faults.QueueDeleteFails: 1})},
		changes: []Change{func(t *Template) { t.Properties("AWS::SQS::Queue", "/"+ledger+"/Queue/")["VisibilityTimeout"] = 20 }},
	},
}

// mutation breaks one thing that the guarantee rests on: by a patch of the source under mutations/, or by a
// change of the template.
type mutation struct {
	patch     string // name of the patch, empty for none
	change    Change
	situation string
	caught    []check.Rule // one of these must be found violated
}

var allMutations = map[string]mutation{
	"the pipe's position is stored before delivery":  {patch: "position-before-delivery", situation: "killed before delivery", caught: []check.Rule{check.Lost}},
	"FailedEntryCount is ignored":                    {patch: "failed-entry-count-ignored", situation: "storm", caught: []check.Rule{check.Lost}},
	"the pipe goes on with LATEST after a restart":   {patch: "latest-after-restart", situation: "killed before delivery", caught: []check.Rule{check.Lost}},
	"dual write instead of a transaction":            {patch: "dual-write", situation: "storm", caught: []check.Rule{check.Torn}},
	"the inbox marker is written separately":         {patch: "marker-in-separate-write", situation: "storm", caught: []check.Rule{check.Duplicated}},
	"the marker's TTL is shorter than redelivery":    {change: forgetful, situation: "late duplicates", caught: []check.Rule{check.Duplicated}},
	"messages are deleted before success":            {patch: "deleted-before-success", situation: "storm", caught: []check.Rule{check.Lost}},
	"a stream record is dropped":                     {patch: "stream-record-dropped", situation: "calm", caught: []check.Rule{check.Lost}},
	"a batch is acknowledged on a partial failure":   {patch: "batch-acknowledged-on-partial-failure", situation: "storm", caught: []check.Rule{check.Lost}},
	"the API answers 2xx on a cancelled transaction": {change: alwaysCreated, situation: "storm", caught: []check.Rule{check.Lost}},
	"the filter lacks the INSERT condition":          {change: anyChange, situation: "calm", caught: []check.Rule{check.Republished}},
	"the rules' dead-letter queue has no policy":     {change: closedLetters, situation: "storm", caught: []check.Rule{check.Lost}},
}

// forgetful makes the ledger's inbox forget after a second.
func forgetful(t *Template) {
	environment := object(t.Properties("AWS::Lambda::Function", "/"+ledger+"/")["Environment"])
	variables := object(environment["Variables"])
	if variables["INBOX_TTL_SECONDS"] == nil {
		t.Problem("the ledger has no INBOX_TTL_SECONDS")
		return
	}
	variables["INBOX_TTL_SECONDS"] = "1"
}

// alwaysCreated answers POST /orders with 201 whatever DynamoDB says, as the SAM sample's default mapping does.
func alwaysCreated(t *Template) {
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
func anyChange(t *Template) {
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

// closedLetters takes the statement that lets EventBridge in from the rules' dead-letter queue.
func closedLetters(t *Template) {
	document := object(t.Properties("AWS::SQS::QueuePolicy", "/RuleDeadLetterQueue/")["PolicyDocument"])
	statements, _ := document["Statement"].([]any)
	kept := slices.DeleteFunc(slices.Clone(statements), func(s any) bool { return object(s)["Effect"] == "Allow" })
	if len(kept) == len(statements) {
		t.Problem("the policy of the rules' dead-letter queue lets nobody in")
		return
	}
	document["Statement"] = kept
}

// TestMutations breaks the guarantee in every way there is a mutation for, and wants the checker to see it;
// and that it sees nothing in the same situations without a mutation.
func TestMutations(t *testing.T) {
	if !*mutations {
		t.Skip("run with -mutations, or make mutations")
	}
	for _, name := range sortedKeys(situations) {
		t.Run("none/"+name, func(t *testing.T) {
			t.Parallel()
			result := runIn(t, situations[name], mutation{}, 0)
			for _, v := range result.Verdict.Violations {
				t.Error(v)
			}
			if t.Failed() {
				t.Log(reportOf(result))
			}
		})
	}
	for _, name := range sortedKeys(allMutations) {
		m := allMutations[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := runIn(t, situations[m.situation], m, 10*time.Second)
			for _, v := range result.Verdict.Violations {
				uncertain := result.Held > 0 && (v.Consumer == publisherUpd || v.Consumer == journal)
				if slices.Contains(m.caught, v.Rule) && !uncertain {
					t.Logf("caught after %s: %s", result.Took.Round(time.Second), v)
					return
				}
			}
			t.Errorf("not caught: none of %v is violated\n%s", m.caught, reportOf(result))
		})
	}
}

// runIn runs a situation with a mutation.
func runIn(t *testing.T, s situation, m mutation, patience time.Duration) Result {
	t.Helper()
	config := configOf(t, s.plan, s.orders)
	config.Patience = patience
	config.Changes = slices.Clone(s.changes)
	if m.change != nil {
		config.Changes = append(config.Changes, m.change)
	}
	if m.patch == "" {
		path, err := binary()
		config.Binary = must(t, path, err)
	} else {
		flag := "-overlay=" + overlay(t, filepath.Join("mutations", m.patch+".patch"))
		config.Binary = filepath.Join(t.TempDir(), "local")
		if err := localrun.Build(t.Context(), config.Binary, flag); err != nil {
			t.Fatal(err)
		}
		// The functions are built by the local run, with the mutation too.
		config.Env = []string{"GOFLAGS=" + flag}
	}
	result, err := Run(t.Context(), config)
	if err != nil {
		t.Fatalf("%v\n%s", err, reportOf(result))
	}
	return result
}

func reportOf(r Result) string {
	var report strings.Builder
	r.Report(&report, "")
	return report.String()
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

// TestMutationsApply keeps the patches up to date: one that no longer fits the source proves nothing.
func TestMutationsApply(t *testing.T) {
	used := map[string]bool{}
	for _, m := range allMutations {
		used[m.patch+".patch"] = true
	}
	files, err := filepath.Glob("mutations/*.patch")
	if err != nil || len(files) == 0 {
		t.Fatalf("no patches: %v", err)
	}
	for _, file := range files {
		overlay(t, file)
		if !used[filepath.Base(file)] {
			t.Errorf("%s belongs to no mutation", file)
		}
	}
}
