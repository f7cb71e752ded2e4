// Package guard keeps the pages of the developer's browser out of the local run. Its listeners are on 127.0.0.1, but any
// page that the developer opens may send requests there: a form, an image, a script. A script of a page whose name was
// made to resolve to 127.0.0.1 (DNS rebinding) may also read the answers.
//
// Every listener is behind [AWS], [API] or [Page]. All refuse a Host that is not this machine's own name, which ends DNS
// rebinding, and what a browser says comes from another site. They differ in what they take:
//
//   - The AWS endpoints are for SDKs, which are no browsers. They refuse every request of a page, and every content type
//     but that of their API: a page cannot send one of those without asking first (a CORS preflight), and nobody
//     answers.
//   - The REST API takes what AWS's takes, from pages of this machine too: an app's own front end on
//     http://localhost:3000 is served by a program of the developer. Whether it may read the answers is, as on AWS, said
//     by the CORS headers that the API itself sends.
//   - The local run's own page takes requests of itself only.
package guard

import (
	"encoding/json"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// JSON are the media types of the APIs with AWS's JSON protocols.
var JSON = []string{"application/x-amz-json-1.0", "application/x-amz-json-1.1"}

// AWS returns a handler that passes on the requests of SDKs, and refuses those of pages. types are the media types that
// the API takes as a POST, which is then the only method; without any, all methods and types pass.
func AWS(next http.Handler, types ...string) http.Handler {
	return refusing(next, func(r *http.Request) error {
		if origin := r.Header.Get("Origin"); origin != "" {
			return fmt.Errorf("an AWS endpoint takes no request of a page, got one of the origin %q", origin)
		}
		if err := notCrossSite(r, "none"); err != nil {
			return err
		}
		return ofAPI(r, types)
	})
}

// API returns a handler that passes on the requests that the REST API may get: those of programs, of the address bar, and
// of pages that this machine serves.
func API(next http.Handler) http.Handler {
	return refusing(next, func(r *http.Request) error {
		if origin := r.Header.Get("Origin"); origin != "" {
			// A page cannot set it, so what a loopback page sends to another loopback name, which is
			// "cross-site", passes here too.
			return loopbackOrigin(origin)
		}
		return notCrossSite(r, "none", "same-origin", "same-site")
	})
}

// Page returns a handler that passes on the requests of the address bar and of the page that it serves itself, and refuses
// those of every other page, of this machine too.
func Page(next http.Handler) http.Handler {
	return refusing(next, func(r *http.Request) error {
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
			return fmt.Errorf("Origin must be http://%s, got %q", r.Host, origin)
		}
		return notCrossSite(r, "none", "same-origin")
	})
}

// refusing passes on what is meant for this machine and what allowed returns no error for.
func refusing(next http.Handler, allowed func(*http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := loopbackHost(r.Host)
		if err == nil {
			err = allowed(r)
		}
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "AccessDeniedException", "message": "refused by the local run: " + err.Error()})
	})
}

// loopbackHost checks a Host header, with or without a port.
func loopbackHost(host string) error {
	name := host
	if without, _, err := net.SplitHostPort(host); err == nil {
		name = without
	}
	if isLoopback(strings.Trim(name, "[]")) {
		return nil
	}
	return fmt.Errorf("Host must be 127.0.0.1, localhost or [::1], got %q", host)
}

func loopbackOrigin(origin string) error {
	if u, err := url.Parse(origin); err == nil && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("Origin must be of 127.0.0.1, localhost or [::1], got %q", origin)
}

func isLoopback(name string) bool {
	return slices.Contains([]string{"127.0.0.1", "localhost", "::1"}, strings.ToLower(name))
}

// notCrossSite checks where a browser says that the request comes from. A program that is no browser says nothing.
// Source: W3C, Fetch Metadata Request Headers, Sec-Fetch-Site.
func notCrossSite(r *http.Request, allowed ...string) error {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && !slices.Contains(allowed, site) {
		return fmt.Errorf("Sec-Fetch-Site must be %s, got %q", strings.Join(allowed, " or "), site)
	}
	return nil
}

// ofAPI checks that the request has the method and the media type of the API.
func ofAPI(r *http.Request, types []string) error {
	if len(types) == 0 {
		return nil
	}
	if r.Method != http.MethodPost {
		return fmt.Errorf("the method must be POST, got %s", r.Method)
	}
	given := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(given); err == nil && slices.Contains(types, media) {
		return nil
	}
	return fmt.Errorf("Content-Type must be %s, got %q", strings.Join(types, " or "), given)
}
