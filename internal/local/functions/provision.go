package functions

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Lambda's defaults. Source: Lambda API reference, CreateFunction.
const (
	defaultMemory  = 128 // MB
	defaultTimeout = 3   // seconds
)

// defaultConcurrency is how many processes a function without ReservedConcurrentExecutions may have. On
// AWS the account's limit of 1000 would hold; here a burst must not fill the machine.
const defaultConcurrency = 10

// idleTime is how long an execution environment is kept without an invocation. Lambda does not say
// how long it keeps one.
const idleTime = 5 * time.Minute

// functionName is what Lambda takes as a name. It is the name of a folder here.
// Source: Lambda API reference, CreateFunction.
var functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// properties of AWS::Lambda::Function.
type properties struct {
	FunctionName string
	PackageType  string
	Runtime      string
	Handler      string
	Code         struct {
		ZipFile         string
		S3Bucket        template.Ignored // the assembly has the file
		S3Key           string
		S3ObjectVersion template.Ignored
	}
	MemorySize                   template.Int
	Timeout                      template.Int
	ReservedConcurrentExecutions *template.Int
	Environment                  struct{ Variables map[string]string }
	LoggingConfig                struct {
		LogFormat           string
		LogGroup            string
		ApplicationLogLevel string
		SystemLogLevel      string
	}
	TracingConfig    struct{ Mode string }
	DeadLetterConfig struct{ TargetArn string } // for asynchronous invocations
	Role             string
	Layers           []string

	Architectures           template.Ignored // a Go function is compiled for this machine, an asset is looked at
	CodeSigningConfigArn    template.Ignored
	Description             template.Ignored
	EphemeralStorage        template.Ignored
	KmsKeyArn               template.Ignored
	RecursiveLoop           template.Ignored
	RuntimeManagementConfig template.Ignored
	SnapStart               template.Ignored
	Tags                    template.Ignored
	VpcConfig               template.Ignored
}

// provision declares a function and starts to prepare its program.
func (s *Service) provision(_ context.Context, r template.Resource) (template.Attributes, error) {
	f, source, err := s.declare(r)
	if err != nil {
		return template.Attributes{}, err
	}
	if same := s.takeBefore(r); same != nil {
		return same.attributes(), s.add(same)
	}
	if s.isRenewed() {
		f.dir = s.nextDir(f) // the one before may have the folder with its name
	}
	if err := s.add(f); err != nil {
		return template.Attributes{}, err
	}
	f.prepare(s.work(f, source, s.currentBuilder()))
	return f.attributes(), nil
}

// work returns what prepares the program of a function.
func (s *Service) work(f *function, source *source, builder *gobuild.Builder) func(context.Context) (program, error) {
	return func(ctx context.Context) (program, error) {
		if source != nil {
			return s.build(ctx, builder, f.resource.Dir, source, f.dir)
		}
		return fromAsset(ctx, f.props, f.assets(), f.dir)
	}
}

// assets are where the code of a function that is not compiled here lies.
func (f *function) assets() assets {
	path, r := localCode(f.resource)
	return assetsOf(r, path)
}

func (f *function) attributes() template.Attributes {
	return template.Attributes{Ref: f.name, GetAtt: map[string]string{"Arn": f.arn}}
}

// declare returns the function that a resource declares, and where its Go source is, if it has any.
func (s *Service) declare(declared template.Resource) (*function, *source, error) {
	_, r := localCode(declared)
	var p properties
	if err := r.Decode(&p); err != nil {
		return nil, nil, err
	}
	if p.PackageType != "" && p.PackageType != "Zip" {
		return nil, nil, fmt.Errorf("PackageType must be Zip for the local run, got %q", p.PackageType)
	}
	if len(p.Layers) > 0 {
		return nil, nil, fmt.Errorf("Layers must be empty for the local run, which puts no files into /opt: put those of %s into the function's code", strings.Join(p.Layers, ", "))
	}
	if n := p.ReservedConcurrentExecutions; n != nil && *n < 0 {
		return nil, nil, fmt.Errorf("ReservedConcurrentExecutions must be a whole number, 0 or more, got %d", *n)
	}
	if err := checkDeadLetterQueue(p.DeadLetterConfig.TargetArn); err != nil {
		return nil, nil, err
	}
	if err := checkVariables(p.Environment.Variables); err != nil {
		return nil, nil, err
	}
	source, err := goSource(r)
	if err != nil {
		return nil, nil, err
	}
	if p.FunctionName == "" {
		p.FunctionName = r.PhysicalName
	}
	if !functionName.MatchString(p.FunctionName) {
		return nil, nil, fmt.Errorf("FunctionName must be 1 to 64 letters, digits, dashes and underscores, got %q", p.FunctionName)
	}
	return newFunction(s, declared, p), source, nil
}

// checkDeadLetterQueue returns an error unless a dead-letter queue can run here.
// Source: Lambda developer guide, invocation-async-retain-records, "Adding a dead-letter queue".
func checkDeadLetterQueue(arn string) error {
	if arn != "" && (!strings.HasPrefix(arn, "arn:aws:sqs:") || strings.HasSuffix(arn, ".fifo")) {
		return fmt.Errorf("DeadLetterConfig.TargetArn must be the ARN of a standard SQS queue in the local run, got %q", arn)
	}
	return nil
}

func newFunction(s *Service, r template.Resource, p properties) *function {
	concurrency := defaultConcurrency
	if p.ReservedConcurrentExecutions != nil {
		concurrency = int(*p.ReservedConcurrentExecutions)
	}
	return &function{
		service:     s,
		resource:    r,
		logicalID:   r.LogicalID,
		name:        p.FunctionName,
		arn:         s.cfg.Cloud.ARN("lambda", "function:"+p.FunctionName),
		props:       p,
		dir:         filepath.Join(s.cfg.Dir, p.FunctionName),
		timeout:     time.Duration(orDefault(p.Timeout, defaultTimeout)) * time.Second,
		initTimeout: initTimeout,
		idleTime:    idleTime,
		slots:       make(chan struct{}, concurrency),
		prepared:    make(chan struct{}),
	}
}

func orDefault(value, fallback template.Int) template.Int {
	if value == 0 {
		return fallback
	}
	return value
}

func (s *Service) add(f *function) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.functions[f.arn]; other != nil {
		return fmt.Errorf("FunctionName %q is taken by %s", f.name, other.logicalID)
	}
	s.functions[f.arn] = f
	return nil
}
