package lambdaconfig_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/lambdas/internal/lambdaconfig"
)

func TestFromEnvNamesWhatIsMissing(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	_, err := lambdaconfig.FromEnv()
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, which does not name %s", err, name)
		}
	}
}

// A client signs with the role's credentials and goes where the environment says, its own variable first.
func TestFromEnvConfiguresClients(t *testing.T) {
	serve := func() (*httptest.Server, <-chan string) {
		signed := make(chan string, 1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			signed <- r.Header.Get("Authorization") + " " + r.Header.Get("X-Amz-Security-Token")
			_, _ = w.Write([]byte("{}"))
		}))
		t.Cleanup(server.Close)
		return server, signed
	}
	tables, signedTables := serve()
	others, signedOthers := serve()
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "key-of-the-role")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "token-of-the-role")
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", tables.URL)
	t.Setenv("AWS_ENDPOINT_URL", others.URL)
	cfg, err := lambdaconfig.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.DisableValidateResponseChecksum = true }).ListTables(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for service, got := range map[string]string{"dynamodb": <-signedTables, "sqs": <-signedOthers} {
		for _, want := range []string{"key-of-the-role/", "/eu-central-1/" + service + "/", "token-of-the-role"} {
			if !strings.Contains(got, want) {
				t.Errorf("the request to %s was signed %q, which does not hold %q", service, got, want)
			}
		}
	}
}
