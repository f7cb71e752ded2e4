package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	smithytime "github.com/aws/smithy-go/time"

	"github.com/outboxkit/transactional-outbox/internal/chaos/history"
)

const (
	// tryFor is how long a client waits for an answer.
	tryFor = 10 * time.Second
	// The pause between two tries doubles between these.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// client sends requests to whatever run is up, and notes what it was told.
type client struct {
	cluster *cluster
	log     *history.Log
	http    *http.Client
}

func newClient(c *cluster, log *history.Log) *client {
	return &client{cluster: c, log: log, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

// request is one request for an operation.
type request struct {
	operation    string
	write        history.Write
	method, path string
	header       map[string]string
	body         any
	// disconnect is when the client goes away without waiting for the answer; 0: it does not.
	disconnect time.Duration
}

// answer is what came back.
type answer struct {
	step   history.Step
	status int
	body   []byte
}

// send makes one request of an operation and notes how it began and ended.
func (c *client) send(ctx context.Context, r request) answer {
	call := history.Call{Operation: r.operation, Write: r.write, Step: history.Invoke}
	if r.disconnect > 0 {
		call.Detail = fmt.Sprintf("goes away after %s", r.disconnect)
	}
	c.log.Call(call)
	got, err := c.exchange(ctx, r)
	call.Step, call.Status, call.Detail = stepOf(got.status), got.status, ""
	if err != nil {
		call.Step, call.Detail = history.Unknown, err.Error()
	}
	c.log.Call(call)
	got.step = call.Step
	return got
}

// stepOf returns what a status means for the write. A 5xx leaves it open: only some of them are certain to have
// written nothing, and a client need not know which.
func stepOf(status int) history.Step {
	switch {
	case status >= 200 && status < 300:
		return history.OK
	case status >= 400 && status < 500:
		return history.Fail
	}
	return history.Unknown
}

func (c *client) exchange(ctx context.Context, r request) (answer, error) {
	run, err := c.cluster.current(ctx)
	if err != nil {
		return answer{}, err
	}
	limit := tryFor
	if r.disconnect > 0 {
		limit = r.disconnect
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var body io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, strings.TrimSuffix(run.Summary.API, "/")+r.path, body)
	if err != nil {
		return answer{}, err
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, body: raw}, err
}

// pause waits before try n, counted from 1, unless ctx is done.
func pause(ctx context.Context, n int) error {
	return smithytime.SleepWithContext(ctx, min(lastPause, firstPause<<min(n, 10)))
}
