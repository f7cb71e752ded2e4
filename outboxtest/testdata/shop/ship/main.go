// Command ship makes a shipment of each order once: an item with the event's id, which it writes only where there is none. It
// refuses an order without an address.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	db := dynamodb.NewFromConfig(cfg)
	lambda.Start(func(ctx context.Context, batch events.SQSEvent) (answer events.SQSEventResponse, _ error) {
		for _, m := range batch.Records {
			if err := ship(ctx, db, m.Body); err != nil {
				fmt.Println("refused: " + err.Error())
				answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
			}
		}
		return answer, nil
	})
}

func ship(ctx context.Context, db *dynamodb.Client, body string) error {
	var event struct {
		Detail struct {
			ID   string
			Data struct{ Address string }
		}
	}
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return err
	}
	if event.Detail.Data.Address == "" {
		return errors.New("the order has no address")
	}
	table, once := os.Getenv("TABLE"), "attribute_not_exists(id)"
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, ConditionExpression: &once, Item: map[string]types.AttributeValue{
		"id": &types.AttributeValueMemberS{Value: "Ship#" + event.Detail.ID}, "address": &types.AttributeValueMemberS{Value: event.Detail.Data.Address},
	}})
	var shipped *types.ConditionalCheckFailedException
	if errors.As(err, &shipped) {
		fmt.Println("shipped before: " + event.Detail.ID)
		return nil
	}
	return err
}
