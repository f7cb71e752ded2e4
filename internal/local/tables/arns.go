package tables

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// localRegion is the region in everything that DynamoDB Local names, whatever region a request is signed for.
const localRegion = "ddblocal"

// arns puts the stack's region into what DynamoDB Local returns, and DynamoDB Local's into what it is asked.
type arns struct{ region string }

const arnPrefix = "arn:aws:dynamodb:"

func (a arns) stacks() []byte { return []byte(arnPrefix + a.region + ":") }

func (arns) local() []byte { return []byte(arnPrefix + localRegion + ":") }

// onItems holds the operations whose requests and responses hold items and no ARN. What an item holds is the user's and
// stays as it is, even if it looks like an ARN.
var onItems = map[string]bool{
	"BatchExecuteStatement": true, "BatchGetItem": true, "BatchWriteItem": true, "DeleteItem": true, "ExecuteStatement": true,
	"ExecuteTransaction": true, "GetItem": true, "PutItem": true, "Query": true, "Scan": true, "TransactGetItems": true,
	"TransactWriteItems": true, "UpdateItem": true,
}

// getRecords is the operation of DynamoDB Streams whose response holds both: items, and names of DynamoDB Local's.
const getRecords = "GetRecords"

// request puts DynamoDB Local's region into a request that may hold an ARN.
func (a arns) request(r *http.Request) {
	if onItems[operation(r)] || r.Body == nil {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		body = bytes.ReplaceAll(body, a.stacks(), a.local())
		r.ContentLength = int64(len(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	// A body that could not be read to its end fails again when it is sent.
	r.Body = &readBody{Reader: bytes.NewReader(body), err: err, closer: r.Body}
}

// A readBody is a body that is already read.
type readBody struct {
	io.Reader
	err    error // at its end, instead of io.EOF
	closer io.Closer
}

func (b *readBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) && b.err != nil {
		err = b.err
	}
	return n, err
}

func (b *readBody) Close() error { return b.closer.Close() }

// response puts the stack's region into a response.
func (a arns) response(r *http.Response) error {
	name := operation(r.Request)
	if onItems[name] {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	_ = r.Body.Close()
	var renamed []byte
	if name == getRecords && r.StatusCode == http.StatusOK {
		if renamed, err = a.records(body); err != nil {
			return fmt.Errorf("read the answer to %s: %w", getRecords, err)
		}
	} else {
		renamed = bytes.ReplaceAll(body, a.local(), a.stacks())
	}
	setBody(r, renamed)
	if !bytes.Equal(body, renamed) && r.Header.Get(checksum) != "" {
		setChecksum(r, renamed)
	}
	return nil
}

// records renames what the response to GetRecords says beside the items: the next iterator and each record's region.
// Source: DynamoDB Streams API reference, GetRecords.
func (a arns) records(body []byte) ([]byte, error) {
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	if next, ok := answer["NextShardIterator"]; ok {
		answer["NextShardIterator"] = bytes.ReplaceAll(next, a.local(), a.stacks())
	}
	var records []map[string]json.RawMessage
	if raw, ok := answer["Records"]; ok {
		if err := json.Unmarshal(raw, &records); err != nil {
			return nil, err
		}
		for _, record := range records {
			if strings.Trim(string(record["awsRegion"]), `"`) == localRegion {
				record["awsRegion"] = json.RawMessage(strconv.Quote(a.region))
			}
		}
		list, err := marshal(records)
		if err != nil {
			return nil, err
		}
		answer["Records"] = list
	}
	return marshal(answer)
}

// marshal encodes a value and leaves what is already JSON as it is: <, > and & are not escaped.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
