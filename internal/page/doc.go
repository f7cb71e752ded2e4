// Package page serves a web page that shows a stack at work: how events move through it, each event's timeline, and the
// dead-letter messages. Of a stack on this machine it also sends requests and switches faults.
//
// A [Server] shows what a [Backend] knows. It is for the developer's own browser, and nothing else: it listens on 127.0.0.1,
// takes requests of its own page only, and changes something only for a request with the token that it gave to its page.
// The page loads nothing from anywhere else.
package page

import "errors"

// ErrNotFound is the error for an id that the backend does not know.
var ErrNotFound = errors.New("not found")
