package tables

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// oldestTTL is how old a time to live may be: an item with an older one does not expire.
// Source: DynamoDB developer guide, time-to-live-ttl-before-you-start.
const oldestTTL = 5 * 365 * 24 * time.Hour

// Expire deletes the items of all tables whose time to live is over at that time. Their stream records do not name DynamoDB
// as who deleted them, as those on AWS do.
func (s *Service) Expire(ctx context.Context, at time.Time) error {
	client := s.cloud.DynamoDB()
	tables := dynamodb.NewListTablesPaginator(client, &dynamodb.ListTablesInput{})
	for tables.HasMorePages() {
		page, err := tables.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("expire items: %w", err)
		}
		for _, table := range page.TableNames {
			if err := expire(ctx, client, table, at); err != nil {
				return fmt.Errorf("expire items of %s: %w", table, err)
			}
		}
	}
	return nil
}

func expire(ctx context.Context, client *dynamodb.Client, table string, at time.Time) error {
	ttl, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &table})
	if err != nil || ttl.TimeToLiveDescription.TimeToLiveStatus != types.TimeToLiveStatusEnabled {
		return err
	}
	described, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		return err
	}
	names := map[string]string{"#ttl": aws.ToString(ttl.TimeToLiveDescription.AttributeName)}
	over := map[string]types.AttributeValue{
		":from": &types.AttributeValueMemberN{Value: strconv.FormatInt(at.Add(-oldestTTL).Unix(), 10)},
		":to":   &types.AttributeValueMemberN{Value: strconv.FormatInt(at.Unix(), 10)},
	}
	const isOver = "#ttl BETWEEN :from AND :to"
	items := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{
		TableName: &table, FilterExpression: aws.String(isOver), ExpressionAttributeNames: names, ExpressionAttributeValues: over, ConsistentRead: aws.Bool(true),
	})
	for items.HasMorePages() {
		page, err := items.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			key := map[string]types.AttributeValue{}
			for _, k := range described.Table.KeySchema {
				key[*k.AttributeName] = item[*k.AttributeName]
			}
			// Somebody may have prolonged its life meanwhile.
			_, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
				TableName: &table, Key: key, ConditionExpression: aws.String(isOver), ExpressionAttributeNames: names, ExpressionAttributeValues: over,
			})
			var prolonged *types.ConditionalCheckFailedException
			if err != nil && !errors.As(err, &prolonged) {
				return err
			}
		}
	}
	return nil
}
