package eventsource

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Source: Lambda developer guide, services-sqs-errorhandling, "Success and failure conditions".
func TestDivideByResponse(t *testing.T) {
	all, none := []string{"a", "b"}, []string(nil)
	cases := map[string]struct {
		response string
		failed   []string
	}{
		"no response":           {``, none},
		"null":                  {`null`, none},
		"empty object":          {`{}`, none},
		"null list":             {`{"batchItemFailures":null}`, none},
		"empty list":            {`{"batchItemFailures":[]}`, none},
		"other fields only":     {`{"statusCode":200}`, none},
		"one":                   {`{"batchItemFailures":[{"itemIdentifier":"b"}]}`, []string{"b"}},
		"one, twice":            {`{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}]}`, []string{"b"}},
		"both":                  {`{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"a"}]}`, all},
		"invalid JSON":          {`{"batchItemFailures":`, all},
		"not an object":         {`"done"`, all},
		"a list of strings":     {`{"batchItemFailures":["a"]}`, all},
		"empty id":              {`{"batchItemFailures":[{"itemIdentifier":""}]}`, all},
		"null id":               {`{"batchItemFailures":[{"itemIdentifier":null}]}`, all},
		"id is a number":        {`{"batchItemFailures":[{"itemIdentifier":1}]}`, all},
		"bad key":               {`{"batchItemFailures":[{"messageId":"a"}]}`, all},
		"key in other case":     {`{"batchItemFailures":[{"ItemIdentifier":"a"}]}`, all},
		"null item":             {`{"batchItemFailures":[null]}`, all},
		"unknown id":            {`{"batchItemFailures":[{"itemIdentifier":"z"}]}`, all},
		"unknown beside known":  {`{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}`, all},
		"list in other case":    {`{"BatchItemFailures":[{"itemIdentifier":"a"}]}`, none},
		"an id beside more":     {`{"batchItemFailures":[{"itemIdentifier":"a","why":"x"}]}`, []string{"a"}},
		"white space around it": {" {} \n", none},
	}
	batch := []types.Message{{MessageId: aws.String("a")}, {MessageId: aws.String("b")}}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			done, failed, _ := divideByResponse([]byte(c.response), batch)
			expect(t, "failed", messageIDs(failed), c.failed)
			expect(t, "sum", len(done)+len(failed), len(batch))
		})
	}
}
