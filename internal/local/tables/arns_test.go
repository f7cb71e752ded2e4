package tables

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// checkRegion reads a table and its stream by the names that the stack has, and looks for DynamoDB Local's own region in
// what it gets. An item that holds an ARN of either region keeps it.
func checkRegion(t *testing.T, s *Service, table template.Attributes) {
	t.Helper()
	ctx, streamARN := t.Context(), table.GetAtt["StreamArn"]
	const theirs = "arn:aws:dynamodb:ddblocal:000000000000:table/x <&> arn:aws:dynamodb:eu-central-1:000000000000:table/x"
	_, err := s.cloud.DynamoDB().PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &table.Ref, Item: map[string]types.AttributeValue{"pk": text("arn"), "sk": text("0"), "arn": text(theirs)},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.cloud.DynamoDB().GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &table.Ref, Key: map[string]types.AttributeValue{"pk": text("arn"), "sk": text("0")},
	})
	if err != nil || got.Item["arn"].(*types.AttributeValueMemberS).Value != theirs {
		t.Errorf("the item is %v, %v", got, err)
	}

	described, err := s.cloud.DynamoDB().DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table.Ref})
	if err != nil || aws.ToString(described.Table.TableArn) != table.GetAtt["Arn"] || aws.ToString(described.Table.LatestStreamArn) != streamARN {
		t.Errorf("DescribeTable: %s, %s, %v", aws.ToString(described.Table.TableArn), aws.ToString(described.Table.LatestStreamArn), err)
	}
	listed, err := s.cloud.Streams().ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: &table.Ref})
	if err != nil || len(listed.Streams) != 1 || aws.ToString(listed.Streams[0].StreamArn) != streamARN {
		t.Fatalf("ListStreams: %+v, %v", listed, err)
	}
	stream, err := s.cloud.Streams().DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &streamARN})
	if err != nil || aws.ToString(stream.StreamDescription.StreamArn) != streamARN {
		t.Fatalf("DescribeStream: %+v, %v", stream, err)
	}
	iterator, err := s.cloud.Streams().GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn: &streamARN, ShardId: stream.StreamDescription.Shards[0].ShardId, ShardIteratorType: streams.ShardIteratorTypeTrimHorizon,
	})
	if err != nil || strings.Contains(aws.ToString(iterator.ShardIterator), localRegion) {
		t.Fatalf("GetShardIterator: %+v, %v", iterator, err)
	}
	records, err := s.cloud.Streams().GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator.ShardIterator})
	if err != nil || len(records.Records) != 1 {
		t.Fatalf("GetRecords: %+v, %v", records, err)
	}
	record := records.Records[0]
	if aws.ToString(record.AwsRegion) != "eu-central-1" || strings.Contains(aws.ToString(records.NextShardIterator), localRegion) {
		t.Errorf("a record of %s, next %s", aws.ToString(record.AwsRegion), aws.ToString(records.NextShardIterator))
	}
	if stored := record.Dynamodb.NewImage["arn"].(*streams.AttributeValueMemberS).Value; stored != theirs {
		t.Errorf("the record's item holds %s", stored)
	}
	if _, err := s.cloud.Streams().GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: records.NextShardIterator}); err != nil {
		t.Errorf("GetRecords with the next iterator: %v", err)
	}
}

// TestRecordsKeepTheirItems checks that of the response to GetRecords only the names of DynamoDB Local's change.
func TestRecordsKeepTheirItems(t *testing.T) {
	const item = `{"NewImage":{"a":{"S":"arn:aws:dynamodb:ddblocal:1 <&>"},"n":{"N":"1.0"}}}`
	got, err := arns{region: "eu-west-1"}.records([]byte(`{"NextShardIterator":"000|arn:aws:dynamodb:ddblocal:0:table/t|x","Records":[{"awsRegion":"ddblocal","dynamodb":` + item + `}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		NextShardIterator string
		Records           []struct {
			AWSRegion string `json:"awsRegion"`
			DynamoDB  json.RawMessage
		}
	}
	if err := json.Unmarshal(got, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.NextShardIterator != "000|arn:aws:dynamodb:eu-west-1:0:table/t|x" || answer.Records[0].AWSRegion != "eu-west-1" || string(answer.Records[0].DynamoDB) != item {
		t.Errorf("got %s", got)
	}
}
