package audit

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// Find returns what the list has of an event's missing effect at a consumer, and whether it has anything.
func (l List) Find(ctx context.Context, consumer string, e Event) (Unconfirmed, bool, error) {
	at := Unconfirmed{Event: e, Consumer: consumer}.sortKey()
	out, err := l.Client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 &l.Table,
		KeyConditionExpression:    aws.String("#pk = :consumer AND #sk = :event"),
		ExpressionAttributeNames:  map[string]string{"#pk": record.AttrPK, "#sk": record.AttrSK},
		ExpressionAttributeValues: Item{":consumer": text(listKey(consumer)), ":event": text(at)},
	})
	if err != nil {
		return Unconfirmed{}, false, fmt.Errorf("read what is not confirmed of consumer %s: %w", consumer, err)
	}
	if len(out.Items) == 0 {
		return Unconfirmed{}, false, nil
	}
	u, err := unconfirmedOf(consumer, out.Items[0])
	return u, err == nil, err
}
