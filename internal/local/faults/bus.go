package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/eventbus"
)

// Bus returns a handler that injects the faults of PutEvents in front of next, the endpoint of EventBridge.
func (i *Injector) Bus(next http.Handler) http.Handler { return &bus{Injector: i, next: next} }

type bus struct {
	*Injector
	next http.Handler
}

type entry struct{ Detail string }

func (b *bus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents" || b.isIdle() {
		b.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	var request struct{ Entries []json.RawMessage }
	_ = json.Unmarshal(body, &request) // the bus reports what is wrong with it
	subjects := make([]subject, len(request.Entries))
	for n, raw := range request.Entries {
		var e entry
		_ = json.Unmarshal(raw, &e)
		subjects[n] = b.names.inDetail([]byte(e.Detail))
	}
	kept, refused := b.refuse(request.Entries, subjects)
	if len(refused) > 0 {
		body, _ = json.Marshal(map[string]any{"Entries": kept})
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	accepted := newRecordedResponse()
	if len(kept) > 0 || len(refused) == 0 {
		accepted = runToEnd(b.next, r)
	}
	// Every entry is checked, so that the decision on one does not depend on the others in the request.
	if b.anyFires(BusTimeoutAfter, subjects) {
		b.dropConnection(r.Context())
	}
	if len(refused) > 0 && accepted.status == http.StatusOK {
		accepted = b.merge(accepted, refused, len(subjects))
	}
	accepted.passOn(w)
}

// refuse returns the entries that do not fail, and the answers for the others by their index.
func (b *bus) refuse(entries []json.RawMessage, subjects []subject) (kept []json.RawMessage, refused map[int]json.RawMessage) {
	refused = map[int]json.RawMessage{}
	for n, s := range subjects {
		if !b.fires(BusPartial, s) {
			kept = append(kept, entries[n])
			continue
		}
		// Source: EventBridge API reference, PutEventsResultEntry, "Retryable errors".
		code := []string{"InternalFailure", "ThrottlingException"}[b.pick(BusPartial, s, 2)]
		refused[n] = json.RawMessage(fmt.Sprintf(`{"ErrorCode":%q,"ErrorMessage":"The entry was not accepted, try again."}`, code))
	}
	return kept, refused
}

// merge adds the refusals to the bus's own response, each at its index.
func (b *bus) merge(accepted *recordedResponse, refused map[int]json.RawMessage, entries int) *recordedResponse {
	var response struct {
		FailedEntryCount int
		Entries          []json.RawMessage
	}
	_ = json.Unmarshal(accepted.body.Bytes(), &response) // empty when every entry was refused
	rest := response.Entries
	response.Entries, response.FailedEntryCount = nil, response.FailedEntryCount+len(refused)
	for n := range entries {
		if refusal, ok := refused[n]; ok {
			response.Entries = append(response.Entries, refusal)
			continue
		}
		response.Entries, rest = append(response.Entries, rest[0]), rest[1:]
	}
	accepted.header.Set("Content-Type", "application/x-amz-json-1.1")
	accepted.body.Reset()
	_ = json.NewEncoder(&accepted.body).Encode(response)
	return accepted
}

var errDenied = errors.New("injected: the target refuses everything for a while")

// Targets returns a function that injects the faults of a rule's targets into each attempt to deliver an event.
func (i *Injector) Targets() eventbus.Around {
	t := &targets{Injector: i, denied: map[string]time.Time{}}
	return t.attempt
}

type targets struct {
	*Injector

	mu     sync.Mutex
	denied map[string]time.Time // when the target of a rule accepts events again
}

func (t *targets) attempt(ctx context.Context, a eventbus.Attempt, deliver func(context.Context) error) error {
	if t.isIdle() {
		return deliver(ctx)
	}
	s := t.names.inBody(string(a.Event)).at(resourceName(a.QueueARN))
	if t.fires(BusNoPermission, s) {
		return fmt.Errorf("%w: injected", eventbus.ErrNoPermission)
	}
	if t.denies(a.RuleARN+" "+a.QueueARN, t.fires(BusDenyTarget, s)) {
		return errDenied
	}
	duplicate := t.fires(BusDuplicate, s)
	err := deliver(ctx)
	if err == nil && duplicate {
		return deliver(ctx)
	}
	return err
}

// denies reports whether the target refuses everything now. When begin is set it starts such a period.
func (t *targets) denies(target string, begin bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if begin {
		t.denied[target] = time.Now().Add(stopFor)
	}
	return !t.isIdle() && time.Now().Before(t.denied[target])
}
