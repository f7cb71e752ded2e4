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

// lazy are the operations that DynamoDB Local answers before it has committed them to its file: a kill
// in the milliseconds between loses what was acknowledged. Measured with 3.3.0 by the rollback journal,
// which was still open after 100 of 100 answers to TransactWriteItems and after none to the operations
// on one item.
var lazy = map[string]bool{
	"TransactWriteItems": true,
	"ExecuteTransaction": true,
}

// newProxy is the endpoint that the clients talk to. It holds back the answer to a lazy operation until
// the operation is on disk.
func newProxy(server http.RoundTripper, client *dynamodb.Client) http.Handler {
	target := &url.URL{Scheme: "http", Host: anyHost}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: server,
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return addChecksum(r)
			}
			if lazy[operation(r.Request)] {
				return commit(r.Request.Context(), client)
			}
			return nil
		},
		ErrorHandler: unavailable,
	}
}

// anyHost stands for DynamoDB Local in URLs: where it is only the transport knows.
const anyHost = "dynamodb-local"

// newTransport takes every request to the server, which is at another address after each start.
func newTransport(server func() (address string, err error)) *http.Transport {
	return &http.Transport{
		DisableCompression:  true, // bodies pass as they are: clients check their length and checksum
		MaxIdleConnsPerHost: 256,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			address, err := server()
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
}

// checksum is the header with the CRC-32 of the body.
const checksum = "X-Amz-Crc32"

// addChecksum gives an error the checksum that DynamoDB sends with every answer and DynamoDB Local with
// successes only. The SDK takes a missing one for 0 and warns in the log of each function.
func addChecksum(r *http.Response) error {
	if r.Header.Get(checksum) != "" {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read the error: %w", err)
	}
	_ = r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set(checksum, strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	return nil
}

// operation is the X of "X-Amz-Target: DynamoDB_20120810.X".
func operation(r *http.Request) string {
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return name
}

// commit returns when everything that was answered before is on disk. DynamoDB Local works on its file
// in one queue, so any request that reads the file is answered after the commits before it.
func commit(ctx context.Context, client *dynamodb.Client) error {
	_, err := client.ListTables(ctx, &dynamodb.ListTablesInput{Limit: aws.Int32(1)})
	if err != nil {
		return fmt.Errorf("wait for the commit: %w", err)
	}
	return nil
}

// unavailable answers while DynamoDB Local is away, and when it went away before it committed. To the
// client that is a server error that it may retry: whether the write happened is unknown.
// Source: DynamoDB developer guide, Programming.Errors, InternalServerError (HTTP 500).
func unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":%q}`, "DynamoDB Local: "+err.Error())
}
