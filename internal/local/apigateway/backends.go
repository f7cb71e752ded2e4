package apigateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

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

func (mock) call(_ context.Context, request backendRequest) (*backendResponse, error) {
	status, err := mockStatus(request.body)
	if err != nil {
		return nil, internal(default5xx, fmt.Errorf("the request template of a MOCK integration must make {\"statusCode\": <number>}, got %s: %w", excerptOf(request.body), err))
	}
	return &backendResponse{status: status, header: http.Header{}}, nil
}

// mockStatus returns the statusCode in the text, which must be a number. Names need no quotes, as in { statusCode: 200 },
// which CDK writes for CORS.
func mockStatus(text []byte) (int, error) {
	var answer struct {
		StatusCode *int `json:"statusCode"`
	}
	if err := json.Unmarshal(quoteNames(text), &answer); err != nil {
		return 0, err
	}
	if answer.StatusCode == nil || *answer.StatusCode < 100 || *answer.StatusCode > 599 {
		return 0, errors.New("statusCode must be a number from 100 to 599")
	}
	return *answer.StatusCode, nil
}

// bareNames matches, outside of strings, a name without quotes before a colon; strings match as well, to be skipped.
var bareNames = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[A-Za-z_$][\w$]*\s*:`)

// quoteNames puts names and strings in single quotes into the quotes of JSON.
func quoteNames(text []byte) []byte {
	return bareNames.ReplaceAllFunc(text, func(found []byte) []byte {
		switch found[0] {
		case '"':
			return found
		case '\'':
			return strconv.AppendQuote(nil, string(found[1:len(found)-1]))
		default:
			name, _, _ := strings.Cut(string(found), ":")
			return []byte(strconv.Quote(strings.TrimSpace(name)) + ":")
		}
	})
}
