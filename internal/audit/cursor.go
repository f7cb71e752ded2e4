package audit

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// A Cursor is how far somebody is who reads a long list in several goes. It is in the same table, and not part of a list.
type Cursor struct {
	After   string // the place of the last page's end, empty at the beginning
	Counted int64  // what is on the list up to there
	Total   int64  // what was on it when it was read to its end the last time
}

// The attributes of a cursor.
const (
	attrAfter   = "after"   // S
	attrCounted = "counted" // N
	attrTotal   = "total"   // N
)

func cursorKey(consumer string) Item {
	return Item{record.AttrPK: text("cursor#" + consumer), record.AttrSK: text("cursor")}
}

// Cursor returns the cursor of a consumer's list.
func (l List) Cursor(ctx context.Context, items ItemReader, consumer string) (Cursor, error) {
	out, err := items.GetItem(ctx, &dynamodb.GetItemInput{TableName: &l.Table, Key: cursorKey(consumer)})
	if err != nil {
		return Cursor{}, fmt.Errorf("read the cursor of consumer %s: %w", consumer, err)
	}
	return Cursor{After: scalar(out.Item, attrAfter), Counted: whole(out.Item, attrCounted), Total: whole(out.Item, attrTotal)}, nil
}

// SetCursor replaces the cursor of a consumer's list.
func (l List) SetCursor(ctx context.Context, consumer string, c Cursor) error {
	item := cursorKey(consumer)
	item[attrCounted], item[attrTotal] = number(c.Counted), number(c.Total)
	if c.After != "" {
		item[attrAfter] = text(c.After)
	}
	if _, err := l.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &l.Table, Item: item}); err != nil {
		return fmt.Errorf("set the cursor of consumer %s: %w", consumer, err)
	}
	return nil
}
