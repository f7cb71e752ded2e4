package functions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// MaxRequest is the largest payload of an invocation, in bytes.
// Source: Lambda developer guide, gettingstarted-limits: 6 MB for synchronous invocations.
const MaxRequest = 6 << 20

// A Config is what a Service needs. Fields without a default are required.
type Config struct {
	Cloud *cloud.Cloud
	// Dir takes what is compiled, in one folder a function.
	Dir string
	// Declared are the functions of the stacks, as far as known before they are provisioned: those with Go
	// source are then built together. Default: none.
	Declared []template.Resource
	// Sink takes each line that a function logs, and a report when one crashes, times out or does not start.
	Sink hop.Sink
	// Wrap may put something in front of the Runtime API of each execution environment, for example
	// faults. Default: nothing.
	Wrap func(Environment, http.Handler) http.Handler
}

// An Environment is an execution environment as Wrap sees it.
type Environment struct {
	Function string // logical id
	// Kill ends the process with kill -9 and returns when it has ended.
	Kill func()
}

// A Service hosts the functions of a run.
type Service struct {
	cfg  Config
	life context.Context // done when the service is closed
	stop context.CancelFunc

	mu           sync.Mutex
	functions    map[string]*function // by ARN
	qualified    map[string]string    // ARN of the function by the ARNs of its versions and aliases
	published    map[string]int       // versions by the ARN of the function
	renewed      bool                 // Reset was called
	before       []*function          // of the template before, that this one has not declared again
	replacements int                  // folders that nextDir has given away
	builder      *gobuild.Builder
	running      sync.WaitGroup // compilers and execution environments; mu guards Add against Close
}

// New returns a host without functions, which begins to build those that are declared. Close ends what it starts.
func New(cfg Config) *Service {
	life, stop := context.WithCancel(context.Background())
	s := &Service{cfg: cfg, life: life, stop: stop, functions: map[string]*function{}, qualified: map[string]string{}, published: map[string]int{}, builder: gobuild.New(goCommand)}
	s.buildDeclared()
	return s
}

// Provisions returns what creates the resource types of this package. A function begins to be compiled when it is
// provisioned; Prepare waits for it.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::Lambda::Function": s.provision,
		"AWS::Lambda::Version":  s.provisionVersion,
		"AWS::Lambda::Alias":    s.provisionAlias,
	}
}

// Prepare returns when every function can be started. Its error joins those of all functions that
// cannot be, and holds the compiler's output where one does not compile.
func (s *Service) Prepare(ctx context.Context) error {
	var problems []error
	for _, f := range s.all() {
		if err := f.ready(ctx); err != nil {
			problems = append(problems, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(problems...)
}

// Run prepares as [Service.Prepare] does and then waits until ctx is done, which is no error.
func (s *Service) Run(ctx context.Context) error {
	if err := s.Prepare(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// Invoke runs the function with that ARN, or that of a version or an alias, and returns its response, at most MaxResponse bytes. It waits
// for an execution environment while all are busy. A *FunctionError means that the function failed. When
// ctx is done first, the function's process is killed.
func (s *Service) Invoke(ctx context.Context, arn string, payload []byte) ([]byte, error) {
	f, err := s.acquire(arn)
	if err != nil {
		return nil, err
	}
	defer f.users.Done()
	if len(payload) > MaxRequest {
		return nil, fmt.Errorf("invoke %s: %w: %d bytes, at most %d are allowed", f.logicalID, ErrRequestTooLarge, len(payload), MaxRequest)
	}
	response, err := f.invoke(ctx, arn, payload)
	var failed *FunctionError
	switch {
	case err == nil || errors.As(err, &failed) && s.life.Err() == nil:
		return response, err
	case s.life.Err() != nil:
		return nil, fmt.Errorf("invoke %s: %w", f.logicalID, ErrClosed)
	default:
		return nil, fmt.Errorf("invoke %s: %w", f.logicalID, err)
	}
}

// Timeout returns the timeout of the function with that ARN, and whether there is one.
func (s *Service) Timeout(arn string) (timeout time.Duration, found bool) {
	f, err := s.find(arn)
	if err != nil {
		return 0, false
	}
	return f.timeout, true
}

// LogicalID returns the logical id of the function with that name, and whether there is one.
func (s *Service) LogicalID(name string) (id string, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.functions {
		if f.name == name {
			return f.logicalID, true
		}
	}
	return "", false
}

// DeadLetterQueue returns the ARN of the queue that gets what an asynchronous invocation of the function has failed on, or ""
// where it has none.
func (s *Service) DeadLetterQueue(arn string) string {
	f, err := s.find(arn)
	if err != nil {
		return ""
	}
	return f.props.DeadLetterConfig.TargetArn
}

// Exists reports whether there is a function, a version or an alias with that ARN.
func (s *Service) Exists(arn string) bool {
	_, err := s.find(arn)
	return err == nil
}

// Close ends every function's process, even a hung one, and returns when all have ended.
func (s *Service) Close() {
	s.stop()
	s.mu.Lock()
	s.mu.Unlock() //nolint:staticcheck // waits for a spawn that is under way: nothing is added to running from here on
	s.running.Wait()
}

// spawn runs work that Close waits for. It reports false when the service is closed.
func (s *Service) spawn(work func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return false
	}
	s.running.Go(work)
	return true
}

func (s *Service) all() []*function {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.functions), func(a, b *function) int { return strings.Compare(a.arn, b.arn) })
}

func (s *Service) find(arn string) (*function, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookUp(arn)
}

// acquire finds a function for an invocation, which calls users.Done at its end.
func (s *Service) acquire(arn string) (*function, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := s.lookUp(arn)
	if err == nil {
		f.users.Add(1)
	}
	return f, err
}

// lookUp returns the function with that ARN, or that of a version or an alias. Its caller holds the lock.
func (s *Service) lookUp(arn string) (*function, error) {
	if of, qualified := s.qualified[arn]; qualified {
		arn = of
	}
	if f := s.functions[arn]; f != nil {
		return f, nil
	}
	known := "there are none"
	if len(s.functions) > 0 {
		known = "there are " + strings.Join(slices.Sorted(maps.Keys(s.functions)), ", ")
	}
	return nil, fmt.Errorf("%w: %s; %s", ErrNotFound, arn, known)
}
