// Command naive is a consumer as the SAM sample has it: it does its work for every message it is given. What it
// does is counted, so that doing it twice shows.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// message is what the pipe puts on the bus where it has no template: the stream's record.
type message struct {
	Detail struct {
		DynamoDB struct {
			Keys struct{ ID struct{ S string } }
		}
	}
}

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	db := dynamodb.NewFromConfig(cfg)
	table, consumer := os.Getenv("EFFECTS_TABLE"), os.Getenv("CONSUMER")
	lambda.Start(func(ctx context.Context, batch events.SQSEvent) error {
		for _, m := range batch.Records {
			var event message
			if err := json.Unmarshal([]byte(m.Body), &event); err != nil {
				return err
			}
			_, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
				TableName:                 &table,
				Key:                       map[string]types.AttributeValue{"id": text(event.Detail.DynamoDB.Keys.ID.S), "consumer": text(consumer)},
				UpdateExpression:          aws.String("ADD times :one"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
