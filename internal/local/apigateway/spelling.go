package apigateway

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
)

// API Gateway keeps the client's spelling of header names, and net/http does not: it is noted here while the bytes of a
// connection pass by.

// A spellingListener notes the spelling of header names on its connections.
type spellingListener struct{ net.Listener }

// Accept implements net.Listener.
func (l spellingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &spellingConn{Conn: conn}, nil
}

// A spellingConn is a connection of a client. Requests take their spelling in their order.
type spellingConn struct {
	net.Conn
	mu      sync.Mutex
	framing framing
	heads   []head // of requests that have not taken theirs
}

// A head is what a request begins with: the request line, and the names of the headers.
type head struct {
	line  string
	names []string
}

// Read implements net.Conn.
func (c *spellingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.framing.read(p[:n], func(h head) { c.heads = append(c.heads, h) })
	return n, err
}

// take returns the header names of the request, and discards those of requests before it, which were refused before
// they came to take them.
func (c *spellingConn) take(r *http.Request) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, h := range c.heads {
		if parts := strings.Fields(h.line); len(parts) >= 2 && parts[0] == r.Method && parts[1] == r.RequestURI {
			c.heads = c.heads[i+1:]
			return h.names
		}
	}
	return nil
}

type connectionKey struct{}

// withConnection makes the connection known to its requests. It is a server's ConnContext.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// spelled returns the request's headers with the client's spelling, where it is known, and without Host.
func spelled(r *http.Request) map[string][]string {
	var names []string
	if conn, ok := r.Context().Value(connectionKey{}).(*spellingConn); ok {
		names = conn.take(r)
	}
	all, used := map[string][]string{}, map[string]int{}
	for _, name := range names {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if values := r.Header[canonical]; used[canonical] < len(values) {
			all[name] = append(all[name], values[used[canonical]])
			used[canonical]++
		}
	}
	for canonical, values := range r.Header {
		if rest := values[used[canonical]:]; len(rest) > 0 {
			all[canonical] = append(all[canonical], rest...)
		}
	}
	return all
}

// maxHeadLine limits the bytes of one line; net/http refuses longer heads.
const maxHeadLine = http.DefaultMaxHeaderBytes

// A framing follows the requests of a connection.
// Source: RFC 9112, sections 2 to 7.
type framing struct {
	part    part
	line    []byte // the beginning of a line whose end has not come yet
	left    int64  // bytes of the body or chunk that have not come yet
	chunked bool
	head    head
}

type part int

const (
	requestLine part = iota
	headerLines
	fixedBody
	chunkSize
	chunkData
	chunkEnd
	trailerLines
	lost // not HTTP/1: net/http will refuse it
)

// read follows some bytes, and calls found with the head of each request when it is complete.
func (f *framing) read(p []byte, found func(head)) {
	for len(p) > 0 && f.part != lost {
		if f.part == fixedBody || f.part == chunkData {
			n := min(f.left, int64(len(p)))
			p, f.left = p[n:], f.left-n
			if f.left == 0 && f.part == fixedBody {
				f.part = requestLine
			} else if f.left == 0 {
				f.part = chunkEnd
			}
			continue
		}
		line, rest, complete := bytes.Cut(p, []byte("\n"))
		f.line, p = append(f.line, line...), rest
		switch {
		case len(f.line) > maxHeadLine:
			f.part = lost
		case complete:
			f.endLine(string(bytes.TrimSuffix(f.line, []byte("\r"))), found)
			f.line = f.line[:0]
		}
	}
}

func (f *framing) endLine(line string, found func(head)) {
	switch f.part {
	case requestLine:
		if line != "" {
			f.head, f.chunked, f.left, f.part = head{line: line}, false, 0, headerLines
		}
	case headerLines:
		if line == "" {
			found(f.head)
			f.part = f.bodyPart()
			return
		}
		f.header(line)
	case chunkSize:
		size, _, _ := strings.Cut(line, ";")
		f.left, f.part = f.size(size, 16), chunkData
		if f.left == 0 {
			f.part = trailerLines
		}
	case chunkEnd:
		f.part = chunkSize
	default: // trailerLines
		if line == "" {
			f.part = requestLine
		}
	}
	if f.left < 0 {
		f.part = lost
	}
}

// header notes one line of the headers.
func (f *framing) header(line string) {
	if line[0] == ' ' || line[0] == '\t' {
		return // it continues the line before it
	}
	name, value, _ := strings.Cut(line, ":")
	f.head.names = append(f.head.names, name)
	switch strings.ToLower(name) {
	case "content-length":
		f.left = f.size(value, 10)
	case "transfer-encoding":
		f.chunked = strings.EqualFold(strings.TrimSpace(value), "chunked")
	}
}

// bodyPart returns what follows the headers.
func (f *framing) bodyPart() part {
	switch {
	case f.chunked:
		return chunkSize
	case f.left > 0:
		return fixedBody
	default:
		return requestLine
	}
}

// size returns the number in the text, or a negative one when it is none.
func (*framing) size(text string, base int) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), base, 64)
	if err != nil {
		return -1
	}
	return n
}
