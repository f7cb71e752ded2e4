// Command consumer handles the messages of a queue, and fails for each whose event says so.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(_ context.Context, batch events.SQSEvent) (answer events.SQSEventResponse, err error) {
		for _, m := range batch.Records {
			var event struct {
				Detail struct {
					ID   string `json:"id"`
					Fail bool   `json:"fail"`
				} `json:"detail"`
			}
			if err := json.Unmarshal([]byte(m.Body), &event); err != nil {
				return answer, err
			}
			fmt.Println("got " + event.Detail.ID)
			if event.Detail.Fail {
				answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
			}
		}
		return answer, nil
	})
}
