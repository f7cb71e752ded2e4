// Command watcher is a function that takes whatever it is invoked with: records of a stream and events of a schedule.
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	lambda.Start(func(ctx context.Context, event struct {
		Source  string `json:"source"`
		Records []json.RawMessage
	},
	) error {
		log.InfoContext(ctx, "invoked", "source", event.Source, "records", len(event.Records))
		return nil
	})
}
