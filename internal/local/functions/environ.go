package functions

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// environ returns everything that a process of the function sees of the world, as Lambda sets it: neither HOME nor
// TMPDIR are there. Where a name is set twice the last one holds. The template's variables override nothing of the rest
// but what Lambda lets them (see checkVariables).
// Source: Lambda developer guide, configuration-envvars, "Defined runtime environment variables".
func (f *function) environ(runtimeAPI string) []string {
	env := f.unreserved()
	for name, value := range f.props.Environment.Variables {
		env = append(env, name+"="+value)
	}
	env = append(env,
		"TZ=:UTC",
		"AWS_LAMBDA_RUNTIME_API="+runtimeAPI,
		"AWS_LAMBDA_FUNCTION_NAME="+f.name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(f.memorySize()),
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME="+f.logGroup(),
		"AWS_LAMBDA_LOG_STREAM_NAME="+newLogStream(),
		"LAMBDA_TASK_ROOT="+f.program.root,
		"LAMBDA_RUNTIME_DIR="+f.dir,
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
	if !f.osOnly() {
		env = append(env, "AWS_EXECUTION_ENV=AWS_Lambda_"+f.props.Runtime)
	}
	// Credentials of a role are temporary: they come with a token.
	env = append(env, "AWS_SESSION_TOKEN=local")
	return append(env, f.service.cfg.Cloud.Assume(f.props.Role, f.name).Environ()...)
}

// unreserved returns the variables that the template may override.
//
// LD_LIBRARY_PATH has Lambda's folders and not those of the system, which the loader of this machine knows better. The
// X-Ray daemon is nobody at loopback: an address of Lambda's would lead out of this machine.
func (f *function) unreserved() []string {
	env := []string{
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"LD_LIBRARY_PATH=" + strings.Join([]string{f.dir, f.dir + "/lib", f.program.root, f.program.root + "/lib", "/opt/lib"}, ":"),
		"AWS_XRAY_CONTEXT_MISSING=LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS=127.0.0.1:2000",
	}
	switch version := strings.TrimSuffix(strings.TrimPrefix(f.props.Runtime, "nodejs"), ".x"); {
	case strings.HasPrefix(f.props.Runtime, "nodejs"):
		env = append(env, "NODE_PATH=/opt/nodejs/node"+version+"/node_modules:/opt/nodejs/node_modules:"+f.dir+"/node_modules")
	case strings.HasPrefix(f.props.Runtime, "python"):
		env = append(env, "PYTHONPATH="+f.dir)
	}
	return env
}

// osOnly reports whether the runtime is the operating system alone, without one for a language.
func (f *function) osOnly() bool { return strings.HasPrefix(f.props.Runtime, "provided") }

// memorySize returns the function's memory in MB.
func (f *function) memorySize() int { return int(orDefault(f.props.MemorySize, defaultMemory)) }

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
