// Package web has what the services have in common whose callers are browsers and other programs of HTTP: the REST API and
// the URLs of functions.
package web
