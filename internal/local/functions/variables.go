package functions

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
)

// reserved holds the names that Lambda sets itself. It refuses a function that sets one of them.
// Source: Lambda developer guide, configuration-envvars, "Defined runtime environment variables".
var reserved = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
	"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL", "AWS_LAMBDA_RUNTIME_API",
	"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

// waysOut holds the names by which an SDK would find another endpoint than those of the local run, a configuration that
// has one, or other credentials than those that are good for nothing.
// Source: AWS SDKs and Tools reference guide, settings-reference.
var waysOut = []string{
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_*", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SDK_LOAD_CONFIG",
	"AWS_CONTAINER_CREDENTIALS_*", "AWS_CONTAINER_AUTHORIZATION_*", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
	"AWS_EC2_METADATA_*",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
}

const (
	// execWrapper names a script that starts the runtime in place of Lambda.
	// Source: Lambda developer guide, runtimes-modify, "Wrapper scripts".
	execWrapper = "AWS_LAMBDA_EXEC_WRAPPER"
	// xrayDaemon is where traces are sent, as UDP packets.
	// Source: X-Ray developer guide, xray-sdk-go-configuration, "Environment variables".
	xrayDaemon = "AWS_XRAY_DAEMON_ADDRESS"
)

// checkVariables returns an error that names every variable that the template must not set: it says so instead of setting
// another value, because a function that is led elsewhere on AWS is not the one that would run here.
func checkVariables(variables map[string]string) error {
	var taken, out []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		switch {
		case matches(reserved, name):
			taken = append(taken, name)
		case matches(waysOut, strings.ToUpper(name)): // a proxy may be set in small letters
			out = append(out, name)
		}
	}
	var problems []error
	if taken != nil {
		problems = append(problems, fmt.Errorf("Environment must not set %s: Lambda reserves it", strings.Join(taken, ", ")))
	}
	if out != nil {
		problems = append(problems, fmt.Errorf("Environment must not set %s in the local run: it would lead the function's calls past the local endpoints", strings.Join(out, ", ")))
	}
	if variables[execWrapper] != "" {
		problems = append(problems, fmt.Errorf("Environment must not set %s in the local run, which starts the runtime itself and without the script %q", execWrapper, variables[execWrapper]))
	}
	if at, set := variables[xrayDaemon]; set && !onLoopback(at) {
		problems = append(problems, fmt.Errorf("Environment must set %s to an address of loopback in the local run, such as 127.0.0.1:2000, got %q: traces would leave this machine", xrayDaemon, at))
	}
	return errors.Join(problems...)
}

// onLoopback reports whether the addresses of an X-Ray daemon are all of loopback: one for both protocols, or one each, as
// in "tcp:127.0.0.1:2000 udp:127.0.0.1:2001".
func onLoopback(addresses string) bool {
	all := strings.Fields(addresses)
	for _, address := range all {
		address = strings.TrimPrefix(strings.TrimPrefix(address, "tcp:"), "udp:")
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return len(all) > 0
}

// matches reports whether a name is one of the list, where a * at the end stands for anything.
func matches(list []string, name string) bool {
	return slices.ContainsFunc(list, func(one string) bool {
		prefix, open := strings.CutSuffix(one, "*")
		return one == name || open && strings.HasPrefix(name, prefix)
	})
}
