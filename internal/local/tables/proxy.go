package tables

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// answeredBeforeCommit holds the operations that DynamoDB Local answers before it has committed them to its file: a
// kill in the milliseconds between loses what was acknowledged. Measured with 3.3.0 by the rollback journal, which was
// still open after 100 of 100 responses to TransactWriteItems and after none to the operations on one item.
var answeredBeforeCommit = map[string]bool{
	"TransactWriteItems": true,
	"ExecuteTransaction": true,
}

// newProxy returns the endpoint for the clients. It holds the response to an operation of answeredBeforeCommit until
// the operation is on disk, and names what it has in the stack's region.
func newProxy(server http.RoundTripper, client *dynamodb.Client, region string) http.Handler {
	target := &url.URL{Scheme: "http", Host: anyHost}
	names := arns{region: region}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			names.request(r.Out)
		},
		Transport: server,
		ModifyResponse: func(r *http.Response) error {
			if err := names.response(r); err != nil {
				return err
			}
			if r.StatusCode != http.StatusOK {
				return completeError(r)
			}
			if answeredBeforeCommit[operation(r.Request)] {
				return awaitCommit(r.Request.Context(), client)
			}
			return nil
		},
		ErrorHandler: serveUnavailable,
	}
}

// anyHost stands for DynamoDB Local in URLs; the transport replaces it with the real address.
const anyHost = "dynamodb-local"

// newTransport returns a transport that sends every request to the server, whose address changes with each start. Each
// connection begins with the secret, without which the server takes none.
func newTransport(server func() (address string, err error), secret string) *http.Transport {
	return &http.Transport{
		DisableCompression:  true, // bodies pass unchanged: clients check their length and checksum
		MaxIdleConnsPerHost: 256,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			address, err := server()
			if err != nil {
				return nil, err
			}
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if _, err := io.WriteString(conn, secret); err != nil {
				_ = conn.Close()
				return nil, err
			}
			return conn, nil
		},
	}
}

// checksum is the header with the CRC-32 of the body.
const checksum = "X-Amz-Crc32"

// DynamoDB Local's words for a table that it does not have, and what a caller here can do about it.
const (
	noTable  = "Cannot do operations on a non-existent table"
	tryTable = "Requested resource not found: the local run has the tables of its stacks only. " +
		"Run the stack with the table too (--stack), let an empty one stand in for it (--stand-in table=NAME:KEY=S), " +
		"or create it at this endpoint (aws dynamodb create-table --endpoint-url)"
)

// completeError explains the error for a missing table, which may belong to another stack, and adds the checksum that
// DynamoDB sends with every response, and DynamoDB Local only with successes. The SDK reads a missing one as 0 and writes
// a warning to the log of each function.
func completeError(r *http.Response) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read the error: %w", err)
	}
	_ = r.Body.Close()
	explained := bytes.ReplaceAll(body, []byte(noTable), []byte(tryTable))
	setBody(r, explained)
	if r.Header.Get(checksum) == "" || !bytes.Equal(body, explained) {
		setChecksum(r, explained)
	}
	return nil
}

// setBody replaces the body of a response.
func setBody(r *http.Response, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

func setChecksum(r *http.Response, body []byte) {
	r.Header.Set(checksum, strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
}

// operation returns the X of "X-Amz-Target: DynamoDB_20120810.X".
func operation(r *http.Request) string {
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return name
}

// awaitCommit returns once everything that was answered before is on disk. DynamoDB Local handles the operations on
// its file in one queue, so a request that reads the file is answered after the commits before it.
func awaitCommit(ctx context.Context, client *dynamodb.Client) error {
	_, err := client.ListTables(ctx, &dynamodb.ListTablesInput{Limit: aws.Int32(1)})
	if err != nil {
		return fmt.Errorf("wait for the commit: %w", err)
	}
	return nil
}

// serveUnavailable answers while DynamoDB Local does not run, and when it ended before it committed. For the client
// this is a server error that it may retry: whether the write happened is unknown.
// Source: DynamoDB developer guide, Programming.Errors, InternalServerError (HTTP 500).
func serveUnavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":%q}`, "DynamoDB Local: "+err.Error())
}
