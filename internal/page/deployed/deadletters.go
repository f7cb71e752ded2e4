package deployed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// maxDeadLetters is how many messages of each dead-letter queue are looked at.
const maxDeadLetters = 500

// DeadLetters returns the dead-letter messages, the oldest first.
func (s *Stack) DeadLetters(ctx context.Context) (*page.DeadLetterList, error) {
	stack, err := s.outboxes()
	if err != nil {
		return nil, err
	}
	found, err := operate.ListDeadLetters(ctx, s.clients, stack, operate.DeadLetterFilter{}, maxDeadLetters)
	if err != nil {
		return nil, err
	}
	list := &page.DeadLetterList{Messages: []page.DeadLetter{}}
	for _, q := range found.Queues {
		list.Total += q.Total
	}
	for _, m := range found.Messages {
		list.Messages = append(list.Messages, page.DeadLetter{
			ID: m.MessageID, Queue: m.Queue, Kind: string(m.Kind), Consumer: m.Consumer, EventID: m.EventID, Type: m.Type,
			About: m.Aggregate(), SentAt: m.SentAt, Receives: m.Receives, Reason: m.Reason, Body: m.Body(),
		})
	}
	return list, nil
}

// Redrive sends messages back to where they were not delivered.
func (s *Stack) Redrive(ctx context.Context, ids []string) (*page.Result, error) {
	filter, err := only(ids)
	if err != nil {
		return nil, err
	}
	return s.move(func(stack *operate.Stack, d *operate.Dialog) ([]operate.DeadLetterResult, error) {
		return operate.DeadLetterRedrive{Filter: filter}.Run(ctx, s.clients, stack, d)
	})
}

// Discard deletes messages for good, after it has copied them into a file.
func (s *Stack) Discard(ctx context.Context, ids []string) (*page.Result, error) {
	filter, err := only(ids)
	if err != nil {
		return nil, err
	}
	file := s.saveCopy()
	result, err := s.move(func(stack *operate.Stack, d *operate.Dialog) ([]operate.DeadLetterResult, error) {
		return operate.DeadLetterDiscard{Filter: filter, Save: file}.Run(ctx, s.clients, stack, d)
	})
	if err == nil && result.Done > 0 {
		result.Note = "Copies are in " + file + "."
	}
	return result, err
}

// only returns a filter for the messages with the ids: never all, which a filter without any would be.
func only(ids []string) (operate.DeadLetterFilter, error) {
	if len(ids) == 0 {
		return operate.DeadLetterFilter{}, errors.New("ids must name at least one message, got none")
	}
	return operate.DeadLetterFilter{IDs: ids}, nil
}

// move does the work, which the person at the page has confirmed there.
func (s *Stack) move(work func(*operate.Stack, *operate.Dialog) ([]operate.DeadLetterResult, error)) (*page.Result, error) {
	stack, err := s.outboxes()
	if err != nil {
		return nil, err
	}
	results, err := work(stack, operate.NewDialog(strings.NewReader(""), io.Discard, true, false))
	if err != nil && len(results) == 0 {
		return nil, err
	}
	moved := &page.Result{}
	for _, r := range results {
		moved.Done += r.Done
	}
	if err != nil { // it names what stays, and why
		moved.Kept = strings.Split(err.Error(), "\n")
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("none of the messages is there any more, or others have them for the moment: look again")
	}
	return moved, nil
}
