// Package consumer wires what the consumers have in common. It is apart from lambdaconfig, so that a
// function that consumes nothing does not carry the client of SQS.
package consumer

import (
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/lambdaconfig"
	"github.com/outboxkit/transactional-outbox/runtime/inbox"
)

// FromEnv is the function's inbox, and the business table that the environment variable names. Its error
// names the variables that are missing.
func FromEnv(tableVariable string) (store *inbox.Store, table string, err error) {
	table = os.Getenv(tableVariable)
	if table == "" {
		return nil, "", fmt.Errorf("environment variable %s is not set", tableVariable)
	}
	cfg, err := lambdaconfig.FromEnv()
	if err != nil {
		return nil, "", err
	}
	store, err = inbox.FromEnv(dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg))
	return store, table, err
}
