package queues

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/process"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

// ErrPortTaken is wrapped by Start's error when something else listens on the port.
var ErrPortTaken = errors.New("port is taken")

// startTimeout is how long fauxqs may take to start: it needs half a second, and much longer on a busy machine.
const startTimeout = 30 * time.Second

//go:embed server.mjs
var server []byte

// Config holds what [Start] needs.
type Config struct {
	Cloud *cloud.Cloud // Start sets its SQS endpoint
	Dir   string       // folder for the messages; created when it does not exist
	Port  int          // 0: the system chooses
	Log   io.Writer    // receives what fauxqs writes to stderr; default: discarded
	Sink  hop.Sink     // receives a hop of stage hop.Queue for each message that moves to a dead-letter queue; default: discarded
	// Permissions is the URL that decides whether a role may make a call. Default: every role may.
	Permissions string
}

// A Service is a running fauxqs and the queues of the stack in it.
type Service struct {
	cloud   *cloud.Cloud
	client  *sqs.Client
	process *process.Process
	stderr  *lastOutput
	sink    hop.Sink // nil: nobody asks

	mu       sync.RWMutex
	policies map[string]*iam.Policy // by queue ARN
	known    map[string]string      // logical ids of the stack's queues, by ARN
}

// Start starts fauxqs on the data in Dir and returns once it answers. It sets the cloud's SQS endpoint.
func Start(ctx context.Context, cfg Config) (*Service, error) {
	node, err := toolchain.Node(ctx)
	if err != nil {
		return nil, err
	}
	fauxqs, err := toolchain.Package("fauxqs")
	if err != nil {
		return nil, err
	}
	// Node resolves its arguments against its own working directory.
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start fauxqs: %w", err)
	}
	s := &Service{cloud: cfg.Cloud, stderr: &lastOutput{next: cfg.Log}, sink: cfg.Sink, policies: map[string]*iam.Policy{}, known: map[string]string{}}
	stdout, out := io.Pipe()
	s.process, err = process.Start(process.Spec{
		Path:   node,
		Args:   []string{"--disable-warning=ExperimentalWarning", "--input-type=module", "-", fauxqs, dir, strconv.Itoa(cfg.Port), cfg.Permissions},
		Stdin:  bytes.NewReader(server),
		Stdout: out,
		Stderr: s.stderr,
	})
	if err != nil {
		return nil, err
	}
	go func() {
		<-s.process.Done()
		out.Close()
	}()
	port, err := s.waitUntilReady(ctx, stdout, cfg.Port)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("start fauxqs: %w", err)
	}
	s.cloud.SetEndpoint(cloud.SQS, "http://127.0.0.1:"+strconv.Itoa(port))
	s.client = s.cloud.SQS()
	return s, nil
}

// waitUntilReady waits for the line of server.mjs and returns the port on which fauxqs listens.
func (s *Service) waitUntilReady(ctx context.Context, stdout io.Reader, port int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	line := make(chan []byte, 1)
	go func() {
		lines := bufio.NewReader(stdout)
		first, _ := lines.ReadBytes('\n')
		line <- first
		s.follow(lines)
	}()
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("wait until it answers: %w", ctx.Err())
	case first := <-line:
		var answer struct {
			Port  int
			Error string
		}
		if err := json.Unmarshal(first, &answer); err != nil {
			return 0, s.endError()
		}
		if answer.Error == "EADDRINUSE" {
			return 0, fmt.Errorf("%w: %d is in use; choose other ports with --port", ErrPortTaken, port)
		}
		if answer.Error != "" {
			return 0, fmt.Errorf("listen on 127.0.0.1:%d: %s", port, answer.Error)
		}
		return answer.Port, nil
	}
}

// Run waits until ctx is done. It returns an error when fauxqs ends before.
func (s *Service) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.process.Done():
		return s.endError()
	}
}

// endError returns an error that describes how fauxqs ended, with its last output where there is any.
func (s *Service) endError() error {
	<-s.process.Done()
	err := errors.New("fauxqs ended")
	if s.process.Err() != nil {
		err = fmt.Errorf("fauxqs ended: %w", s.process.Err())
	}
	if answer := strings.TrimSpace(s.stderr.String()); answer != "" {
		return fmt.Errorf("%w\n%s", err, answer)
	}
	return err
}

// Close kills fauxqs. Everything that it has acknowledged is on disk, so it need not stop by itself.
func (s *Service) Close() { s.process.Kill() }

// Reset forgets the queues and policies of the template, before another one is provisioned. The queues and their messages
// stay.
func (s *Service) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.policies)
	clear(s.known)
}

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::SQS::Queue":       s.provisionQueue,
		"AWS::SQS::QueuePolicy": s.provisionPolicy,
	}
}

// A lastOutput passes on what is written to it and keeps the last tailSize bytes.
type lastOutput struct {
	next io.Writer

	mu   sync.Mutex
	text []byte
}

// tailSize is the number of bytes that a lastOutput keeps.
const tailSize = 4096

func (t *lastOutput) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append([]byte(nil), t.text[over:]...)
	}
	if t.next != nil {
		_, _ = t.next.Write(p)
	}
	return len(p), nil
}

func (t *lastOutput) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
