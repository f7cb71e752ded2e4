package golambda

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

// What Lambda allows. Source: Lambda API reference, CreateFunction.
const (
	lowestMemoryMiB    = 128
	highestMemoryMiB   = 10240
	shortestTimeout    = time.Second
	longestTimeout     = 15 * time.Minute
	longestDescription = 256
	// Source: Lambda developer guide, gettingstarted-limits.
	largestEnvironment = 4 << 10
)

// variableName is what Lambda takes as the name of an environment variable.
// Source: Lambda API reference, Environment.
var variableName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`)

// reservedVariables are the environment variables that Lambda sets itself and lets nobody set.
// Source: Lambda developer guide, configuration-envvars, "Defined runtime environment variables".
var reservedVariables = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
	"AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

// Validate returns an error that joins all that is wrong with the properties, or nil. It compiles nothing, and
// does not check values that are known only when the stack is deployed. A nil receiver counts as no
// properties.
func (p *FunctionProps) Validate() error {
	c := p.WithDefaults()
	return errors.Join(
		validateEntry(c.Entry, c.Module),
		validateArchitecture(c),
		c.Build.validate(),
		validateNumber("MemorySize", c.MemorySize, lowestMemoryMiB, highestMemoryMiB),
		validateTimeout(c.Timeout),
		validateNumber("ReservedConcurrentExecutions", c.ReservedConcurrentExecutions, 0, math.Inf(1)),
		validateDescription(c.Description),
		validateEnvironment(c.Environment),
		validateOptions(c.Options),
	)
}

func validateEntry(entry, module *string) error {
	if entry == nil || *entry == "" {
		return errors.New("Entry must be the folder of the function's main package, got none")
	}
	if module != nil {
		if err := (gobuild.Origin{Module: *module, Package: *entry}).Validate(); err != nil {
			return fmt.Errorf("Module and Entry: %w", err)
		}
		return nil // where it is, the go command knows
	}
	if info, err := os.Stat(*entry); err != nil || !info.IsDir() {
		return fmt.Errorf("Entry must be the folder of the function's main package, got %q, which is not a folder", *entry)
	}
	return nil
}

func validateArchitecture(c *FunctionProps) error {
	name := Architecture(*c.Architecture.Name())
	if _, known := goarch[name]; !known {
		return fmt.Errorf("Architecture must be %s or %s, got %q", ARM64, X86, name)
	}
	return nil
}

// validateNumber checks a whole number, which may be missing.
func validateNumber(name string, value *float64, lowest, highest float64) error {
	if value == nil || *awscdk.Token_IsUnresolved(value) {
		return nil
	}
	if *value >= lowest && *value <= highest && *value == math.Trunc(*value) {
		return nil
	}
	if math.IsInf(highest, 1) {
		return fmt.Errorf("%s must be a whole number, %v or more, got %v", name, lowest, *value)
	}
	return fmt.Errorf("%s must be a whole number from %v to %v, got %v", name, lowest, highest, *value)
}

func validateTimeout(timeout awscdk.Duration) error {
	if *timeout.IsUnresolved() {
		return nil
	}
	ms := *timeout.ToMilliseconds(&awscdk.TimeConversionOptions{Integral: jsii.Bool(false)})
	d := time.Duration(ms * float64(time.Millisecond))
	if d < shortestTimeout || d > longestTimeout || d%time.Second != 0 {
		return fmt.Errorf("Timeout must be whole seconds from %v to %v, got %v", shortestTimeout, longestTimeout, d)
	}
	return nil
}

func validateDescription(text *string) error {
	if text == nil || *awscdk.Token_IsUnresolved(text) {
		return nil
	}
	if n := utf8.RuneCountInString(*text); n > longestDescription {
		return fmt.Errorf("Description must have at most %d characters, got %d", longestDescription, n)
	}
	return nil
}

func validateEnvironment(variables *map[string]*string) error {
	if variables == nil {
		return nil
	}
	var problems []error
	size := 0
	for _, name := range slices.Sorted(maps.Keys(*variables)) {
		value := (*variables)[name]
		switch {
		case slices.Contains(reservedVariables, name):
			problems = append(problems, fmt.Errorf("Environment must not set %s, which Lambda sets itself", name))
		case !variableName.MatchString(name):
			problems = append(problems, fmt.Errorf("Environment must have names of two or more letters, digits and underscores that begin with a letter, got %q", name))
		}
		if value == nil {
			problems = append(problems, fmt.Errorf("Environment must have a value for %s, got nil", name))
			continue
		}
		size += len(name)
		if !strings.Contains(*value, tokenMark) {
			size += len(*value)
		}
	}
	if size > largestEnvironment {
		problems = append(problems, fmt.Errorf("Environment must take at most %d bytes, names included, got %d", largestEnvironment, size))
	}
	return errors.Join(problems...)
}

// tokenMark is in every text that is known only when the stack is deployed.
// Source: aws-cdk-lib, core/lib/private/encoding.ts.
const tokenMark = "${Token["
