package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/localrun"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A story runs the steps of the demo, which are about one order.
type story struct {
	run      *localrun.Run
	say      func(string)
	customer string
	order    string // its id
	calls    int    // requests to the API so far
}

const order = `{"customerId":"c-42","currency":"EUR","items":[{"sku":"tea-green-100","quantity":2,"unitPrice":1290}],"note":"ring twice"}`

func (s *story) tell(ctx context.Context) error {
	for i, chapter := range []struct {
		title string
		tell  func(context.Context) error
	}{
		{"A customer orders: the order and its event OrderCreated are written in one transaction, without a function.", s.create},
		{"The client did not get the response and sends the same again: the same order, and no second event.", s.repeat},
		{"The consumers have handled the event: the order has a shipment, and its history begins.", s.awaitConsumers},
		{"The order is confirmed: its new status and the event OrderUpdated are written in one transaction.", s.confirm},
		{"Somebody who has seen only version 1 wants to cancel it. The API refuses: the order has changed since.", s.changeOutdated},
		{"The history has the change too, in the order of the versions.", s.awaitHistory},
		{"OrderCreated is delivered to publisher one a second time, as can happen at any time: no second effect.", s.duplicate},
		{"What is in the tables now:", s.count},
	} {
		s.say(fmt.Sprintf("\n%d. %s\n", i+1, chapter.title))
		if err := chapter.tell(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) create(ctx context.Context) error {
	key := fmt.Sprintf("demo-%d", time.Now().UnixMilli())
	a, err := s.call(ctx, http.MethodPost, "orders", order, http.StatusCreated, "Idempotency-Key", key)
	s.order = a.ID
	return err
}

func (s *story) repeat(ctx context.Context) error {
	a, err := s.call(ctx, http.MethodPost, "orders", order, http.StatusOK, "Idempotency-Key", s.order)
	if err == nil && a.ID != s.order {
		return fmt.Errorf("the second POST made the order %s, expected %s again", a.ID, s.order)
	}
	return err
}

func (s *story) awaitConsumers(ctx context.Context) error {
	return s.until(ctx, "the shipment and version 1 of the history", func(a answer) bool { return a.Shipment != nil && len(a.History) == 1 })
}

func (s *story) confirm(ctx context.Context) error {
	_, err := s.call(ctx, http.MethodPatch, "orders/"+s.order, `{"status":"CONFIRMED"}`, http.StatusOK, "If-Match", `"1"`)
	return err
}

func (s *story) changeOutdated(ctx context.Context) error {
	_, err := s.call(ctx, http.MethodPatch, "orders/"+s.order, `{"status":"CANCELLED"}`, http.StatusPreconditionFailed, "If-Match", `"1"`)
	return err
}

func (s *story) awaitHistory(ctx context.Context) error {
	return s.until(ctx, "version 2 of the history", func(a answer) bool { return len(a.History) == 2 })
}

// duplicate sends the message of the order's first event to publisher one's queue again, and waits until its inbox has
// logged a duplicate.
func (s *story) duplicate(ctx context.Context) error {
	items, err := s.items(ctx, "OutboxTableName", record.AttrPK, "Order#"+s.order)
	if err != nil {
		return err
	}
	for _, item := range items {
		if text(item[record.AttrType]) != "OrderCreated" {
			continue
		}
		envelope, err := record.Encode(item)
		if err != nil {
			return err
		}
		message, err := json.Marshal(envelope)
		if err != nil {
			return err
		}
		queue := s.run.Summary.Outputs["PublisherOneQueueUrl"]
		s.say("   SendMessage to " + queue)
		if _, err := s.run.Cloud().SQS().SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(queue), MessageBody: aws.String(string(message))}); err != nil {
			return fmt.Errorf("send the message again: %w", err)
		}
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := s.run.Wait(waiting, 1, s.isDuplicateLine); err != nil {
		return fmt.Errorf("publisher one did not recognize the duplicate within %s: %w", timeout, err)
	}
	_, err = s.run.Wait(waiting, 2, s.isDelivery) // the first time, and now
	return err
}

// isDuplicateLine reports whether the hop is the log line of an inbox about the duplicate.
func (s *story) isDuplicateLine(h hop.Hop) bool {
	return h.Stage == hop.Function && strings.Contains(h.Detail, `"msg":"duplicate"`) && strings.Contains(h.Detail, s.order)
}

// isDelivery reports whether the hop is a delivery of OrderCreated to publisher one.
func (s *story) isDelivery(h hop.Hop) bool {
	return h.Stage == hop.Queue && strings.Contains(s.run.Name(h.Resource), "PublisherOne") && slices.Contains(h.EventIDs, s.order+"-1")
}

// until requests the order until holds returns true, and prints the last request and response.
func (s *story) until(ctx context.Context, what string, holds func(answer) bool) error {
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		status, raw, err := s.send(waiting, http.MethodGet, "orders/"+s.order, "")
		if err != nil {
			return fmt.Errorf("%s did not appear within %s: %w", what, timeout, err)
		}
		var a answer
		if status == http.StatusOK && json.Unmarshal(raw, &a) == nil && holds(a) {
			s.request(http.MethodGet, "orders/"+s.order, "")
			s.answer(status, raw)
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-waiting.Done():
			return fmt.Errorf("%s did not appear within %s; GET returns %d %s", what, timeout, status, raw)
		}
	}
}

// An answer holds the fields of the API's responses that the demo uses.
type answer struct {
	ID       string            `json:"id"`
	Shipment json.RawMessage   `json:"shipment"`
	History  []json.RawMessage `json:"history"`
}

// call sends one request and prints it with its response. It returns an error when the status is not want.
func (s *story) call(ctx context.Context, method, path, body string, want int, header ...string) (a answer, err error) {
	s.request(method, path, body, header...)
	status, raw, err := s.send(ctx, method, path, body, header...)
	if err != nil {
		return answer{}, err
	}
	s.answer(status, raw)
	if status != want {
		return answer{}, fmt.Errorf("%s /%s returned %d, expected %d", method, path, status, want)
	}
	return a, json.Unmarshal(raw, &a)
}

func (s *story) request(method, path, body string, header ...string) {
	text := fmt.Sprintf("   %s /%s", method, path)
	for i := 0; i < len(header); i += 2 {
		text += fmt.Sprintf("   %s: %s", header[i], header[i+1])
	}
	if body != "" {
		text += "\n   " + body
	}
	s.say(text)
}

func (s *story) answer(status int, raw []byte) {
	s.say(fmt.Sprintf("   → %d %s", status, strings.TrimSpace(string(raw))))
}

// send sends one request to the REST API and waits until its hop is printed. Headers are pairs of name and value.
func (s *story) send(ctx context.Context, method, path, body string, header ...string) (status int, raw []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.run.Summary.API, "/")+"/"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if raw, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil, err
	}
	s.calls++
	_, err = s.run.Wait(ctx, s.calls, func(h hop.Hop) bool { return h.Stage == hop.API })
	return resp.StatusCode, raw, err
}
