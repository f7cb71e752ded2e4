package functions

import (
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// What would lead a function's calls past the local endpoints is refused by name, all of it at once.
func TestWaysOutAreRefused(t *testing.T) {
	h := newHost(t)
	provision := func(variables map[string]any) error {
		_, err := h.Provisions()["AWS::Lambda::Function"](t.Context(), template.Resource{
			LogicalID: "Fn", PhysicalName: "Fn", Properties: map[string]any{
				"Runtime": "provided.al2023", "Handler": "bootstrap", "Environment": map[string]any{"Variables": variables},
			},
		})
		return err
	}
	bad := []string{
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_PROFILE", "AWS_CONFIG_FILE",
		"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "https_proxy", "HTTP_PROXY",
		"AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_LAMBDA_RUNTIME_API",
	}
	all := map[string]any{}
	for _, name := range bad {
		if err := provision(map[string]any{name: "x"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		all[name] = "x"
	}
	err := provision(all)
	for _, name := range bad {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("with all of them, %s is not named: %v", name, err)
		}
	}
	if err := checkVariables(map[string]string{"TABLE": "orders", "AWS_LAMBDAS": "fine", "MY_HTTP_PROXY": "fine", "AWS_XRAY_DAEMON_ADDRESS": "x"}); err != nil {
		t.Error(err)
	}
}
