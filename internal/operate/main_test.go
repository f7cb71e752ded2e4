package operate

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/internal/local/tables/tablestest"
)

// db is DynamoDB Local: what a condition or a filter means is DynamoDB's.
var db *dynamodb.Client

func TestMain(m *testing.M) { tablestest.Main(m, &db) }
