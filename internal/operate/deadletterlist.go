package operate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
	"github.com/outboxkit/transactional-outbox/runtime/redrive"
)

// A DeadLetterList is what was found in the dead-letter queues of a stack.
type DeadLetterList struct {
	Queues   []LookedQueue        `json:"queues"`
	Messages []*DeadLetterMessage `json:"messages"`

	now time.Time
}

// ListDeadLetters looks at up to limit messages of each dead-letter queue of the stack, and returns those that the filter
// matches, the oldest first.
func ListDeadLetters(ctx context.Context, c Clients, s *Stack, filter DeadLetterFilter, limit int) (*DeadLetterList, error) {
	filter, err := filter.resolve(s)
	if err != nil {
		return nil, err
	}
	list := &DeadLetterList{Queues: []LookedQueue{}, Messages: []*DeadLetterMessage{}, now: time.Now()}
	var mu sync.Mutex
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(looksAtOnce)
	for _, q := range s.DeadLetterQueues() {
		if filter.passesBy(q) {
			continue
		}
		all.Go(func() error {
			var found []*DeadLetterMessage
			looked, err := look(ctx, c.SQS, q, limit, func(m *DeadLetterMessage) {
				if q.concerns(q.consumerOf(m.message)) && filter.matches(m, list.now) {
					found = append(found, m)
				}
			})
			looked.Matched = len(found)
			mu.Lock()
			defer mu.Unlock()
			list.Queues = append(list.Queues, looked)
			list.Messages = append(list.Messages, found...)
			return err
		})
	}
	err = all.Wait()
	slices.SortFunc(list.Queues, func(a, b LookedQueue) int { return cmp.Compare(a.Label, b.Label) })
	slices.SortFunc(list.Messages, func(a, b *DeadLetterMessage) int {
		return cmp.Or(a.SentAt.Compare(b.SentAt), cmp.Compare(a.Aggregate(), b.Aggregate()), cmp.Compare(a.Version, b.Version), cmp.Compare(a.MessageID, b.MessageID))
	})
	return list, err
}

// maxReasonShown is how much of a reason a list shows; show has all of it.
const maxReasonShown = 100

// Print prints the messages as a table, and which queues hold more than was looked at.
func (l *DeadLetterList) Print(out io.Writer) {
	rows := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if len(l.Messages) > 0 {
		fmt.Fprintln(rows, "QUEUE\tTYPE\tAGGREGATE\tVERSION\tAGE\tRECEIVES\tID\tREASON")
	}
	for _, m := range l.Messages {
		version := ""
		if m.Version > 0 {
			version = fmt.Sprint(m.Version)
		}
		words := []string{
			m.whose(), cmp.Or(m.Type, "-"), cmp.Or(m.Aggregate(), "-"), cmp.Or(version, "-"),
			roundedAge(l.now.Sub(m.SentAt)), fmt.Sprint(m.Receives), cmp.Or(m.EventID, m.MessageID), shortened(m.Reason, maxReasonShown),
		}
		for i := range words {
			words[i] = terminal.Visible(words[i])
		}
		fmt.Fprintln(rows, strings.Join(words, "\t"))
	}
	_ = rows.Flush() // text for a person
	total, looked := 0, 0
	for _, q := range l.Queues {
		total, looked = total+q.Total, looked+q.Looked
		if q.Looked < q.Total {
			fmt.Fprintf(out, "%s: looked at %d of about %d messages; others may have the rest, or raise --limit\n", terminal.Visible(q.Label), q.Looked, q.Total)
		}
	}
	fmt.Fprintf(out, "%d shown, of %d looked at in %d dead-letter queues\n", len(l.Messages), looked, len(l.Queues))
}

// Advise prints what to type next about the messages of a list, in the words of the command line.
func (l *DeadLetterList) Advise(out io.Writer, command CommandLine, filter DeadLetterFilter) {
	if len(l.Messages) == 0 {
		return
	}
	first := l.Messages[0]
	fmt.Fprintf(out, "→ all of one of them: %s\n", terminal.Visible(command.For("dead-letters show", cmp.Or(first.EventID, first.MessageID))))
	var of []string
	if filter.Consumer != "" {
		of = []string{"--consumer", filter.Consumer}
	}
	fmt.Fprintf(out, "→ once the reason is fixed: %s\n", terminal.Visible(command.For("dead-letters redrive", append(of, "--dry-run")...)))
}

// whose returns the consumer of a message, and the kind of its queue where that is not the consumer's.
func (m *DeadLetterMessage) whose() string {
	switch m.Kind {
	case OfPipe, OfAuditor:
		return string(m.Kind)
	case OfRule:
		return strings.TrimSuffix("rule: "+m.Consumer, ": ")
	default:
		return cmp.Or(m.Consumer, "of another queue")
	}
}

// roundedAge returns an age for a person to read.
func roundedAge(age time.Duration) string {
	switch {
	case age < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(age/time.Second)))
	case age < time.Hour:
		return fmt.Sprintf("%dm", age/time.Minute)
	case age < 48*time.Hour:
		return fmt.Sprintf("%dh", age/time.Hour)
	}
	return fmt.Sprintf("%dd", age/(24*time.Hour))
}

// shortened returns at most n characters of a text.
func shortened(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return text
}

// A ShownDeadLetter is everything that is known of one dead-letter message.
type ShownDeadLetter struct {
	*DeadLetterMessage
	URL        string            `json:"url"`
	Attributes map[string]string `json:"attributes"` // those of SQS, and the message's own
	Body       json.RawMessage   `json:"body"`       // a string where it is no JSON
	// Events are those that a pipe's or an auditor's message stands for, as far as they can be read; NoEvents is why they cannot.
	Events   []PipeEvent `json:"events,omitempty"`
	NoEvents string      `json:"noEvents,omitempty"`
}

// A PipeEvent is one event of those that a pipe or the auditor gave up.
type PipeEvent struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Aggregate string `json:"aggregate"`
	Version   int64  `json:"version"`
}

// ShowDeadLetters returns all dead-letter messages of the stack with the id, of the message or of its event: one event may
// be in the queues of several consumers. It returns an error when there is none.
func ShowDeadLetters(ctx context.Context, c Clients, s *Stack, id string, limit int) ([]*ShownDeadLetter, error) {
	list, err := ListDeadLetters(ctx, c, s, DeadLetterFilter{ID: id}, limit)
	if err != nil {
		return nil, err
	}
	if len(list.Messages) == 0 {
		return nil, list.notFound(id)
	}
	urls, pipes := map[string]string{}, map[string]*Outbox{}
	for _, q := range s.DeadLetterQueues() {
		urls[queueName(q.URL)] = q.URL
		pipes[queueName(q.URL)] = q.Outbox
	}
	var all []*ShownDeadLetter
	for _, m := range list.Messages {
		shown := &ShownDeadLetter{DeadLetterMessage: m, URL: urls[m.Queue], Attributes: maps.Clone(m.message.Attributes)}
		for name, value := range m.message.MessageAttributes {
			shown.Attributes[name] = cmp.Or(aws.ToString(value.StringValue), fmt.Sprintf("%d bytes", len(value.BinaryValue)))
		}
		shown.Body = m.Body()
		if box := pipes[m.Queue]; !m.Kind.holdsEvents() && box != nil {
			shown.readEvents(ctx, c, box)
		}
		all = append(all, shown)
	}
	return all, nil
}

func (l *DeadLetterList) notFound(id string) error {
	for _, q := range l.Queues {
		if q.Looked < q.Total {
			return fmt.Errorf("no message with id %q among those looked at; %s has about %d and %d were looked at: others may have the rest, or raise --limit", id, q.Label, q.Total, q.Looked)
		}
	}
	return fmt.Errorf("no dead-letter queue of the stack has a message or an event with id %q", id)
}

// readEvents reads the events that a pipe's or an auditor's message stands for.
func (d *ShownDeadLetter) readEvents(ctx context.Context, c Clients, box *Outbox) {
	items, err := newRedriver(c).Events(ctx, aws.ToString(d.message.Body), redrive.PipeTarget{OutboxTable: box.Table, Source: box.Source})
	if err != nil {
		d.NoEvents = err.Error()
	}
	for _, it := range items {
		d.Events = append(d.Events, PipeEvent{textOf(it, "id"), textOf(it, "type"), textOf(it, "pk"), numberOf(it, "version")})
	}
}

func newRedriver(c Clients) *redrive.Redriver {
	return redrive.New(redrive.Clients{SQS: c.SQS, EventBridge: c.EventBridge, Streams: c.Streams, DynamoDB: c.DynamoDB})
}

// Print prints the message for a person.
func (d *ShownDeadLetter) Print(out io.Writer) {
	out = terminal.Writer(out)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-12s %s\n", name, terminal.Visible(value))
		}
	}
	line("queue", d.whose()+"  "+d.URL)
	line("message", d.MessageID)
	line("event", d.EventID)
	line("type", d.Type)
	line("aggregate", d.Aggregate())
	if d.Version > 0 {
		line("version", fmt.Sprint(d.Version))
	}
	line("sent", d.SentAt.Format(time.RFC3339)+", "+roundedAge(time.Since(d.SentAt))+" ago")
	line("reason", d.Reason)
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		line("  "+name, d.Attributes[name])
	}
	for _, event := range d.Events {
		line("stands for", fmt.Sprintf("%s %s, version %d of %s", event.Type, event.ID, event.Version, event.Aggregate))
	}
	line("stands for", d.NoEvents)
	var pretty bytes.Buffer
	if json.Indent(&pretty, d.Body, "", "  ") == nil {
		fmt.Fprintf(out, "%s\n", pretty.String())
	}
	if data := dataOf(d.Body); data != nil {
		fmt.Fprintf(out, "data of the event:\n%s\n", data)
	}
}

// dataOf returns the event's own JSON, pretty-printed, where the envelope carries it as a text: there its quotes are escaped.
func dataOf(body []byte) []byte {
	var envelope struct {
		Detail struct {
			Data struct{ S string } `json:"data"`
		} `json:"detail"`
	}
	var pretty bytes.Buffer
	if json.Unmarshal(body, &envelope) != nil || envelope.Detail.Data.S == "" || json.Indent(&pretty, []byte(envelope.Detail.Data.S), "", "  ") != nil {
		return nil
	}
	return pretty.Bytes()
}
