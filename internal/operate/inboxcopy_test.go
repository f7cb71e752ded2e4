package operate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// newInbox makes an inbox table of the test's own with the items.
func newInbox(t *testing.T, items ...item) string {
	t.Helper()
	name := strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(t.Name())
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		put(t, name, it)
	}
	return name
}

func put(t *testing.T, table string, it item) {
	t.Helper()
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: it}); err != nil {
		t.Fatal(err)
	}
}

// contents are the table's items by key.
func contents(t *testing.T, table string) map[string]item {
	t.Helper()
	out, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]item{}
	for _, it := range out.Items {
		all[textOf(it, "pk")] = it
	}
	return all
}

func number(n int) types.AttributeValue { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }

func markerOf(consumer, event string, expires int) item {
	return item{"pk": text("event#" + consumer + "#orders#" + event), "expiresAt": number(expires), "source": text("orders"), "aggregateId": text("o-1")}
}

func leaseOf(consumer, event string, expires int) item {
	it := markerOf(consumer, event, expires)
	it["leaseUntil"] = number(1)
	return it
}

func positionOf(consumer, aggregate string, version int, event string) item {
	return item{"pk": text("position#" + consumer + "#orders#Order#" + aggregate), "version": number(version), "eventId": text(event)}
}

// beginOf is the position of a consumer that joined after the version.
func beginOf(consumer, aggregate string, version int) item {
	it := positionOf(consumer, aggregate, version, "")
	delete(it, "eventId")
	return it
}

func joinOf(consumer string, at int) item {
	return item{"pk": text("join#" + consumer), "joined": number(at)}
}

// startOf is what a consumer went on without in an aggregate when it joined.
func startOf(consumer, aggregate string, expires int) item {
	return item{"pk": text("start#" + consumer + "#orders#Order#" + aggregate), "expiresAt": number(expires)}
}

const (
	oldName = "Orders/Outbox/History"
	newName = "Orders/Outbox/OrderHistory"
)

// copyInbox runs a copy and returns what it said.
func copyInbox(t *testing.T, c InboxCopy, answer string) (string, error) {
	t.Helper()
	c.From, c.To = oldName, newName
	var out strings.Builder
	err := c.Run(t.Context(), db, strings.NewReader(answer), &out)
	return out.String(), err
}

func TestInboxCopy(t *testing.T) {
	table := newInbox(
		t,
		markerOf(oldName, "e-1", 100), markerOf(oldName, "e#2", 200), leaseOf(oldName, "e-3", 300),
		positionOf(oldName, "o-1", 7, "e-7"), joinOf(oldName, 5), startOf(oldName, "o-1", 400),
		// What belongs to others: a name that begins alike, too.
		markerOf(oldName+"2", "e-1", 100), positionOf("Orders/Outbox/Hist", "o-1", 3, "e-3"), joinOf(oldName+"2", 5), startOf(oldName+"2", "o-1", 400),
		item{"pk": text("waiting#" + oldName + "#orders#Order#o-1#8")},
	)
	before := contents(t, table)
	said, err := copyInbox(t, InboxCopy{Table: table, Yes: true}, "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "2 markers, 1 positions and 2 notes about joining") || !strings.Contains(said, "1 leases of unfinished events stay") || !strings.Contains(said, "5 copied") {
		t.Errorf("it said %q", said)
	}
	want := maps.Clone(before)
	for _, it := range []item{markerOf(newName, "e-1", 100), markerOf(newName, "e#2", 200), positionOf(newName, "o-1", 7, "e-7"), joinOf(newName, 5), startOf(newName, "o-1", 400)} {
		want[textOf(it, "pk")] = it
	}
	same(t, contents(t, table), want)

	said, err = copyInbox(t, InboxCopy{Table: table, Yes: true}, "")
	if err != nil || !strings.Contains(said, "5 are there already") || strings.Contains(said, "copied\n") {
		t.Errorf("the second time it said %q (%v), want that all is there", said, err)
	}
	same(t, contents(t, table), want)
}

func same(t *testing.T, got, want map[string]item) {
	t.Helper()
	for key := range want {
		if fmt.Sprint(plain(got[key])) != fmt.Sprint(plain(want[key])) {
			t.Errorf("%s is %v, want %v", key, plain(got[key]), plain(want[key]))
		}
	}
	for key := range got {
		if want[key] == nil {
			t.Errorf("%s is there, and should not be", key)
		}
	}
}

// plain is an item without the SDK's types.
func plain(it item) map[string]string {
	all := map[string]string{}
	for name := range it {
		all[name] = textOf(it, name) + fmt.Sprint(numberOf(it, name))
	}
	return all
}

// TestInboxCopyNeverMakesMemoryWorse: what is there under the new name already.
func TestInboxCopyNeverMakesMemoryWorse(t *testing.T) {
	for name, tc := range map[string]struct{ old, there, want item }{
		"a marker that expires later stays":     {markerOf(oldName, "e", 100), markerOf(newName, "e", 200), markerOf(newName, "e", 200)},
		"a marker that expires earlier is kept": {markerOf(oldName, "e", 200), markerOf(newName, "e", 100), markerOf(newName, "e", 200)},
		"a lease becomes a marker":              {markerOf(oldName, "e", 100), leaseOf(newName, "e", 200), markerOf(newName, "e", 100)},
		"a lease does not undo a marker":        {leaseOf(oldName, "e", 300), markerOf(newName, "e", 200), markerOf(newName, "e", 200)},
		"a position does not move backwards":    {positionOf(oldName, "o", 7, "e-7"), positionOf(newName, "o", 9, "e-9"), positionOf(newName, "o", 9, "e-9")},
		"a position moves forwards":             {positionOf(oldName, "o", 7, "e-7"), positionOf(newName, "o", 5, "e-5"), positionOf(newName, "o", 7, "e-7")},
		"a position that is the same stays":     {positionOf(oldName, "o", 7, "e-7"), positionOf(newName, "o", 7, "e-7"), positionOf(newName, "o", 7, "e-7")},
		"one where the consumer began stays":    {positionOf(oldName, "o", 7, "e-7"), beginOf(newName, "o", 7), beginOf(newName, "o", 7)},
		"one where the consumer began moves":    {positionOf(oldName, "o", 8, "e-8"), beginOf(newName, "o", 7), positionOf(newName, "o", 8, "e-8")},
		"a join stays":                          {joinOf(oldName, 1), joinOf(newName, 2), joinOf(newName, 2)},
	} {
		t.Run(name, func(t *testing.T) {
			table := newInbox(t, tc.old, tc.there)
			if _, err := copyInbox(t, InboxCopy{Table: table, Yes: true}, ""); err != nil {
				t.Fatal(err)
			}
			same(t, contents(t, table), map[string]item{textOf(tc.old, "pk"): tc.old, textOf(tc.want, "pk"): tc.want})
		})
		t.Run(name+", also while it is copied", func(t *testing.T) {
			table := newInbox(t, tc.old)
			plan, err := planInboxCopy(t.Context(), db, InboxCopy{Table: table, From: oldName, To: newName})
			if err != nil {
				t.Fatal(err)
			}
			put(t, table, tc.there) // the consumer, under its new name
			if _, err := plan.apply(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			same(t, contents(t, table), map[string]item{textOf(tc.old, "pk"): tc.old, textOf(tc.want, "pk"): tc.want})
		})
	}
}

func TestInboxCopyAsks(t *testing.T) {
	for name, tc := range map[string]struct {
		copy   InboxCopy
		answer string
		copied bool
		err    error
	}{
		"yes":         {answer: "y\n", copied: true},
		"in words":    {answer: "Yes\n", copied: true},
		"no":          {answer: "n\n", err: errNotConfirmed},
		"nothing":     {answer: "\n", err: errNotConfirmed},
		"no terminal": {answer: "", err: errNotConfirmed},
		"not asked":   {copy: InboxCopy{Yes: true}, copied: true},
		"a dry run":   {copy: InboxCopy{DryRun: true, Yes: true}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.copy.Table = newInbox(t, markerOf(oldName, "e-1", 100))
			said, err := copyInbox(t, tc.copy, tc.answer)
			if !errors.Is(err, tc.err) {
				t.Errorf("got %v, want %v", err, tc.err)
			}
			if !strings.HasPrefix(said, "1 markers") {
				t.Errorf("it said %q, want what it would copy", said)
			}
			if copied := len(contents(t, tc.copy.Table)) == 2; copied != tc.copied {
				t.Errorf("copied: %v, want %v", copied, tc.copied)
			}
		})
	}
}

func TestInboxCopyRefuses(t *testing.T) {
	t.Run("a consumer that nothing is known of", func(t *testing.T) {
		table := newInbox(t, markerOf("Orders/Outbox/Other", "e-1", 100))
		if _, err := copyInbox(t, InboxCopy{Table: table, Yes: true}, ""); err == nil || !strings.Contains(err.Error(), oldName) {
			t.Errorf("got %v, want an error that names the consumer", err)
		}
	})
	t.Run("two consumers", func(t *testing.T) {
		table := newInbox(t, positionOf(oldName, "o-1", 7, "e-7"), positionOf(newName, "o-1", 7, "another"), markerOf(oldName, "e-1", 100))
		_, err := copyInbox(t, InboxCopy{Table: table, Yes: true}, "")
		if err == nil || !strings.Contains(err.Error(), "e-7") || !strings.Contains(err.Error(), "another") {
			t.Errorf("got %v, want an error that names both events", err)
		}
		if got := contents(t, table); len(got) != 3 {
			t.Errorf("the table has %d items, want nothing copied", len(got))
		}
	})
	t.Run("a table that is not there", func(t *testing.T) {
		if _, err := copyInbox(t, InboxCopy{Table: "nowhere", Yes: true}, ""); err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("got %v, want an error that names the table", err)
		}
	})
}

func TestInboxCopyDoesNotCommandTheTerminal(t *testing.T) {
	const from = "a\x1b]0;x\x07"
	var out strings.Builder
	c := InboxCopy{Table: newInbox(t, markerOf(from, "e-1", 100)), From: from, To: newName, DryRun: true}
	if err := c.Run(t.Context(), db, strings.NewReader(""), &out); err != nil || !strings.Contains(out.String(), `a\x1b]0;x\x07`) {
		t.Errorf("it said %q (%v), want the escape shown", out.String(), err)
	}
}

// paged gives a scan's items one at a time.
type paged struct{ *dynamodb.Client }

func (p paged) Scan(ctx context.Context, in *dynamodb.ScanInput, options ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	in.Limit = aws.Int32(1)
	return p.Client.Scan(ctx, in, options...)
}

func TestInboxCopyReadsEveryPage(t *testing.T) {
	var items []item
	for n := range 30 {
		items = append(items, markerOf(oldName, fmt.Sprint("e-", n), 100))
	}
	table := newInbox(t, items...)
	var out strings.Builder
	c := InboxCopy{Table: table, From: oldName, To: newName, Yes: true}
	if err := c.Run(t.Context(), paged{db}, strings.NewReader(""), &out); err != nil || !strings.Contains(out.String(), "30 copied") {
		t.Errorf("it said %q (%v)", out.String(), err)
	}
}
