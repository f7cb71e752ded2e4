package functions

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

// TestPlatformLinesAreLambdas checks the lines of an invocation as Lambda documents them.
// Source: Lambda developer guide, golang-logging, "Report Log".
func TestPlatformLinesAreLambdas(t *testing.T) {
	h := newHost(t)
	arn := h.function(props{"MemorySize": 256})
	first, second := h.ask(arn, order{}), h.ask(arn, order{})
	memory := ""
	if runtime.GOOS == "linux" {
		memory = `Max Memory Used: \d+ MB\t`
	}
	report := func(a answer, rest string) string {
		return `REPORT RequestId: ` + a.ID + `\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\t` + memory + rest
	}
	want := []string{
		"START RequestId: " + first.ID + ` Version: \$LATEST`, "END RequestId: " + first.ID, report(first, `Init Duration: \d+\.\d\d ms\t`),
		"START RequestId: " + second.ID + ` Version: \$LATEST`, "END RequestId: " + second.ID, report(second, ""),
	}
	got := h.platform()
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i, pattern := range want {
		if !regexp.MustCompile("^" + pattern + "$").MatchString(got[i]) {
			t.Errorf("line %d is %q, want %q", i, got[i], pattern)
		}
	}
}

func TestReportTellsHowItEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		order order
		props props
		want  string
	}{
		"an error of the function": {order{Do: "fail", Text: "x"}, nil, `ms\t`},
		"an exit":                  {order{Do: "exit", Size: 3}, nil, `\tStatus: error\tError Type: Runtime\.ExitError\t`},
		"a timeout":                {order{Do: "hang"}, props{"Timeout": 1}, `\tStatus: timeout\t`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			if _, err := h.send(t.Context(), h.function(tt.props), tt.order); err == nil {
				t.Fatal("no error")
			}
			lines := h.platform()
			if len(lines) != 3 || !regexp.MustCompile(`^REPORT .*`+tt.want+`$`).MatchString(lines[2]) {
				t.Errorf("lines are %q, want %q", lines, tt.want)
			}
		})
	}
}

// TestPlatformRecordsAreLambdas compares the fields with those of records that Lambda has written.
// Source: Lambda developer guide, monitoring-cloudwatchlogs-logformat; a function's log of October 2026.
func TestPlatformRecordsAreLambdas(t *testing.T) {
	h := newHost(t)
	a := h.ask(h.function(props{"LoggingConfig": map[string]any{"LogFormat": "JSON"}}), order{})
	lines := h.platform()
	if len(lines) != 2 {
		t.Fatalf("got %q", lines)
	}
	recorded := []string{
		`{"time":"2026-10-08T06:53:45.332Z","type":"platform.start","record":{"requestId":"a45d720c","functionArn":"arn:aws:lambda:eu-west-1:1:function:f","version":"$LATEST"}}`,
		`{"time":"2026-10-08T07:30:29.470Z","type":"platform.report","record":{"requestId":"79b5e81f","metrics":{"durationMs":1233.96,"billedDurationMs":1698,"memorySizeMB":256,"maxMemoryUsedMB":123,"initDurationMs":463.512},"status":"success"}}`,
	}
	for i, line := range lines {
		got, want := fieldsOf(t, line), fieldsOf(t, recorded[i])
		if runtime.GOOS != "linux" {
			want = slices.DeleteFunc(want, func(field string) bool { return field == "record.metrics.maxMemoryUsedMB" })
		}
		if !slices.Equal(got, want) {
			t.Errorf("fields are %q, want %q", got, want)
		}
		if !strings.Contains(line, `"requestId":"`+a.ID+`"`) || strings.Contains(line, "<nil>") {
			t.Errorf("line is %s", line)
		}
	}
}

// fieldsOf returns the paths of all fields of a JSON object.
func fieldsOf(t *testing.T, text string) []string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var paths []string
	var visit func(object map[string]any, at string)
	visit = func(object map[string]any, at string) {
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if inner, ok := object[name].(map[string]any); ok {
				visit(inner, at+name+".")
				continue
			}
			paths = append(paths, at+name)
		}
	}
	visit(object, "")
	return paths
}

func TestSystemLogLevel(t *testing.T) {
	h := newHost(t)
	arn := h.function(props{"LoggingConfig": map[string]any{"LogFormat": "JSON", "SystemLogLevel": "WARN"}})
	h.ask(arn, order{})
	if lines := h.platform(); len(lines) != 0 {
		t.Errorf("WARN shows %q of an invocation that succeeds", lines)
	}
	if _, err := h.send(t.Context(), arn, order{Do: "fail", Text: "x"}); err == nil {
		t.Fatal("no error")
	}
	if lines := h.platform(); len(lines) != 1 || !strings.Contains(lines[0], `"status":"error"`) {
		t.Errorf("WARN shows %q of one that fails, want its report", lines)
	}
}

func inline(runtimeName, code string, more props) props {
	p := props{"Runtime": runtimeName, "Handler": "index.handler", "Code": map[string]any{"ZipFile": code}}
	maps.Copy(p, more)
	return p
}

// TestFunctionLogFormats checks the entries of the console and of the module logging.
// Source: Lambda developer guide, nodejs-logging and python-logging, and monitoring-cloudwatchlogs-logformat.
func TestFunctionLogFormats(t *testing.T) {
	const node = `exports.handler = async () => { console.debug("hidden"); console.log("seen %s\n.", "x"); console.error(new TypeError("broken")); }`
	const python = "import logging\ndef handler(event, context):\n  logging.getLogger('app').debug('hidden')\n  logging.getLogger('app').error('seen %s\\n.', 'x')\n  print('plain')"
	asJSON := props{"LoggingConfig": map[string]any{"LogFormat": "JSON"}}
	const at, id = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`, `[0-9a-f-]{36}`
	for name, tt := range map[string]struct {
		props props
		want  []string
	}{
		"node, text":   {inline("nodejs22.x", node, nil), []string{at + `\t` + id + `\tDEBUG\thidden`, at + `\t` + id + `\tINFO\tseen x\r\.`, at + `\t` + id + `\tERROR\tTypeError: broken\r.*`}},
		"python, text": {inline("python3.13", python, nil), []string{`\[ERROR\]\t` + at + `\t` + id + `\tseen x\r\.`, "plain"}},
		"node, JSON": {inline("nodejs22.x", node, asJSON), []string{
			`\{"timestamp":"` + at + `","level":"INFO","requestId":"` + id + `","message":"seen x\\n\."\}`,
			`\{"timestamp":"` + at + `","level":"ERROR","requestId":"` + id + `","message":"TypeError: broken.*","errorType":"TypeError","errorMessage":"broken","stackTrace":\[.*\]\}`,
		}},
		"python, JSON": {inline("python3.13", python, asJSON), []string{
			`\{"timestamp": "` + at + `", "level": "ERROR", "message": "seen x\\n\.", "logger": "app", "requestId": "` + id + `"\}`, "plain",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			if _, err := h.Invoke(t.Context(), h.function(tt.props), []byte(`{}`)); err != nil {
				t.Fatal(err)
			}
			h.Close() // all that was written is passed on
			got := h.logged("ok")
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i, pattern := range tt.want {
				if !regexp.MustCompile("^" + pattern + "$").MatchString(got[i]) {
					t.Errorf("line %d is %q, want %q", i, got[i], pattern)
				}
			}
		})
	}
}

// TestSDKsThatLambdaSupplies checks that the app's own packages stand in for them, wherever the function's code lies, and
// that without them one line says what to install.
func TestSDKsThatLambdaSupplies(t *testing.T) {
	node, err := toolchain.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const required = `const {who} = require("@aws-sdk/client-s3"); exports.handler = async () => who + (await import("@smithy/core")).who;`
	const imported = "import boto3\ndef handler(event, context): return boto3.who"
	tests := map[string]struct {
		props     props
		installed map[string]string
		want      string
	}{
		"node": {inline("nodejs22.x", required, nil), map[string]string{
			"node_modules/@aws-sdk/client-s3/index.js": `exports.who = "app's"`,
			"node_modules/@smithy/core/package.json":   `{"type":"module","exports":"./core.js"}`,
			"node_modules/@smithy/core/core.js":        `export const who = " own"`,
		}, `"app's own"`},
		"node, none": {
			inline("nodejs22.x", required, nil), nil,
			"@aws-sdk/client-s3 comes with Lambda's nodejs22.x runtime; here it must be in the app's node_modules: npm install --save-dev @aws-sdk/client-s3",
		},
		"python": {inline("python3.13", imported, nil), map[string]string{
			".venv/pyvenv.cfg": "", ".venv/lib/python3.11/site-packages/boto3.py": "who = 'app'",
		}, `"app"`},
		"python, none": {
			inline("python3.13", imported, nil), nil,
			"boto3 comes with Lambda's python3.13 runtime; here it must be in a virtual environment of the app: python3 -m venv .venv && .venv/bin/pip install boto3",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			app := t.TempDir()
			for file, content := range tt.installed {
				if err := write(filepath.Join(app, file), []byte(content)); err != nil {
					t.Fatal(err)
				}
			}
			bin := filepath.Join(app, "node_modules", ".bin")
			if err := os.MkdirAll(bin, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(node, filepath.Join(bin, "node")); err != nil {
				t.Fatal(err)
			}
			t.Chdir(app)
			h := newHost(t)
			raw, err := h.Invoke(context.WithoutCancel(t.Context()), h.function(tt.props), []byte(`{}`))
			if got := string(raw); err == nil && got != tt.want {
				t.Errorf("answer is %s, want %s", got, tt.want)
			}
			if err != nil && !strings.HasSuffix(asFunctionError(err).Message, tt.want) {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
			if (err == nil) != (tt.installed != nil) {
				t.Errorf("error is %v", err)
			}
		})
	}
}
