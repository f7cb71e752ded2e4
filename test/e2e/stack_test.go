package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// patience limits every wait for something that should happen.
const patience = 60 * time.Second

// startPatience limits a start, which compiles the functions: on a machine that has never done so, all of the SDK.
const startPatience = 5 * time.Minute

// functions is where in the repository the functions live that tests put in place of the production ones.
const functions = "test/e2e/functions"

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// start runs the stack of an assembly until the test ends, and fails the test when the run does not stop cleanly.
func start(t *testing.T, app string, args ...string) *localrun.Run {
	t.Helper()
	run := launch(t, app, args...)
	t.Cleanup(func() {
		select {
		case <-run.Done(): // the test has ended it
		default:
			if app == assembly {
				noteRequests(t, run)
			}
			if err := run.Stop(); err != nil {
				t.Errorf("stop the local run: %v", err)
			}
		}
	})
	return run
}

// launch does the same as start but without the clean stop, for tests that kill the run.
func launch(t testing.TB, app string, args ...string) *localrun.Run {
	t.Helper()
	return launchStacks(t, app, append([]string{"--stack", stack}, args...)...)
}

// launchStacks does the same as launch with the stacks that the flags name.
func launchStacks(t testing.TB, app string, args ...string) *localrun.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	run, err := localrun.Start(ctx, localrun.Options{
		Binary: binary,
		Dir:    root,
		Args:   append([]string{"--app", app, "--port", "0"}, args...),
		Env:    []string{"TMPDIR=" + t.TempDir()}, // for the data, which a killed run does not delete
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// A tmpl is a template that is being patched.
type tmpl struct {
	t         *testing.T
	assembly  string
	resources map[string]any
	outputs   map[string]any
}

// patched returns the folder of a copy of the assembly in which change has changed the stack's template.
func patched(t *testing.T, change func(tmpl)) string {
	t.Helper()
	dir := t.TempDir()
	if err := localrun.CopyAssembly(assembly, dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, stack+".template.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(raw, &whole); err != nil {
		t.Fatal(err)
	}
	change(tmpl{t, dir, whole["Resources"].(map[string]any), whole["Outputs"].(map[string]any)})
	if raw, err = json.Marshal(whole); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// find returns the one resource of the type whose construct path contains the text.
func (p tmpl) find(kind, path string) map[string]any {
	p.t.Helper()
	return p.resources[p.id(kind, path)].(map[string]any)
}

// id returns the logical ID of the resource that find returns.
func (p tmpl) id(kind, path string) string {
	p.t.Helper()
	found := ""
	for id, r := range p.resources {
		res := r.(map[string]any)
		meta, _ := res["Metadata"].(map[string]any)
		where, _ := meta["aws:cdk:path"].(string)
		if res["Type"] != kind || !strings.Contains(where, path) {
			continue
		}
		if found != "" {
			p.t.Fatalf("more than one %s with %q in its path: %s and %s", kind, path, found, id)
		}
		found = id
	}
	if found == "" {
		p.t.Fatalf("the template has no %s with %q in its path", kind, path)
	}
	return found
}

// properties returns the properties of the resource that find returns.
func (p tmpl) properties(kind, path string) map[string]any {
	p.t.Helper()
	props, _ := p.find(kind, path)["Properties"].(map[string]any)
	return props
}

// arn returns what the template says in place of an ARN of the resource that find returns.
func (p tmpl) arn(kind, path, attribute string) any {
	p.t.Helper()
	return map[string]any{"Fn::GetAtt": []any{p.id(kind, path), attribute}}
}

// allow gives a role actions on a resource.
func (p tmpl) allow(path string, resource any, actions ...any) {
	p.t.Helper()
	policy := p.properties("AWS::IAM::Policy", path)["PolicyDocument"].(map[string]any)
	policy["Statement"] = append(policy["Statement"].([]any), map[string]any{"Effect": "Allow", "Action": actions, "Resource": resource})
}

// replaceFunction replaces a production function by one of the tests' functions.
func (p tmpl) replaceFunction(path, name string) {
	p.t.Helper()
	meta := p.find("AWS::Lambda::Function", path)["Metadata"].(map[string]any)
	source, err := localrun.Source(p.assembly, filepath.Join(root, functions, name))
	if err != nil {
		p.t.Fatal(err)
	}
	meta["outboxkit:golambda"].(map[string]any)["source"] = source
}

// An answer is the REST API's response to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a request to the REST API. Headers have the form "Name: value".
func call(t *testing.T, run *localrun.Run, method, path, body string, headers ...string) answer {
	t.Helper()
	return request(t, method, strings.TrimSuffix(run.Summary.API, "/")+path, body, headers...)
}

// request sends a request to a URL.
func request(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(got)}
}
