package pipes

import (
	"encoding/json"
	"strings"
	"testing"
)

// order is a record as the outbox writes it, with text that is hard to quote.
var order = Record{Event: map[string]any{
	"eventName": "INSERT",
	"dynamodb": map[string]any{
		"NewImage": map[string]any{
			"id":        map[string]any{"S": `a "quoted" \ id`},
			"version":   map[string]any{"N": "7"},
			"data":      map[string]any{"S": `{"note":"it's <$.x> & \"more\""}`},
			"empty":     map[string]any{"S": ""},
			"paid":      map[string]any{"BOOL": true},
			"none":      map[string]any{"NULL": true},
			"items":     map[string]any{"L": []any{map[string]any{"S": "one"}, map[string]any{"S": "two"}}},
			"with-dash": map[string]any{"S": "dash"},
		},
	},
}}

var someVariables = pipeVariables{pipeARN: "arn:pipe", pipeName: "orders", sourceARN: "arn:stream", targetARN: "arn:bus"}

func TestInput(t *testing.T) {
	tests := map[string]struct{ template, want string }{
		"text":                     {`Hello, sender`, `Hello, sender`},
		"path alone":               {`<$.eventName>`, `INSERT`},
		"path in text":             {`It was <$.eventName>!`, `It was INSERT!`},
		"path in a string":         {`"It was <$.eventName>"`, `"It was INSERT"`},
		"unquoted string":          {`{"id": <$.dynamodb.NewImage.id.S>}`, `{"id": "a \"quoted\" \\ id"}`},
		"quoted string is escaped": {`{"id": "<$.dynamodb.NewImage.id.S>"}`, `{"id": "a \"quoted\" \\ id"}`},
		"number stays a string":    {`{"v": <$.dynamodb.NewImage.version.N>}`, `{"v": "7"}`},
		"stored JSON stays a string": {
			`{"data": <$.dynamodb.NewImage.data.S>}`,
			`{"data": "{\"note\":\"it's <$.x> & \\\"more\\\"\"}"}`,
		},
		"boolean": {`{"b": <$.dynamodb.NewImage.paid.BOOL>}`, `{"b": true}`},
		"object":  {`{"o": <$.dynamodb.NewImage.version>}`, `{"o": {"N":"7"}}`},
		"object with text that is hard to quote": {
			`{"data": <$.dynamodb.NewImage.data>}`,
			`{"data": {"S":"{\"note\":\"it's <$.x> & \\\"more\\\"\"}"}}`,
		},
		"object with an empty text": {`{"x": <$.dynamodb.NewImage.empty>}`, `{"x": {"S":""}}`},
		"object in a string":        {`{"o": "<$.dynamodb.NewImage.version>"}`, `{"o": "{N:7}"}`},
		"index":                     {`{"x": <$.dynamodb.NewImage.items.L[1].S>}`, `{"x": "two"}`},
		"wildcard":                  {`{"x": <$.dynamodb.NewImage.items.L[*].S>}`, `{"x": ["one","two"]}`},
		"dash":                      {`{"x": <$.dynamodb.NewImage.with-dash.S>}`, `{"x": "dash"}`},
		"empty":                     {`{"x": <$.dynamodb.NewImage.empty.S>}`, `{"x": ""}`},
		"missing path":              {`{"x": <$.dynamodb.OldImage.id.S>}`, `{"x": ""}`},
		"missing path in a string":  {`{"x": "[<$.dynamodb.OldImage.id.S>]"}`, `{"x": "[]"}`},
		"index out of range":        {`{"x": <$.dynamodb.NewImage.items.L[2].S>}`, `{"x": ""}`},
		"escaped quote before":      {`{"x": "a\"<$.eventName>"}`, `{"x": "a\"INSERT"}`},
		"less-than is text":         {`{"x": "1 < 2 > <$.eventName>"}`, `{"x": "1 < 2 > INSERT"}`},
		"reserved variables":        {`{"a": <aws.pipes.pipe-arn>, "n": "<aws.pipes.pipe-name>", "s": <aws.pipes.source-arn>, "t": <aws.pipes.target-arn>}`, `{"a": "arn:pipe", "n": "orders", "s": "arn:stream", "t": "arn:bus"}`},
		"two paths side by side":    {`<$.eventName><$.eventName>`, `INSERTINSERT`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in, err := compileInput(test.template, someVariables)
			if err != nil {
				t.Fatal(err)
			}
			if got := in.render(order); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestInputWholeEvent(t *testing.T) {
	in, err := compileInput(`{"event": <aws.pipes.event.json>, "text": <aws.pipes.event>, "at": <aws.pipes.event.ingestion-time>}`, someVariables)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Event map[string]any
		Text  string
		At    string
	}
	if err := json.Unmarshal([]byte(in.render(order)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Event["eventName"] != "INSERT" || !strings.Contains(got.Text, `"eventName":"INSERT"`) || !strings.HasSuffix(got.At, "Z") {
		t.Errorf("got %+v", got)
	}
}

func TestInputRefused(t *testing.T) {
	for _, template := range []string{`<$.a..b>`, `<$.a[x]>`, `<$a>`, `<aws.pipes.unknown>`} {
		if _, err := compileInput(template, someVariables); err == nil {
			t.Errorf("%s was accepted", template)
		}
	}
}

func TestParameter(t *testing.T) {
	tests := map[string]struct{ text, want, problem string }{
		"constant":       {"orders", "orders", ""},
		"unset":          {"", "", ""},
		"path":           {"$.eventName", "INSERT", ""},
		"missing":        {"$.dynamodb.NewImage.type.S", "", "the record has no value at $.dynamodb.NewImage.type.S"},
		"not a string":   {"$.dynamodb", "", "the value at $.dynamodb in the record must be a string"},
		"too long":       {"$.dynamodb.NewImage.data.S", "", "Source must have at most 20 characters, got 32"},
		"not a path":     {"$.a b", "", "a JSON path must be"},
		"constant limit": {"a constant of more than twenty", "", "at most 20"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := compileParameter("Source", test.text, 20)
			var got string
			if err == nil {
				got, err = p.resolve(order)
			}
			if test.problem == "" && err != nil || test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)) {
				t.Fatalf("error %v, want %q", err, test.problem)
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// FuzzInput checks that a template of one JSON object results in JSON whatever the record holds, and never panics.
func FuzzInput(f *testing.F) {
	f.Add(`{"id": <$.v>, "q": "<$.v>"}`, `a "b" \`)
	f.Add(`"<$.v.x[*]>`, `</x>`)
	f.Add(`<aws.pipes.event.json>`, "\x00\xff")
	f.Fuzz(func(t *testing.T, template, value string) {
		in, err := compileInput(template, someVariables)
		if err != nil {
			return
		}
		r := Record{Event: map[string]any{"v": value}}
		in.render(r)
		plain, err := compileInput(`{"id": <$.v>, "q": "<$.v>"}`, someVariables)
		if err != nil {
			t.Fatal(err)
		}
		if doc := plain.render(r); !json.Valid([]byte(doc)) {
			t.Errorf("not JSON: %s", doc)
		}
	})
}
