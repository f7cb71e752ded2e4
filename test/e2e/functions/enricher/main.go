// Command enricher is a function that enriches what a pipe sends: of each message it returns the body and its own mark.
package main

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/lambda"
)

// An enriched message keeps the id by which the pipe knows it.
type enriched struct {
	MessageID string          `json:"messageId"`
	Order     json.RawMessage `json:"order"`
	Enriched  bool            `json:"enriched"`
}

func main() {
	lambda.Start(func(_ context.Context, messages []struct {
		MessageID string `json:"messageId"`
		Body      string `json:"body"`
	},
	) ([]enriched, error) {
		var all []enriched
		for _, m := range messages {
			all = append(all, enriched{m.MessageID, json.RawMessage(m.Body), true})
		}
		return all, nil
	})
}
