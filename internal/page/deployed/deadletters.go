package deployed

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

// maxDeadLetters is how many messages of each dead-letter queue are looked at.
const maxDeadLetters = 500

// DeadLetters returns the dead-letter messages, the oldest first.
func (s *Stacks) DeadLetters(ctx context.Context) (*page.DeadLetterList, error) {
	stacks, err := s.outboxes()
	if err != nil {
		return nil, err
	}
	if err := s.looking.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.looking.Release(1)
	list := &page.DeadLetterList{Messages: []page.DeadLetter{}}
	for _, stack := range stacks {
		found, err := operate.ListDeadLetters(ctx, s.clients, stack, operate.DeadLetterFilter{}, maxDeadLetters)
		if err != nil {
			return nil, err
		}
		for _, q := range found.Queues {
			list.Total += q.Total
		}
		for _, m := range found.Messages {
			list.Messages = append(list.Messages, page.DeadLetter{
				ID: m.MessageID, Queue: m.Queue, Kind: string(m.Kind), Consumer: m.Consumer, EventID: m.EventID, Type: m.Type,
				About: m.Aggregate(), SentAt: m.SentAt, Reason: m.Reason, Body: m.Body(),
			})
		}
	}
	slices.SortStableFunc(list.Messages, func(a, b page.DeadLetter) int { return a.SentAt.Compare(b.SentAt) })
	return list, nil
}

// Redrive sends messages back to where they were not delivered.
func (s *Stacks) Redrive(ctx context.Context, ids []string) (*page.Result, error) {
	filter, err := only(ids)
	if err != nil {
		return nil, err
	}
	return s.move(ctx, func(stack *operate.Stack, d *operate.Dialog) ([]operate.DeadLetterResult, error) {
		return operate.DeadLetterRedrive{Filter: filter}.Run(ctx, s.clients, stack, d)
	})
}

// Discard deletes messages for good, after it has copied them into a file.
func (s *Stacks) Discard(ctx context.Context, ids []string) (*page.Result, error) {
	filter, err := only(ids)
	if err != nil {
		return nil, err
	}
	file := s.save()
	result, err := s.move(ctx, func(stack *operate.Stack, d *operate.Dialog) ([]operate.DeadLetterResult, error) {
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

// move does the work in each stack. The person at the page has confirmed it there.
func (s *Stacks) move(ctx context.Context, work func(*operate.Stack, *operate.Dialog) ([]operate.DeadLetterResult, error)) (*page.Result, error) {
	stacks, err := s.outboxes()
	if err != nil {
		return nil, err
	}
	if err := s.looking.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.looking.Release(1)
	var results []operate.DeadLetterResult
	var problems []error
	for _, stack := range stacks {
		some, err := work(stack, operate.NewDialog(strings.NewReader(""), io.Discard, true, false))
		results, problems = append(results, some...), append(problems, err)
	}
	err = errors.Join(problems...)
	switch {
	case len(results) == 0 && err != nil:
		return nil, err
	case len(results) == 0:
		return nil, errors.New("none of the messages is there any more, or others have them for the moment: look again")
	}
	moved := &page.Result{}
	for _, r := range results {
		moved.Done += r.Done
	}
	if err != nil { // it names what stays, and why
		moved.Kept = strings.Split(err.Error(), "\n")
	}
	return moved, nil
}
