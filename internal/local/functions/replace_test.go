package functions

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// speaker is the source of a function that answers with a text of another package of its module. It gets the payload, a URL,
// before it answers, unless that is empty.
const speaker = `package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"

	"example.com/app/words"
)

func main() {
	root := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(root + "next")
		if err != nil {
			os.Exit(1)
		}
		var url string
		_ = json.NewDecoder(next.Body).Decode(&url)
		if url != "" {
			_, _ = http.Get(url)
		}
		_, _ = http.Post(root+next.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "", strings.NewReader(words.Text()))
	}
}
`

// says is the source of the other package.
func says(text string) string {
	return "package words\n\nfunc Text() string { return `\"" + text + "\"` }\n"
}

// A workshop is a module whose function changes.
type workshop struct {
	*host
	root string
	arn  string
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{host: newHost(t), root: template.RealPath(t.TempDir())}
	w.write("go.mod", "module example.com/app\n\ngo 1.25\n")
	w.write("fn/main.go", speaker)
	w.write("words/words.go", says("one"))
	speaker := w.goFunction("Speaker", filepath.Join(w.root, "fn"))
	speaker.Properties["Timeout"] = 60 // a rebuild is shorter
	made, err := w.Provisions()["AWS::Lambda::Function"](t.Context(), speaker)
	if err != nil {
		t.Fatal(err)
	}
	w.arn = made.GetAtt["Arn"]
	w.wantAnswer("one")
	return w
}

func (w *workshop) write(name, content string) {
	w.t.Helper()
	if err := write(filepath.Join(w.root, name), []byte(content)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *workshop) wantAnswer(want string) {
	w.t.Helper()
	if answer, err := w.Invoke(w.t.Context(), w.arn, []byte(`""`)); err != nil || string(answer) != `"`+want+`"` {
		w.t.Fatalf("the answer is %s, %v, want %q", answer, err, want)
	}
}

// The next invocation has the new program, one that is under way finishes with the old one, whose process then ends.
func TestRebuild(t *testing.T) {
	w := newWorkshop(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}))
	defer gate.Close()
	before := w.functions[w.arn]
	old := before.idle[0]
	finished := make(chan string)
	go func() {
		payload, _ := json.Marshal(gate.URL)
		answer, err := w.Invoke(context.WithoutCancel(t.Context()), w.arn, payload)
		if err != nil {
			answer = []byte(err.Error())
		}
		finished <- string(answer)
	}()
	<-arrived

	w.write("words/words.go", says("two"))
	for _, r := range w.Rebuild(t.Context(), []string{"Speaker"}) {
		if r.LogicalID != "Speaker" || r.Err != nil || r.Took <= 0 {
			t.Errorf("%+v", r)
		}
	}
	w.wantAnswer("two")
	if old.hasEnded() {
		t.Error("the old process has ended in the middle of an invocation")
	}
	close(release)
	if answer := <-finished; answer != `"one"` {
		t.Errorf("the invocation that was under way: %s", answer)
	}
	select {
	case <-old.ended:
	case <-time.After(patience):
		t.Error("the old process does not end")
	}
	w.wantAnswer("two")
}

// A function that does not compile goes on as it was, and others are rebuilt nevertheless.
func TestRebuildOfWhatDoesNotCompile(t *testing.T) {
	w := newWorkshop(t)
	w.write("other/main.go", strings.ReplaceAll(speaker, "example.com/app/words", "example.com/app/well"))
	w.write("well/words.go", says("well"))
	made, err := w.Provisions()["AWS::Lambda::Function"](t.Context(), w.goFunction("Other", filepath.Join(w.root, "other")))
	if err != nil {
		t.Fatal(err)
	}
	w.write("words/words.go", "package words\n\nfunc Text() string { return nothing }\n")
	w.write("well/words.go", says("better"))
	for _, r := range w.Rebuild(t.Context(), []string{"Speaker", "Other", "Nobody"}) {
		if broken := r.LogicalID == "Speaker"; broken != (r.Err != nil) || broken && !strings.Contains(r.Err.Error(), "words/words.go:3:29: undefined: nothing") {
			t.Errorf("%s: error %v", r.LogicalID, r.Err)
		}
	}
	w.wantAnswer("one")
	w.arn = made.GetAtt["Arn"]
	w.wantAnswer("better")
}

// After Reset a function that is declared as before goes on in its process, one with other properties begins anew, and
// Prune ends what is left.
func TestReset(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	pid := h.ask(arn, order{}).PID
	declare := func(change props) string {
		t.Helper()
		h.Reset()
		arn := h.function(change)
		if err := h.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.Prune()
		return arn
	}
	declare(nil)
	if again := h.ask(arn, order{}).PID; again != pid {
		t.Errorf("the process is %d, want %d, as before", again, pid)
	}
	old := h.functions[arn].idle[0]
	declare(props{"Timeout": 7, "Environment": map[string]any{"Variables": map[string]any{"GREETING": "hello"}}})
	timeout, _ := h.Timeout(arn)
	if got := h.ask(arn, order{}); got.PID == pid || timeout != 7*time.Second || !slices.Contains(got.Env, "GREETING=hello") {
		t.Errorf("the timeout is %v, the process %d, its environment %q", timeout, got.PID, got.Env)
	}
	select {
	case <-old.ended:
	case <-time.After(patience):
		t.Error("the process before does not end")
	}
	other := declare(props{"FunctionName": "other"})
	if _, err := h.send(t.Context(), arn, order{}); err == nil || !strings.Contains(err.Error(), "there are "+other) {
		t.Errorf("a function that is not declared any more: %v", err)
	}
}

// Compile reports what does not compile, and leaves what runs alone.
func TestCompile(t *testing.T) {
	w := newWorkshop(t)
	w.write("words/words.go", "package words\n\nfunc Text() string { return nothing }\n")
	declared := []template.Resource{w.goFunction("Speaker", filepath.Join(w.root, "fn")), {LogicalID: "Script"}}
	if err := w.Compile(t.Context(), declared); err == nil || !strings.Contains(err.Error(), "function Speaker: go build") || !strings.Contains(err.Error(), "undefined: nothing") {
		t.Errorf("error %v", err)
	}
	w.wantAnswer("one")
	w.write("words/words.go", says("two"))
	if err := w.Compile(t.Context(), declared); err != nil {
		t.Error(err)
	}
	w.wantAnswer("one")
}

func TestSources(t *testing.T) {
	w := newWorkshop(t)
	w.write("words/words.go", "package words\n\nimport _ \"embed\"\n\n//go:embed text/words.txt\nvar text string\n\nfunc Text() string { return text }\n")
	w.write("words/text/words.txt", `"embedded"`)
	found, err := w.Sources(t.Context(), "Speaker")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, folder := range []string{"", "fn", "words", "words/text"} {
		want = append(want, filepath.Join(w.root, folder))
	}
	if !slices.Equal(found.Folders, want) {
		t.Errorf("folders %q, want %q", found.Folders, want)
	}
	for name, has := range map[string]bool{
		"fn/main.go": true, "words/new.go": true, "go.mod": true, "words/text/words.txt": true,
		"words/words_test.go": false, "words/.words.go.swp": false, "README.md": false, "words/text/other.txt": false,
	} {
		if found.Has(filepath.Join(w.root, name)) != has {
			t.Errorf("%s is a source: %v, want %v", name, !has, has)
		}
	}
	script, err := w.provision("Script", props{"Runtime": "nodejs22.x", "Handler": "index.handler", "Code": map[string]any{"S3Key": "node.zip"}})
	if err != nil {
		t.Fatal(err)
	}
	found, err = w.Sources(t.Context(), "Script")
	if err != nil || !slices.Equal(found.Folders, []string{filepath.Join(template.RealPath(assembly), "node")}) {
		t.Errorf("%s: %v, %v", script, found.Folders, err)
	}
	if _, err := os.Stat(found.Folders[0]); err != nil {
		t.Error(err)
	}
}
