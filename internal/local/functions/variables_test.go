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
	if err := checkVariables(map[string]string{"TABLE": "orders", "AWS_LAMBDAS": "fine", "MY_HTTP_PROXY": "fine", "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000", "AWS_LAMBDA_MINE": "fine"}); err != nil {
		t.Error(err)
	}
}

// A wrapper is a user's to set, and does not run here; traces stay here.
func TestAWrapperAndATraceDaemonAreRefused(t *testing.T) {
	err := checkVariables(map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": "/opt/otel-handler"})
	if err == nil || strings.Contains(err.Error(), "reserves") || !strings.Contains(err.Error(), `without the script "/opt/otel-handler"`) {
		t.Errorf("a wrapper: %v", err)
	}
	for address, fine := range map[string]bool{
		"127.0.0.1:2000": true, "localhost:2000": true, "[::1]:2000": true, "tcp:127.0.0.1:2000 udp:127.0.0.2:2001": true,
		"169.254.100.1:2000": false, "xray.example:2000": false, "127.0.0.1.example:2000": false, "tcp:127.0.0.1:2000 udp:10.0.0.1:2000": false, "": false, "127.0.0.1": false,
	} {
		err := checkVariables(map[string]string{"AWS_XRAY_DAEMON_ADDRESS": address})
		if fine != (err == nil) || !fine && !strings.Contains(err.Error(), "an address of loopback") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
