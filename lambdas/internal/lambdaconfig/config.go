// Package lambdaconfig configures the AWS SDK from what Lambda puts into a function's environment, and
// from nothing else.
//
// The SDK's own config package also knows profiles, single sign-on, assumed roles and instance metadata.
// No function in Lambda needs them, and they make up a sixth of its archive; docs/adr/0007 has the figures.
package lambdaconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// FromEnv is the configuration of a function's SDK clients: the region and the credentials of the
// function's role, and AWS_ENDPOINT_URL_<SERVICE> or AWS_ENDPOINT_URL where they are set. Its error names
// every variable that is missing.
//
// Credentials do not change while an execution environment lives.
// Source: Lambda developer guide, configuration-envvars, "Defined runtime environment variables"; AWS SDKs
// and tools reference guide, feature-ss-endpoints.
func FromEnv() (aws.Config, error) {
	var missing []error
	need := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			missing = append(missing, fmt.Errorf("environment variable %s is not set", name))
		}
		return value
	}
	role := aws.Credentials{
		AccessKeyID:     need("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: need("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
		Source:          "environment",
	}
	cfg := aws.Config{
		Region:        need("AWS_REGION"),
		Credentials:   aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return role, nil }),
		ConfigSources: []any{endpoints{}},
	}
	if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
		cfg.BaseEndpoint = &url
	}
	return cfg, errors.Join(missing...)
}

// endpoints tells SDK clients which endpoint the environment names for their service.
type endpoints struct{}

// GetServiceBaseEndpoint is what the SDK asks its configuration sources.
func (endpoints) GetServiceBaseEndpoint(_ context.Context, sdkID string) (string, bool, error) {
	url := os.Getenv("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(sdkID, " ", "_")))
	return url, url != "", nil
}
