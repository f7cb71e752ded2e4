package tables

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestExpire(t *testing.T) {
	s := start(t, t.TempDir())
	table, err := s.provisionTable(t.Context(), orders(nil))
	if err != nil {
		t.Fatal(err)
	}
	client, now := s.cloud.DynamoDB(), time.Now()
	put := func(key string, expires types.AttributeValue) {
		item := map[string]types.AttributeValue{"pk": text(key), "sk": text(key), "customer": text("c")}
		if expires != nil {
			item["expiresAt"] = expires
		}
		if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table.Ref, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	after := func(d time.Duration) types.AttributeValue {
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(now.Add(d).Unix(), 10)}
	}
	put("in an hour", after(time.Hour))
	put("in a day", after(24*time.Hour))
	put("six years ago", after(-6*365*24*time.Hour))
	put("never", nil)
	put("a text", text(strconv.FormatInt(now.Add(time.Hour).Unix(), 10)))
	if err := s.Expire(t.Context(), now.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	out, err := client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table.Ref})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, item := range out.Items {
		left = append(left, item["pk"].(*types.AttributeValueMemberS).Value)
	}
	slices.Sort(left)
	if want := []string{"a text", "in a day", "never", "six years ago"}; !slices.Equal(left, want) {
		t.Errorf("what is left is %q, want %q", left, want)
	}
}
