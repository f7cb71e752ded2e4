// Package tablestest runs a package's tests against DynamoDB Local, for what a condition, a projection or a filter means.
package tablestest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/tables"
)

// Main is a package's TestMain: it sets db to a client of tables that are there for these tests alone, runs them and exits.
func Main(m *testing.M, db **dynamodb.Client) {
	code, err := run(m, db)
	if err != nil {
		fmt.Fprintln(os.Stderr, "DynamoDB Local:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M, db **dynamodb.Client) (int, error) {
	dir, err := os.MkdirTemp("", "tables-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	here := cloud.New("eu-central-1")
	service, err := tables.Start(context.Background(), tables.Config{Cloud: here, Dir: dir})
	if err != nil {
		return 0, err
	}
	defer service.Close()
	*db = here.DynamoDB()
	return m.Run(), nil
}
