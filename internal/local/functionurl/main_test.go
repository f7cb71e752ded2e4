package functionurl

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A function keeps its last event and answers what the test gives it.
type function struct {
	event  map[string]any
	arn    string
	answer string
	err    error
}

func (f *function) invoke(_ context.Context, arn string, payload []byte) ([]byte, error) {
	f.arn, f.event = arn, nil
	if err := json.Unmarshal(payload, &f.event); err != nil {
		return nil, err
	}
	return []byte(f.answer), f.err
}

// config returns one of a stack with the function greet and its alias live.
func config() Config {
	const greet = "arn:aws:lambda:eu-central-1:000000000000:function:greet"
	return Config{Cloud: cloud.New("eu-central-1"), Exists: func(arn string) bool { return arn == greet || arn == greet+":live" || arn == greet+":1" }}
}

// A site is a service with one URL that runs.
type site struct {
	t    *testing.T
	url  string
	hops chan hop.Hop
}

// start runs a service with a URL of the given properties beside AuthType and TargetFunctionArn.
func start(t *testing.T, f *function, properties map[string]any, configure ...func(*Config)) *site {
	t.Helper()
	s := &site{t: t, hops: make(chan hop.Hop, 64)}
	config := config()
	config.Invoke, config.Sink = f.invoke, func(h hop.Hop) { s.hops <- h }
	for _, change := range configure {
		change(&config)
	}
	service := New(config)
	t.Cleanup(service.Close)
	made, err := service.provision(t.Context(), resource("Url", properties))
	if err != nil {
		t.Fatal(err)
	}
	s.url = made.GetAtt["FunctionUrl"]
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}))
	return s
}

// resource returns a URL with the given properties in place of its own.
func resource(id string, properties map[string]any) template.Resource {
	all := map[string]any{"AuthType": "NONE", "TargetFunctionArn": "greet"}
	for name, value := range properties {
		all[name] = value
	}
	return template.Resource{LogicalID: id, Type: "AWS::Lambda::Url", PhysicalName: "url-id", Properties: all}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request. Headers are name, value, name, value.
func (s *site) do(method, path, body string, header ...string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, strings.TrimSuffix(s.url, "/")+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body == "" {
		r.Body = http.NoBody
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(got)}
}

// at follows keys into a decoded event.
func at(value any, path ...string) any {
	for _, step := range path {
		fields, _ := value.(map[string]any)
		value = fields[step]
	}
	return value
}
