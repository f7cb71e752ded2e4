package record_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/runtime/record"
)

// fromBus is an envelope as it arrives in a queue, with all that the scanner knows.
const fromBus = `{"version":"0","id":"b","detail-type":"T","source":"s","account":"1","time":"t","region":"r","resources":[],` +
	`"detail":{"id":"1","type":"T","aggregateType":"A","aggregateId":"a","version":"1","occurredAt":"5",` +
	`"data":"{\"text\":\"\\n\",\n\t\r\"a\\\\\/b\":[]}","traceparent":"p","correlationId":"c","causationId":""},"replay-name":"n"}`

// A field that nobody knows says nothing, but it sends the envelope past the scanner, to encoding/json.
func readAlike(t testing.TB, body string) {
	t.Helper()
	const spaces = " \t\r\n"
	rest, isObject := strings.CutPrefix(strings.TrimLeft(body, spaces), "{")
	if !isObject || strings.HasPrefix(strings.TrimLeft(rest, spaces), "}") {
		return
	}
	want, wantErr := record.Decode([]byte(`{"unknown":0,` + rest))
	got, err := record.Decode([]byte(body))
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q\nis read as   %+v, %v\nencoding/json %+v, %v", body, got, err, want, wantErr)
	}
}

// Whatever is one character away from the form of the bus.
func TestScannerReadsAsEncodingJSON(t *testing.T) {
	for i := range len(fromBus) {
		before, c, after := fromBus[:i], fromBus[i], fromBus[i+1:]
		readAlike(t, before)
		readAlike(t, before+after)
		readAlike(t, before+string(c^' ')+after) // the other case of a letter
		for _, other := range []string{`"`, `\`, `\u0031`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, "\n", "\x01", "\xff", "é", "\u2028", "0", "null"} {
			readAlike(t, before+other+after)
			readAlike(t, before+other+string(c)+after)
		}
	}
}

func TestScannerReadsFieldsAsEncodingJSON(t *testing.T) {
	for _, field := range []string{
		`"detail-type":"T"`, `"source":"s"`, `"source":"other"`, `"source":null`, `"SOURCE":"other"`, `"detail":{"id":"2"}`, `"detail":null`,
		`"detail":{}`, `"resources":["arn"]`, `"resources":[ ]`, `"resources":{}`, `"time":5`, `"":""`, `"extra":"x"`,
	} {
		readAlike(t, strings.Replace(fromBus, "{", "{"+field+",", 1))
		readAlike(t, strings.TrimSuffix(fromBus, "}")+","+field+"}")
	}
	for _, field := range []string{
		`"id":"2"`, `"id":null`, `"ID":"2"`, `"version":2`, `"version":"+2"`, `"version":"x"`, `"version":""`, `"version":"9223372036854775808"`,
		`"occurredAt":-1`, `"data":""`, `"data":"x"`, `"data":"\"x\""`, `"data":"\u007b}"`, `"data":"\ud800"`, `"data":"{} "`, `"data":null`,
		`"data":{"a": 1}`, `"data":["\x"]`, `"extra":"x"`,
	} {
		readAlike(t, strings.Replace(fromBus, `"detail":{`, `"detail":{`+field+",", 1))
		readAlike(t, strings.Replace(fromBus, `},"replay-name"`, ","+field+`},"replay-name"`, 1))
	}
}

// The scanner is there for its speed: it must know the form of the bus, with and without spaces.
func TestScannerKnowsTheFormOfTheBus(t *testing.T) {
	const few = 5 // encoding/json needs 20
	var spaced strings.Builder
	encoder := json.NewEncoder(&spaced)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(json.RawMessage(fromBus)); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{fromBus, spaced.String()} {
		if n := testing.AllocsPerRun(100, func() { record.Decode([]byte(body)) }); n > few {
			t.Errorf("%v allocations for %s", n, body)
		}
	}
}
