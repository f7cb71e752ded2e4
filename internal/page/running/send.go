package running

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

const (
	// sendWithin is how long a request may take: API Gateway's integrations have 29 seconds.
	sendWithin = 40 * time.Second
	// maxResponse is the longest response. Source: API Gateway developer guide, limits: a payload has 10 MB.
	maxResponse = 10 << 20
)

// sender follows no redirect: the page shows the API's own answer, and nothing is sent anywhere else.
var sender = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// Methods returns the methods of the stacks' REST APIs.
func (r *Run) Methods(ctx context.Context) ([]page.Method, error) {
	shown, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	all := []page.Method{}
	for _, api := range shown.summary.APIs {
		some, err := methods(shown.Template(api.Stack))
		if err != nil {
			return nil, err
		}
		for _, m := range some {
			m.Stack = api.Stack
			all = append(all, m)
		}
	}
	return all, nil
}

// url returns the URL of the REST API of a stack.
func (r *Run) url(stack string) (string, error) {
	var names []string
	for _, api := range r.last().summary.APIs {
		if api.Stack == stack {
			return api.URL, nil
		}
		names = append(names, api.Stack)
	}
	return "", fmt.Errorf("stack must be one with a REST API, of %q, got %q", names, stack)
}

// Send sends a request to a REST API, signed with the developer's key: a method that asks for no signature ignores it.
func (r *Run) Send(ctx context.Context, in page.Request) (*page.Response, error) {
	api, err := r.url(in.Stack)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, in.Verb, strings.TrimSuffix(api, "/")+in.Path, strings.NewReader(in.Body))
	if err != nil {
		return nil, fmt.Errorf("send %s %s: %w", in.Verb, in.Path, err)
	}
	if in.Body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range in.Headers {
		request.Header.Set(name, value)
	}
	if err := r.sign(request, in.Body); err != nil {
		return nil, err
	}
	began := time.Now()
	response, err := sender.Do(request)
	if err != nil {
		return nil, fmt.Errorf("send %s %s: %w", in.Verb, in.Path, err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, io.LimitReader(response.Body, maxResponse)); err != nil {
		return nil, fmt.Errorf("read the response to %s %s: %w", in.Verb, in.Path, err)
	}
	return &page.Response{
		Status: response.StatusCode, Headers: response.Header, Body: body.String(),
		LatencyMS: float64(time.Since(began).Microseconds()) / 1000,
	}, nil
}

// sign signs a request as a caller of the API does.
func (r *Run) sign(request *http.Request, body string) error {
	sum := sha256.Sum256([]byte(body))
	key := aws.Credentials{AccessKeyID: cloud.DeveloperKey, SecretAccessKey: cloud.DeveloperKey}
	err := v4.NewSigner().SignHTTP(request.Context(), key, request, hex.EncodeToString(sum[:]), "execute-api", r.session.Cloud().Region, time.Now())
	if err != nil {
		return fmt.Errorf("sign %s %s: %w", request.Method, request.URL.Path, err)
	}
	return nil
}
