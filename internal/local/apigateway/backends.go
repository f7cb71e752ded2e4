package apigateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
)

// A dynamoDB calls one action of DynamoDB with the output of the request template.
type dynamoDB struct {
	cloud  *cloud.Cloud
	action string
}

// backends keeps connections to the backends open between requests.
var backends = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// call implements backend.
// Source: DynamoDB developer guide, Programming.LowLevelAPI.
func (d *dynamoDB) call(ctx context.Context, request backendRequest) (*backendResponse, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.cloud.Endpoint(cloud.DynamoDB), bytes.NewReader(request.body))
	if err != nil {
		return nil, fmt.Errorf("call DynamoDB: %w", err)
	}
	r.Header = request.header
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+d.action)
	// DynamoDB Local requires the form of a signature and checks only its scope.
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+d.cloud.AccessKey()+"/20120810/"+d.cloud.Region+"/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := backends.Do(r)
	if err != nil {
		return nil, fmt.Errorf("call DynamoDB's %s: %w", d.action, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer of DynamoDB's %s: %w", d.action, err)
	}
	return &backendResponse{status: answer.StatusCode, header: answer.Header, body: body}, nil
}

// mock returns the status in the output of the request template: {"statusCode": 200}.
// Source: API Gateway developer guide, how-to-mock-integration.
type mock struct{}

// mockStatus matches the status in text that need not be strict JSON: CDK itself writes { statusCode: 200 }.
var mockStatus = regexp.MustCompile(`\bstatusCode["']?\s*:\s*["']?([1-5]\d\d)\b`)

func (mock) call(_ context.Context, request backendRequest) (*backendResponse, error) {
	found := mockStatus.FindSubmatch(request.body)
	if found == nil {
		return nil, internal(default5xx, fmt.Errorf("the request template of a MOCK integration made no statusCode: %s", request.body))
	}
	status, err := strconv.Atoi(string(found[1]))
	return &backendResponse{status: status, header: http.Header{}}, err
}
