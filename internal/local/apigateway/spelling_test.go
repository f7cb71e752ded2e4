package apigateway

import (
	"slices"
	"strings"
	"testing"
)

// TestFramingInPieces checks that it does not matter how the bytes of a connection arrive, and that bytes which are not
// HTTP end the search.
func TestFramingInPieces(t *testing.T) {
	const requests = "\r\nPOST /a HTTP/1.1\r\nHost: h\r\nX-a: 1\r\n folded\r\ncontent-LENGTH: 12\r\n\r\nX-B: 1\r\n\r\nGE" +
		"PUT /b HTTP/1.1\nTransfer-encoding: Chunked\n\n3\r\n0\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n" +
		"GET /c HTTP/1.1\r\nx-C: 1\r\n\r\n"
	const want = "POST /a HTTP/1.1 [Host X-a content-LENGTH]; PUT /b HTTP/1.1 [Transfer-encoding]; GET /c HTTP/1.1 [x-C]"
	for _, size := range []int{1, 2, 7, len(requests)} {
		var f framing
		var found []string
		for piece := range slices.Chunk([]byte(requests), size) {
			f.read(piece, func(h head) { found = append(found, h.line+" ["+strings.Join(h.names, " ")+"]") })
		}
		if got := strings.Join(found, "; "); got != want {
			t.Errorf("in pieces of %d: %s\nwant %s", size, got, want)
		}
	}
	for _, broken := range []string{"GET / HTTP/1.1\r\nContent-Length: x\r\n", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", strings.Repeat("x", maxHeadLine+1)} {
		var f framing
		f.read([]byte(broken), func(head) {})
		if f.part != lost {
			t.Errorf("%.40q is taken for HTTP", broken)
		}
	}
}
