// Command counter is a function that counts the records of each tumbling window of a stream, and logs the number at its end
// together with the ARN by which it was invoked.
package main

import (
	"context"
	"log/slog"
	"os"
	"strconv"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	lambda.Start(func(ctx context.Context, event events.DynamoDBTimeWindowEvent) (events.DynamoDBTimeWindowEventResponse, error) {
		invoked, _ := lambdacontext.FromContext(ctx)
		if event.IsFinalInvokeForWindow {
			log.InfoContext(ctx, "window", "events", event.State["events"], "by", invoked.InvokedFunctionArn)
		}
		counted, err := strconv.Atoi("0" + event.State["events"])
		state := map[string]string{"events": strconv.Itoa(counted + len(event.Records))}
		return events.DynamoDBTimeWindowEventResponse{TimeWindowEventResponseProperties: events.TimeWindowEventResponseProperties{State: state}}, err
	})
}
