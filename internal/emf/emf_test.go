package emf

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestWriteIsCloudWatchsFormat(t *testing.T) {
	var out bytes.Buffer
	at := time.UnixMilli(1_700_000_000_123)
	many := make([]int64, 250)
	for i := range many {
		many[i] = int64(i)
	}
	err := Write(&out, at, []Dimension{{"Outbox", "Orders/Outbox"}, {"Consumer", "shipping"}},
		Metric{"Confirmed", Count, []int64{250}}, Metric{"TimeToEffect", Milliseconds, many}, Metric{"None", Count, nil})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d documents, want one for each hundred values", len(lines))
	}
	const first = `{"Timestamp":1700000000123,"CloudWatchMetrics":[{"Namespace":"TransactionalOutbox","Dimensions":[["Outbox","Consumer"]],` +
		`"Metrics":[{"Name":"Confirmed","Unit":"Count"},{"Name":"TimeToEffect","Unit":"Milliseconds"}]}]}`
	if !strings.Contains(lines[0], `"_aws":`+first) {
		t.Errorf("the first document is %s, want its header %s", lines[0], first)
	}
	values := 0
	for i, line := range lines {
		var doc struct {
			Outbox, Consumer string
			Confirmed        *int64
			TimeToEffect     []int64
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Outbox != "Orders/Outbox" || doc.Consumer != "shipping" || len(doc.TimeToEffect) > 100 || (doc.Confirmed != nil) != (i == 0) {
			t.Errorf("document %d is %s", i, line)
		}
		values += len(doc.TimeToEffect)
	}
	if values != 250 {
		t.Errorf("%d values were written, want each of 250 once", values)
	}
}

func TestWriteWritesNothingWithoutValues(t *testing.T) {
	var out bytes.Buffer
	if err := Write(&out, time.Now(), nil, Metric{Name: "None", Unit: Count}); err != nil || out.Len() > 0 {
		t.Errorf("written was %q (%v)", out.String(), err)
	}
}
