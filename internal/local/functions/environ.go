package functions

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"time"
)

// environ returns everything that a process of the function sees of the world, as Lambda sets it. Where a name
// is set twice the last one holds: the template's variables do not override what Lambda reserves, nor
// the endpoints that keep the function away from AWS.
// Source: Lambda developer guide, configuration-envvars, "Defined runtime environment variables".
func (f *function) environ(runtimeAPI string) []string {
	env := []string{
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"HOME=" + os.TempDir(),
		"TMPDIR=" + os.TempDir(),
	}
	for name, value := range f.props.Environment.Variables {
		env = append(env, name+"="+value)
	}
	env = append(env,
		"TZ=:UTC",
		"AWS_LAMBDA_RUNTIME_API="+runtimeAPI,
		"AWS_LAMBDA_FUNCTION_NAME="+f.name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(int(orDefault(f.props.MemorySize, defaultMemory))),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME="+f.logGroup(),
		"AWS_LAMBDA_LOG_STREAM_NAME="+newLogStream(),
		"LAMBDA_TASK_ROOT="+f.program.root,
		"_HANDLER="+f.props.Handler,
	)
	logging := f.props.LoggingConfig
	if logging.LogFormat != "" {
		env = append(env, "AWS_LAMBDA_LOG_FORMAT="+logging.LogFormat)
	}
	if logging.ApplicationLogLevel != "" {
		env = append(env, "AWS_LAMBDA_LOG_LEVEL="+logging.ApplicationLogLevel)
	}
	// Lambda leaves it out for the OS-only runtimes.
	if !strings.HasPrefix(f.props.Runtime, "provided") {
		env = append(env, "AWS_EXECUTION_ENV=AWS_Lambda_"+f.props.Runtime)
	}
	return append(env, f.service.cfg.Cloud.Assume(f.props.Role, f.name).Environ()...)
}

func (f *function) logGroup() string {
	if group := f.props.LoggingConfig.LogGroup; group != "" {
		return group
	}
	return "/aws/lambda/" + f.name
}

// newLogStream returns the name of a stream as Lambda does: one for each execution environment.
func newLogStream() string {
	var random [16]byte
	rand.Read(random[:])
	return time.Now().UTC().Format("2006/01/02") + "/[$LATEST]" + hex.EncodeToString(random[:])
}
