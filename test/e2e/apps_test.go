package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// apps is where the apps of other languages are. Each has its source, the code of its functions and the cloud assembly that
// was synthesized of both: the tests need neither the language's CDK nor its packages.
const apps = "test/e2e/testdata/apps"

// startApp runs the stack Shop of an app until the test ends.
func startApp(t *testing.T, name string) *localrun.Run {
	t.Helper()
	run := launchStacks(t, filepath.Join(root, apps, name, "assembly"), "--stack", "Shop")
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Errorf("stop the local run: %v", err)
		}
	})
	return run
}

// TestTypeScriptApp: an order that comes in by the path of a custom domain reaches the consumer by pipe, bus, rule and
// queue, and another one by a function on the stream that sends a message with the SDK.
func TestTypeScriptApp(t *testing.T) {
	t.Parallel()
	run := startApp(t, "typescript")
	orders := run.Summary.Outputs["OrdersUrl"]
	if want := run.Summary.Addresses["api.example.com/shop"] + "orders"; orders != want {
		t.Errorf("the output is %s, want %s", orders, want)
	}
	var order struct{ ID string }
	decode(t, request(t, http.MethodPost, orders, `{"customer": "Ann"}`), http.StatusCreated, &order)
	awaitWritten(t, run, "Ship", "shipped "+order.ID+" to Ann")
	awaitWritten(t, run, "Mail", "thanked Ann for "+order.ID)
	if got := call(t, run, http.MethodPost, "/orders", `{"customer": 7}`); got.status != http.StatusBadRequest {
		t.Errorf("an order that is none: got %d %s", got.status, got.body)
	}
}

// TestPythonApp: an order that comes in by an API of an OpenAPI document reaches the consumer by pipe and queue; a function
// answers behind the API and at its own URL.
func TestPythonApp(t *testing.T) {
	t.Parallel()
	run := startApp(t, "python")
	var order struct{ ID string }
	decode(t, call(t, run, http.MethodPost, "/orders", `{"customer": "Ann"}`), http.StatusCreated, &order)
	awaitWritten(t, run, "Ship", "shipped "+order.ID+" to Ann")

	url := run.Summary.Outputs["GreetUrl"]
	if url != run.Summary.Addresses["Greet/FunctionUrl"] {
		t.Errorf("the URL is %s, and the summary has %v", url, run.Summary.Addresses)
	}
	for name, tt := range map[string]struct {
		got    answer
		status int
		body   string
	}{
		"no customer":      {call(t, run, http.MethodPost, "/orders", `{"customer": ""}`), 400, "is too short"},
		"behind the API":   {call(t, run, http.MethodGet, "/greetings/Ann?language=de", ""), 200, `{"greeting": "Hallo, Ann!"}`},
		"no language":      {call(t, run, http.MethodGet, "/greetings/Ann", ""), 400, "Missing required request parameters: [language]"},
		"by its own URL":   {request(t, http.MethodGet, url+"?name=Bob", ""), 200, `{"greeting": "Hello, Bob!"}`},
		"a page may read":  {request(t, http.MethodGet, url, "", "Origin: http://localhost:3000"), 200, `{"greeting": "Hello, world!"}`},
		"not another site": {request(t, http.MethodGet, url, "", "Origin: https://example.com"), 403, "refused by the local run"},
	} {
		if tt.got.status != tt.status || !strings.Contains(tt.got.body, tt.body) {
			t.Errorf("%s: got %d %s, want %d %s", name, tt.got.status, tt.got.body, tt.status, tt.body)
		}
	}
}

// awaitWritten waits until the function has written the text.
func awaitWritten(t *testing.T, run *localrun.Run, function, text string) {
	t.Helper()
	_, err := run.Wait(within(t), 1, func(h hop.Hop) bool {
		return h.Stage == hop.Function && run.Name(h.Resource) == function && strings.Contains(h.Detail, text)
	})
	if err != nil {
		t.Fatalf("%s did not write %q: %v", function, text, err)
	}
}

// The assemblies have the functions' code as it is in the sources.
func TestAssembliesOfAppsAreFresh(t *testing.T) {
	for _, name := range []string{"typescript", "python"} {
		sources, err := filepath.Glob(filepath.Join(root, apps, name, "functions", "*"))
		if err != nil || len(sources) == 0 {
			t.Fatalf("%s has no functions: %v", name, err)
		}
		for _, source := range sources {
			want, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			copies, _ := filepath.Glob(filepath.Join(root, apps, name, "assembly", "asset.*", filepath.Base(source)))
			if len(copies) != 1 {
				t.Fatalf("%s is %d times in the assembly, want once", source, len(copies))
			}
			if got, err := os.ReadFile(copies[0]); err != nil || string(got) != string(want) {
				t.Errorf("%s differs from its copy in the assembly (%v): synthesize the app again", source, err)
			}
		}
	}
}
