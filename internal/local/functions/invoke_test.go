package functions

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

func TestInvocationIsAsInLambda(t *testing.T) {
	h := newHost(t)
	arn := h.function(props{"Timeout": 17, "TracingConfig": map[string]any{"Mode": "Active"}})
	if arn != "arn:aws:lambda:eu-west-1:000000000000:function:stack-Probe" {
		t.Errorf("the ARN is %s", arn)
	}
	before := time.Now()
	a := h.ask(arn, order{})
	if a.ARN != arn {
		t.Errorf("the function was told the ARN %s, want %s", a.ARN, arn)
	}
	if late, early := time.Until(a.Deadline), a.Deadline.Sub(before); late > 17*time.Second || early < 16*time.Second {
		t.Errorf("the deadline is %s, want 17 s after the invocation", a.Deadline)
	}
	if !regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1$`).MatchString(a.Trace) {
		t.Errorf("the trace header is %s", a.Trace)
	}
	b := h.ask(arn, order{})
	if b.PID != a.PID || b.Calls != 2 {
		t.Errorf("call %d in process %d, want the second one in %d", b.Calls, b.PID, a.PID)
	}
	if b.ID == a.ID || b.Trace == a.Trace {
		t.Errorf("two invocations share the id %s or the trace %s", a.ID, a.Trace)
	}
}

func TestEnvironmentIsLambdasAndNothingElse(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "x")
	h := newHost(t)
	h.cfg.Cloud.SetEndpoint(cloud.SQS, "http://127.0.0.1:1")
	h.cfg.Cloud.SetEndpoint(cloud.Others, "http://127.0.0.1:2")
	a := h.ask(h.function(props{
		"MemorySize":    "256",
		"Environment":   map[string]any{"Variables": map[string]any{"TABLE": "orders"}},
		"LoggingConfig": map[string]any{"LogFormat": "JSON", "LogGroup": "group", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "WARN"},
	}), order{})
	want := map[string]string{
		"LANG":                                "en_US.UTF-8",
		"PATH":                                "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"LD_LIBRARY_PATH":                     ".*/stack-Probe:.*/stack-Probe/lib:" + regexp.QuoteMeta(a.Dir+":"+a.Dir+"/lib") + ":/opt/lib",
		"LAMBDA_RUNTIME_DIR":                  ".*/stack-Probe",
		"AWS_XRAY_CONTEXT_MISSING":            "LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS":             "127.0.0.1:2000",
		"AWS_CONFIG_FILE":                     os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE":         os.DevNull,
		"AWS_SESSION_TOKEN":                   "local",
		"TABLE":                               "orders",
		"TZ":                                  ":UTC",
		"AWS_LAMBDA_RUNTIME_API":              `127\.0\.0\.1:\d+`,
		"AWS_LAMBDA_FUNCTION_NAME":            "stack-Probe",
		"AWS_LAMBDA_FUNCTION_VERSION":         `\$LATEST`,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE":     "256",
		"AWS_LAMBDA_INITIALIZATION_TYPE":      "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":           "group",
		"AWS_LAMBDA_LOG_STREAM_NAME":          `\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}`,
		"AWS_LAMBDA_LOG_FORMAT":               "JSON",
		"AWS_LAMBDA_LOG_LEVEL":                "DEBUG",
		"LAMBDA_TASK_ROOT":                    regexp.QuoteMeta(a.Dir),
		"_HANDLER":                            "bootstrap",
		"_X_AMZN_TRACE_ID":                    "Root=1-.*;Sampled=0",
		"AWS_REGION":                          "eu-west-1",
		"AWS_DEFAULT_REGION":                  "eu-west-1",
		"AWS_ACCESS_KEY_ID":                   "local",
		"AWS_SECRET_ACCESS_KEY":               "local",
		"AWS_EC2_METADATA_DISABLED":           "true",
		"AWS_ENDPOINT_URL_SQS":                "http://127.0.0.1:1",
		"AWS_ENDPOINT_URL":                    "http://127.0.0.1:2",
		"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
		"AWS_USE_FIPS_ENDPOINT":               "false",
		"AWS_USE_DUALSTACK_ENDPOINT":          "false",
	}
	got := map[string]string{}
	for _, entry := range a.Env {
		name, value, _ := strings.Cut(entry, "=")
		got[name] = value
	}
	for name, pattern := range want {
		if value, ok := got[name]; !ok || !regexp.MustCompile("^(?:"+pattern+")$").MatchString(value) {
			t.Errorf("%s is %q, want %q", name, value, pattern)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("the function also sees %v", got)
	}
}

func TestDefaults(t *testing.T) {
	h := newHost(t)
	a := h.ask(h.function(props{"Timeout": nil}), order{})
	for _, entry := range []string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/stack-Probe"} {
		if !slices.Contains(a.Env, entry) {
			t.Errorf("%s is missing in %q", entry, a.Env)
		}
	}
	if left := time.Until(a.Deadline); left > 3*time.Second {
		t.Errorf("%s are left of the default timeout, want less than 3 s", left)
	}
}

func TestFailuresOfTheFunction(t *testing.T) {
	tests := map[string]struct {
		order   order
		kind    string
		message string
		tail    string // how the log tail ends
		retry   bool   // reported as a failure of the environment
		newPID  bool   // the next invocation needs a new process
	}{
		"returns an error":       {order{Do: "fail", Text: "no such order"}, "errorString", "no such order", "", false, false},
		"panics":                 {order{Do: "panic", Text: "boom"}, "string", "boom", "", false, true},
		"exits":                  {order{Do: "exit", Size: 3, Text: "last words"}, TypeExit, "Runtime exited with error: exit status 3", "last words", true, true},
		"exits without an error": {order{Do: "exit"}, TypeExit, "Runtime exited without providing a reason", "", true, true},
		"answers too much":       {order{Do: "large", Size: MaxResponse + 1}, TypeResponseTooLarge, "Response payload size exceeded maximum allowed payload size (6291556 bytes).", "", false, true},
		"breaks off its stream":  {order{Do: "stream"}, "errorString", "the stream broke", "", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			arn := h.function(nil)
			first := h.ask(arn, order{}).PID
			_, err := h.send(t.Context(), arn, tt.order)
			var failed *FunctionError
			if !errors.As(err, &failed) {
				t.Fatalf("error is %v, want a FunctionError", err)
			}
			if failed.Function != "Probe" || failed.Type != tt.kind || failed.Message != tt.message {
				t.Errorf("error is %q, want type %q and message %q", failed, tt.kind, tt.message)
			}
			if !strings.HasSuffix(failed.LogTail, tt.tail) {
				t.Errorf("the log tail is %q, want it to end with %q", failed.LogTail, tt.tail)
			}
			if got := len(h.logged(hop.Retry)); (got == 1) != tt.retry {
				t.Errorf("%d failures of the environment were reported", got)
			}
			if again := h.ask(arn, order{}).PID; (again != first) != tt.newPID {
				t.Errorf("process %d, then %d", first, again)
			}
		})
	}
}

func TestLargestResponse(t *testing.T) {
	h := newHost(t)
	raw, err := h.send(t.Context(), h.function(nil), order{Do: "large", Size: MaxResponse})
	if err != nil || len(raw) != MaxResponse {
		t.Errorf("%d bytes, %v, want %d", len(raw), err, MaxResponse)
	}
}

func TestAnswerOfAProcessThatEndsAfterwardsCounts(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	for range 3 {
		if raw, err := h.send(t.Context(), arn, order{Do: "die-after"}); err != nil || string(raw) != `"answered"` {
			t.Fatalf("%s, %v", raw, err)
		}
	}
	if retries := h.logged(hop.Retry); len(retries) > 0 {
		t.Errorf("reported as failures: %q", retries)
	}
}

func TestTimeout(t *testing.T) {
	h := newHost(t)
	arn := h.function(props{"Timeout": 1})
	first := h.ask(arn, order{}).PID
	_, err := h.send(t.Context(), arn, order{Do: "hang"})
	var failed *FunctionError
	if !errors.As(err, &failed) || failed.Type != TypeTimeout || failed.Message != "Task timed out after 1.00 seconds" || failed.LogTail != "hanging" {
		t.Errorf("error is %#v", err)
	}
	if retries := h.logged(hop.Retry); len(retries) != 1 || retries[0] != "Sandbox.Timedout: Task timed out after 1.00 seconds" {
		t.Errorf("reported as failures: %q", retries)
	}
	if second := h.ask(arn, order{}).PID; second == first {
		t.Errorf("process %d is used again", second)
	}
}

func TestCancelKills(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	first := h.ask(arn, order{}).PID
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		h.await(1, "hanging")
		cancel()
	}()
	if _, err := h.send(ctx, arn, order{Do: "hang"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	if second := h.ask(arn, order{}).PID; second == first {
		t.Errorf("process %d is used again", second)
	}
}

func TestInitFailures(t *testing.T) {
	tests := map[string]struct {
		init    string
		kind    string
		message string
		tail    string
	}{
		"the process ends":  {"exit", TypeExit, `the process ended during init: Runtime exited with error: exit status 4; its last line is "TABLE is not set"`, "first line\nTABLE is not set"},
		"it takes too long": {"hang", TypeTimeout, `init timed out after 0.5 seconds; its last line is "still loading"`, "still loading"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			arn := h.function(props{"Environment": map[string]any{"Variables": map[string]any{"INIT": tt.init}}})
			h.functions[arn].initTimeout = 500 * time.Millisecond
			_, err := h.send(t.Context(), arn, order{})
			var failed *FunctionError
			if !errors.As(err, &failed) || failed.Type != tt.kind || failed.Message != tt.message || failed.LogTail != tt.tail {
				t.Errorf("error is %#v", err)
			}
		})
	}
}

func TestInitIsTriedAgain(t *testing.T) {
	h := newHost(t)
	arn := h.function(props{"Environment": map[string]any{"Variables": map[string]any{"INIT": "once", "MARK": filepath.Join(t.TempDir(), "mark")}}})
	var failed *FunctionError
	if _, err := h.send(t.Context(), arn, order{}); !errors.As(err, &failed) {
		t.Fatalf("error is %v, want a FunctionError", err)
	}
	h.ask(arn, order{})
}

func TestLogLinesArriveWhole(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	long := strings.Repeat("é", 100<<10)
	h.ask(arn, order{Do: "print", Text: "one\r\n\ntwo\n" + long + "\n"})
	_, err := h.send(t.Context(), arn, order{Do: "exit", Text: "unfinished"})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{"one", "two", long, "unfinished"}
	if got := h.logged(hop.OK); !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d: %.200q", len(got), len(want), got)
	}
	for _, one := range h.hops {
		if one.Stage != hop.Function && one.Stage != hop.Platform || one.Resource != "Probe" {
			t.Errorf("a line is reported by %s %s", one.Stage, one.Resource)
		}
	}
}

func TestErrorsOfTheHost(t *testing.T) {
	h := newHost(t)
	if _, err := h.Invoke(t.Context(), "arn:x", nil); !errors.Is(err, ErrNotFound) || !strings.HasSuffix(err.Error(), "arn:x; there are none") {
		t.Errorf("error is %v", err)
	}
	arn := h.function(props{"ReservedConcurrentExecutions": 0})
	if _, err := h.Invoke(t.Context(), "arn:x", nil); !errors.Is(err, ErrNotFound) || !strings.HasSuffix(err.Error(), "arn:x; there are "+arn) {
		t.Errorf("error is %v", err)
	}
	if _, err := h.Invoke(t.Context(), arn, make([]byte, MaxRequest+1)); !errors.Is(err, ErrRequestTooLarge) {
		t.Errorf("error is %v, want ErrRequestTooLarge", err)
	}
	if _, err := h.send(t.Context(), arn, order{}); !errors.Is(err, ErrThrottled) {
		t.Errorf("error is %v, want ErrThrottled", err)
	}
	if retries := h.logged(hop.Retry); len(retries) > 0 {
		t.Errorf("reported as failures: %q", retries)
	}
}

func TestCloseEndsAHungFunction(t *testing.T) {
	h := newHost(t)
	arn := h.function(nil)
	result := make(chan error, 1)
	go func() {
		_, err := h.send(t.Context(), arn, order{Do: "hang"})
		result <- err
	}()
	h.await(1, "hanging")
	began := time.Now()
	h.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("Close took %s", took)
	}
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("error is %v, want ErrClosed", err)
	}
	if _, err := h.send(t.Context(), arn, order{}); !errors.Is(err, ErrClosed) {
		t.Errorf("error after Close is %v, want ErrClosed", err)
	}
}

// hold is a host that has a function hold a named pipe open until it is killed.
func hold(app, fifo string) {
	s := New(Config{Cloud: cloud.New("eu-west-1"), Dir: filepath.Dir(fifo), Sink: func(hop.Hop) {}})
	attributes, err := s.Provisions()["AWS::Lambda::Function"](context.Background(), template.Resource{
		LogicalID: "Holder", PhysicalName: "holder", Dir: app, Root: app,
		Properties: map[string]any{"Runtime": "provided.al2023", "Timeout": 900, "Code": map[string]any{"S3Key": "probe.zip"}},
	})
	if err != nil {
		panic(err)
	}
	_, err = s.Invoke(context.Background(), attributes.GetAtt["Arn"], []byte(`{"Do":"hold","Text":"`+fifo+`"}`))
	panic(err)
}

func TestFunctionsEndWhenWeAreKilled(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	holder := exec.Command(os.Args[0], fifo)
	holder.Env = append(os.Environ(), holderApp+"="+assembly)
	holder.Stderr = os.Stderr
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(fifo, os.O_RDWR, 0) // RDWR does not wait for the other side
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if err := pipe.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(pipe).ReadString('\n'); err != nil || line != "holding\n" {
		t.Fatalf("read %q, %v", line, err)
	}
	read, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	pipe.Close() // now the function alone can write
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	if err := read.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, read); err != nil {
		t.Errorf("the function is still running: %v", err)
	}
}
