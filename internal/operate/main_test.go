package operate

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/tables"
)

// db is DynamoDB Local: what a condition or a filter means is DynamoDB's.
var db *dynamodb.Client

func TestMain(m *testing.M) {
	code, err := withTables(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "operate:", err)
		code = 1
	}
	os.Exit(code)
}

func withTables(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "operate-")
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
	db = here.DynamoDB()
	return m.Run(), nil
}
