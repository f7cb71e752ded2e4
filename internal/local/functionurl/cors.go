package functionurl

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// corsProperties are the properties of Cors.
type corsProperties struct {
	AllowCredentials template.Bool
	AllowHeaders     []string
	AllowMethods     []string
	AllowOrigins     []string
	ExposeHeaders    []string
	MaxAge           template.Int // seconds
}

// A cors lets pages of some origins read answers.
type cors struct {
	origins   []string
	always    http.Header // what every answer to an allowed origin has
	preflight http.Header // what a preflight's answer has beside it
}

// maxAge limits MaxAge, in seconds.
// Source: Lambda API reference, API_Cors.
const maxAge = 86400

// newCORS checks the properties.
func newCORS(p *corsProperties) (*cors, error) {
	var problems []error
	allowed := []string{"*", http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut}
	for _, method := range p.AllowMethods {
		if !slices.Contains(allowed, method) {
			problems = append(problems, fmt.Errorf("Cors.AllowMethods must be some of %v, got %q", allowed, method))
		}
	}
	if p.MaxAge < 0 || p.MaxAge > maxAge {
		problems = append(problems, fmt.Errorf("Cors.MaxAge must be from 0 to %d seconds, got %d", maxAge, p.MaxAge))
	}
	c := &cors{origins: p.AllowOrigins, always: http.Header{}, preflight: http.Header{}}
	set := func(header http.Header, name string, values []string) {
		if len(values) > 0 {
			header.Set(name, strings.Join(values, ","))
		}
	}
	set(c.always, "Access-Control-Expose-Headers", p.ExposeHeaders)
	set(c.preflight, "Access-Control-Allow-Methods", p.AllowMethods)
	set(c.preflight, "Access-Control-Allow-Headers", p.AllowHeaders)
	if p.AllowCredentials {
		c.always.Set("Access-Control-Allow-Credentials", "true")
	}
	if p.MaxAge > 0 {
		c.preflight.Set("Access-Control-Max-Age", strconv.Itoa(int(p.MaxAge)))
	}
	return c, errors.Join(problems...)
}

// isPreflight reports whether a request asks what the page may send.
// Source: WHATWG, Fetch, "CORS-preflight request".
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// apply sets the headers of the configuration on an answer to an origin that it allows. They replace those of the function.
// Source: Lambda developer guide, urls-configuration, "Cross-origin resource sharing (CORS)".
func (c *cors) apply(r *http.Request, header http.Header) {
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(c.origins, "*") && !slices.Contains(c.origins, origin) {
		return
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Add("Vary", "Origin")
	maps.Copy(header, c.always)
	if isPreflight(r) {
		maps.Copy(header, c.preflight)
	}
}
