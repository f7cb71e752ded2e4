package operate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/terminal"
	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// InboxTable is what copying a consumer's memory needs of DynamoDB. A *dynamodb.Client fits.
type InboxTable interface {
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
}

// kind is a kind of item in the inbox, by the beginning of its key.
type kind string

// The kinds that make a consumer's memory: marker of an event, position in an aggregate, when it joined, and what it went on
// without in an aggregate. What else it may have in the table holds for a day or less.
const (
	marker   kind = "event"
	position kind = "position"
	join     kind = "join"
	start    kind = "start"
)

type item = map[string]types.AttributeValue

// An InboxCopy is what carries a consumer's memory over to its new name.
type InboxCopy struct {
	Table    string // name or ARN of the inbox table
	From, To string // the consumer's names, as in INBOX_CONSUMER
	DryRun   bool   // only show what would be copied
	Yes      bool   // do not ask before writing
}

// Validate reports what is wrong with the names, all of it.
func (c InboxCopy) Validate() error {
	var problems []error
	for _, flag := range []struct{ name, value string }{{"--from", c.From}, {"--to", c.To}} {
		if flag.value != "" && !record.IsConsumerName(flag.value) {
			problems = append(problems, fmt.Errorf("%s must be "+record.ConsumerNames+", got %q", flag.name, flag.value))
		}
	}
	if c.From != "" && c.From == c.To {
		problems = append(problems, fmt.Errorf("--from and --to must differ, got %q for both", c.From))
	}
	return errors.Join(problems...)
}

// errNotConfirmed reports that nothing was copied.
var errNotConfirmed = errors.New("nothing was copied: answer y, or give --yes")

// Run copies what makes a consumer's memory. It shows on out what it will do and asks on in before it writes. It never
// makes the memory under the new name worse: no marker expires earlier than before, no position moves backwards. So it may
// be interrupted and repeated. It returns an error when the table has nothing of the consumer, whose name may be mistyped.
func (c InboxCopy) Run(ctx context.Context, db InboxTable, in io.Reader, out io.Writer) error {
	out = terminal.Writer(out)
	plan, err := planInboxCopy(ctx, db, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d markers, %d positions and %d notes about joining of %s to copy to %s; %d are there already, %d leases of unfinished events stay\n",
		plan.markers, plan.positions, plan.joins, c.From, c.To, plan.there, plan.leases)
	if c.DryRun || len(plan.puts) == 0 {
		return nil
	}
	if !c.Yes && !confirmed(in, out) {
		return errNotConfirmed
	}
	written, err := plan.apply(ctx, db)
	fmt.Fprintf(out, "%d copied\n", written)
	return err
}

// confirmed asks, and reports whether the answer is yes.
func confirmed(in io.Reader, out io.Writer) bool {
	fmt.Fprint(out, "Copy them? [y/N] ")
	answer, _ := bufio.NewReader(in).ReadString('\n') // no answer is no
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}

// inboxPlan is what is to be copied.
type inboxPlan struct {
	markers, positions, joins int
	there                     int // under the new name already
	leases                    int // not copied: their events were not handled
	puts                      []*dynamodb.PutItemInput
}

// planInboxCopy reads the whole inbox table.
func planInboxCopy(ctx context.Context, db InboxTable, c InboxCopy) (*inboxPlan, error) {
	old, err := memoryOf(ctx, db, c.Table, c.From)
	if err != nil {
		return nil, err
	}
	if len(old) == 0 {
		return nil, fmt.Errorf("inbox table %s has nothing of consumer %q", c.Table, c.From)
	}
	have, err := memoryOf(ctx, db, c.Table, c.To)
	if err != nil {
		return nil, err
	}
	plan := &inboxPlan{}
	var problems []error
	for key, it := range old {
		put := &dynamodb.PutItemInput{TableName: &c.Table, Item: maps.Clone(it)}
		put.Item[record.AttrPK] = text(key.of(c.To))
		problems = append(problems, plan.add(key.kind, it, have[key], put))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return plan, nil
}

// memoryKey is an item's key without the consumer's name.
type memoryKey struct {
	kind kind
	rest string // with the '#' before it; nothing for the kind join
}

func (k memoryKey) of(consumer string) string { return string(k.kind) + "#" + consumer + k.rest }

// memoryOf reads the consumer's items.
func memoryOf(ctx context.Context, db InboxTable, table, consumer string) (map[memoryKey]item, error) {
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{
		TableName:                &table,
		ConsistentRead:           aws.Bool(true),
		FilterExpression:         aws.String("begins_with(#pk, :event) OR begins_with(#pk, :position) OR begins_with(#pk, :start) OR #pk = :join"),
		ExpressionAttributeNames: map[string]string{"#pk": record.AttrPK},
		ExpressionAttributeValues: item{
			":event":    text(memoryKey{marker, "#"}.of(consumer)),
			":position": text(memoryKey{position, "#"}.of(consumer)),
			":start":    text(memoryKey{start, "#"}.of(consumer)),
			":join":     text(memoryKey{join, ""}.of(consumer)),
		},
	})
	found := map[memoryKey]item{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read inbox table %s: %w", table, err)
		}
		for _, it := range page.Items {
			first, rest, _ := strings.Cut(textOf(it, record.AttrPK), "#")
			found[memoryKey{kind(first), strings.TrimPrefix(rest, consumer)}] = it
		}
	}
	return found, nil
}

// add adds the put of an item, unless what is there under the new name is as good. The put's condition is the same
// judgment once more, for what the consumer does meanwhile.
func (p *inboxPlan) add(kind kind, it, there item, put *dynamodb.PutItemInput) error {
	absent := "attribute_not_exists(" + record.AttrPK + ")"
	switch kind {
	case marker:
		_, leased := it[record.AttrLeaseUntil]
		_, leasedThere := there[record.AttrLeaseUntil]
		switch {
		case leased:
			p.leases++
			return nil
		case there != nil && !leasedThere && numberOf(there, record.AttrExpiresAt) >= numberOf(it, record.AttrExpiresAt):
			p.there++
			return nil
		}
		p.markers++
		put.ConditionExpression = aws.String(absent + " OR attribute_exists(" + record.AttrLeaseUntil + ") OR " + record.AttrExpiresAt + " < :expires")
		put.ExpressionAttributeValues = item{":expires": it[record.AttrExpiresAt]}
	case position:
		version, versionThere := numberOf(it, record.AttrVersion), numberOf(there, record.AttrVersion)
		event, eventThere := textOf(it, record.AttrEventID), textOf(there, record.AttrEventID)
		switch {
		case there != nil && version == versionThere && event != "" && eventThere != "" && event != eventThere:
			return fmt.Errorf("version %d of %q is event %q, and of %q it is event %q: the two are not the same consumer",
				version, textOf(it, record.AttrPK), event, textOf(there, record.AttrPK), eventThere)
		case there != nil && versionThere >= version:
			p.there++
			return nil
		}
		p.positions++
		put.ConditionExpression = aws.String(absent + " OR #version < :version")
		put.ExpressionAttributeNames = map[string]string{"#version": record.AttrVersion}
		put.ExpressionAttributeValues = item{":version": it[record.AttrVersion]}
	case join, start:
		if there != nil {
			p.there++
			return nil
		}
		p.joins++
		put.ConditionExpression = &absent
	}
	p.puts = append(p.puts, put)
	return nil
}

// writers is how many puts are made at the same time.
const writers = 16

// apply copies, and returns how many items it wrote.
func (p *inboxPlan) apply(ctx context.Context, db InboxTable) (written int, err error) {
	var n atomic.Int64
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(writers)
	for _, put := range p.puts {
		all.Go(func() error {
			_, err := db.PutItem(ctx, put)
			var better *types.ConditionalCheckFailedException
			switch {
			case errors.As(err, &better): // the consumer has gone further under its new name
				return nil
			case err != nil:
				return fmt.Errorf("put %q into inbox table %s: %w", textOf(put.Item, record.AttrPK), *put.TableName, err)
			}
			n.Add(1)
			return nil
		})
	}
	err = all.Wait()
	return int(n.Load()), err
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func textOf(it item, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func numberOf(it item, name string) int64 {
	v, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	n, _ := strconv.ParseInt(v.Value, 10, 64)
	return n
}
