package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/access"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// requestsFile holds each kind of request that the roles of the unchanged template make: internal/local/access removes
// every statement of the template in turn and requires that one of them is then denied.
const requestsFile = "internal/local/access/testdata/orders-dev.jsonl"

// update renews the requests: go test ./test/e2e -update. With -run it adds those that the chosen tests make.
var update = flag.Bool("update", false, "write the requests of the roles instead of comparing with them")

// requests are those of all runs of the unchanged template so far, by kind.
var requests = struct {
	sync.Mutex
	byKind map[string]access.Recorded
}{byKind: map[string]access.Recorded{}}

// noteRequests keeps the requests of a run.
func noteRequests(t *testing.T, run *localrun.Run) {
	t.Helper()
	found, err := readRequests(filepath.Join(run.Summary.Data, "access.jsonl"))
	if err != nil {
		t.Errorf("requests of the run: %v", err)
	}
	requests.Lock()
	defer requests.Unlock()
	maps.Copy(requests.byKind, found)
}

// streamLabel matches the time in the ARN of a stream, which each run has its own of.
var streamLabel = regexp.MustCompile(`/stream/.*$`)

func readRequests(file string) (map[string]access.Recorded, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	found := map[string]access.Recorded{}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		var one access.Recorded
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, err
		}
		if one.Service == "events.amazonaws.com" && one.Action == "lambda:InvokeFunction" {
			continue // by a schedule of a minute: whether it was made depends on how long the tests took
		}
		one.On = streamLabel.ReplaceAllString(one.On, "/stream/label")
		enclosing := strings.Join(one.Context["dynamodb:enclosingoperation"], " ")
		keys := strings.Join(keyKinds(one.Context["dynamodb:leadingkeys"]), " ")
		if one.Action == "dynamodb:BatchGetItem" {
			keys = "" // of whatever a batch has
		}
		found[strings.Join([]string{one.Service, one.Role, one.Session, one.Action, one.On, enclosing, keys}, " ")] = one
	}
	return found, nil
}

// keyKinds returns what stands before the first # of keys: the kind of an item of the inbox.
func keyKinds(keys []string) []string {
	var kinds []string
	for _, key := range keys {
		if kind, _, ok := strings.Cut(key, "#"); ok {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// compareRequests reports the kinds of requests that the file does not have, and those that no run has made where all
// tests were run; or with -update writes the file, from which only a run of all tests removes requests.
func compareRequests(all bool) error {
	requests.Lock()
	defer requests.Unlock()
	file := filepath.Join(root, requestsFile)
	known, err := readRequests(file)
	switch {
	case err != nil:
		return err
	case *update && all:
		return writeRequests(file, requests.byKind)
	case *update:
		maps.Copy(known, requests.byKind)
		return writeRequests(file, known)
	}
	return differences(known, requests.byKind, all)
}

func writeRequests(file string, byKind map[string]access.Recorded) error {
	var lines bytes.Buffer
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		line, err := json.Marshal(byKind[kind])
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	return os.WriteFile(file, lines.Bytes(), 0o600)
}

// allTests reports whether the flags choose all tests.
func allTests() bool {
	for _, name := range []string{"test.run", "test.skip"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}

// differences returns an error that names the kinds of requests that were made and are not known, and with all those that
// are known and were not made.
func differences(known, made map[string]access.Recorded, all bool) error {
	const renew = "`go test ./test/e2e -update` renews it"
	var problems []error
	for _, kind := range slices.Sorted(maps.Keys(made)) {
		if _, ok := known[kind]; !ok {
			problems = append(problems, fmt.Errorf("a role made a request that %s does not have: %s; %s", requestsFile, kind, renew))
		}
	}
	if !all {
		return errors.Join(problems...)
	}
	for _, kind := range slices.Sorted(maps.Keys(known)) {
		if _, ok := made[kind]; !ok {
			problems = append(problems, fmt.Errorf("%s has a request that no role made: %s; %s", requestsFile, kind, renew))
		}
	}
	return errors.Join(problems...)
}

// TestRequestsAreComparedBothWays shows that a request of a role which nobody makes any more is noticed.
func TestRequestsAreComparedBothWays(t *testing.T) {
	known := map[string]access.Recorded{"both": {}, "stale": {}}
	made := map[string]access.Recorded{"both": {}, "new": {}}
	for all, want := range map[bool][]string{true: {"does not have: new", "that no role made: stale"}, false: {"does not have: new"}} {
		text := fmt.Sprint(differences(known, made, all))
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("with all tests %t, %q is not in %s", all, part, text)
			}
		}
		if strings.Contains(text, "both") || !all && strings.Contains(text, "stale") {
			t.Errorf("with all tests %t, too much is in %s", all, text)
		}
	}
	if err := differences(made, made, true); err != nil {
		t.Error(err)
	}
}

// TestDenied shows that a run refuses what the template does not allow: the function fails, the message stays in its
// queue, and the console names the missing statement.
func TestDenied(t *testing.T) {
	t.Parallel()
	run := start(t, patched(t, func(p tmpl) {
		policy := p.properties("AWS::IAM::Policy", "PublisherTwo")["PolicyDocument"].(map[string]any)
		policy["Statement"] = slices.DeleteFunc(policy["Statement"].([]any), func(s any) bool {
			return strings.Contains(fmt.Sprint(s), "Notifications")
		})
	}))
	id := post(t, run, tea)
	if got := call(t, run, http.MethodGet, "/orders/"+id, ""); got.status != http.StatusOK {
		t.Errorf("GET answers %d, want 200: its role may read", got.status)
	}
	_, err := run.Wait(within(t), 1, func(h hop.Hop) bool {
		return h.Stage == hop.Function && strings.Contains(h.Detail, "is not authorized to perform: dynamodb:PutItem on resource") &&
			strings.Contains(h.Detail, "because no identity-based policy allows the dynamodb:PutItem action")
	})
	if err != nil {
		t.Errorf("no function logged the denial: %v", err)
	}
	if notices := strings.Join(run.Notices(), "\n"); !strings.Contains(notices, `"Action":"dynamodb:PutItem","Resource":{"Fn::GetAtt":["Notifications`) {
		t.Errorf("no notice names the missing statement: %s", notices)
	}
}

// TestNotDeniedWithoutIAM shows the way out.
func TestNotDeniedWithoutIAM(t *testing.T) {
	t.Parallel()
	run := start(t, patched(t, func(p tmpl) {
		p.properties("AWS::IAM::Policy", "PublisherTwo")["PolicyDocument"] = map[string]any{"Statement": []any{}}
	}), "--iam=off")
	awaitPublishers(t, run, post(t, run, tea), "PublisherOne", "PublisherTwo")
}

// TestAuth shows that with --auth the API lets in who has signed, with the command that the start prints.
func TestAuth(t *testing.T) {
	t.Parallel()
	run := start(t, assembly, "--auth")
	if got := call(t, run, http.MethodGet, "/orders/nobody", ""); got.status != http.StatusForbidden {
		t.Errorf("unsigned, GET answers %d %s, want 403", got.status, got.body)
	}
	_, command, found := strings.Cut(strings.Join(run.Notices(), "\n"), "for example: ")
	if !found {
		t.Fatalf("the start prints no signed command: %q", run.Notices())
	}
	command, _, _ = strings.Cut(command, "\n")
	got, err := exec.CommandContext(within(t), "sh", "-c", command+"orders/nobody --silent --write-out '%{http_code}'").CombinedOutput()
	if err != nil || !strings.HasSuffix(string(got), "404") {
		t.Errorf("%s answers %s (%v), want 404: there is no such order", command, got, err)
	}
}
