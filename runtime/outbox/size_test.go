package outbox

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestItemSize(t *testing.T) {
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	tests := map[string]struct {
		value types.AttributeValue
		want  int // without the one byte of the name
	}{
		"text in UTF-8":   {text("héé"), 5},
		"empty text":      {text(""), 0},
		"small number":    {number(7), 2},
		"number":          {number(12345), 4},
		"negative number": {number(-12345), 4},
		"trailing zeros":  {number(1_000_000), 2},
		"zero":            {number(0), 1},
		"decimals":        {&types.AttributeValueMemberN{Value: "0.00125"}, 3},
		"exponent":        {&types.AttributeValueMemberN{Value: "1.25E-10"}, 3},
		"binary":          {&types.AttributeValueMemberB{Value: make([]byte, 9)}, 9},
		"bool":            {&types.AttributeValueMemberBOOL{Value: true}, 1},
		"null":            {&types.AttributeValueMemberNULL{Value: true}, 1},
		"string set":      {&types.AttributeValueMemberSS{Value: []string{"ab", "c"}}, 3},
		"number set":      {&types.AttributeValueMemberNS{Value: []string{"1", "123"}}, 5},
		"binary set":      {&types.AttributeValueMemberBS{Value: [][]byte{{1, 2}}}, 2},
		"empty list":      {&types.AttributeValueMemberL{}, 3},
		"list":            {&types.AttributeValueMemberL{Value: []types.AttributeValue{text("ab"), number(1)}}, 3 + 1 + 2 + 1 + 2},
		"map":             {&types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"ab": text("c")}}, 3 + 1 + 2 + 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := itemSize(map[string]types.AttributeValue{"a": tt.value}) - 1; got != tt.want {
				t.Errorf("size %d, want %d", got, tt.want)
			}
		})
	}
}

func TestQuotedSizeIsEnough(t *testing.T) {
	for text, want := range map[string]int{
		``: 2, `plain`: 7, `"`: 4, `\`: 4, "\n": 8, "\x01": 8, `é`: 4, strings.Repeat(`"`, 10): 22,
	} {
		if got := quotedSize(text); got != want {
			t.Errorf("quotedSize(%q) = %d, want %d", text, got, want)
		}
	}
}
