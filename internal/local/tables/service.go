package tables

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard"
	"github.com/outboxkit/transactional-outbox/internal/local/process"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	// startTimeout limits a start of DynamoDB Local, which takes about 1.3 s on two idle cores.
	startTimeout = 60 * time.Second
	// stopGrace is how long DynamoDB Local may take to stop by itself. Nothing depends on it: what was
	// acknowledged is on disk.
	stopGrace = 500 * time.Millisecond
)

var (
	errClosed     = errors.New("the tables are closed")
	errNotRunning = errors.New("it does not run at the moment")
)

// Config holds what [Start] needs.
type Config struct {
	// Cloud is the cloud whose endpoints of DynamoDB and DynamoDB Streams Start sets. Required.
	Cloud *cloud.Cloud
	// Dir is the folder for the data; it is created when it does not exist. Required.
	Dir string
	// Port on 127.0.0.1. Default: the system chooses.
	Port int
	// Log receives what DynamoDB Local prints. Default: discarded.
	Log io.Writer
	// Wrap returns a handler that runs in front of the endpoint, for example to inject faults. Default: none.
	Wrap func(http.Handler) http.Handler
}

// A Service is a running DynamoDB Local and the endpoint in front of it.
type Service struct {
	cloud    *cloud.Cloud
	endpoint *http.Server
	program  process.Spec
	portFile string // holds the port of the running DynamoDB Local

	mu      sync.Mutex
	server  *process.Process
	address string // of the running DynamoDB Local itself; empty before it answers
	closed  bool
}

// Start runs DynamoDB Local and returns once it answers. Its error tells the user what to do when Java or the npm
// package is missing, or the port is in use.
func Start(ctx context.Context, config Config) (*Service, error) {
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("data folder of the tables: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder of the tables: %w", err)
	}
	secret := rand.Text()
	program, err := command(ctx, dir, secret)
	if err != nil {
		return nil, err
	}
	program.Stdout, program.Stderr = config.Log, config.Log
	listener, err := net.Listen("tcp", loopbackAddress(strconv.Itoa(config.Port)))
	if err != nil {
		return nil, fmt.Errorf("DynamoDB Local: port is taken: %d is in use; choose other ports with --port", config.Port)
	}
	s := &Service{cloud: config.Cloud, program: program, portFile: portFile(dir)}
	transport := newTransport(s.serverAddress, secret)
	handler := newProxy(transport, s.directClient(transport), config.Cloud.Region)
	if config.Wrap != nil {
		handler = config.Wrap(handler)
	}
	s.endpoint = &http.Server{Handler: guard.AWS(handler, guard.JSON...)}
	if err := s.start(ctx); err != nil {
		listener.Close()
		return nil, err
	}
	go s.endpoint.Serve(listener) //nolint:errcheck // Close ends it
	url := "http://" + listener.Addr().String()
	s.cloud.SetEndpoint(cloud.DynamoDB, url)
	s.cloud.SetEndpoint(cloud.DynamoDBStreams, url)
	return s, nil
}

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::DynamoDB::Table":       s.provisionTable,
		"AWS::DynamoDB::GlobalTable": s.provisionGlobalTable,
	}
}

// Run restarts DynamoDB Local on its data whenever it ends before ctx is done. Its clients receive InternalServerError
// meanwhile. Run returns an error when DynamoDB Local cannot be restarted.
func (s *Service) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.current().Done():
		}
		if err := s.start(ctx); err != nil {
			if ctx.Err() != nil || errors.Is(err, errClosed) {
				return nil
			}
			return fmt.Errorf("restart DynamoDB Local: %w", err)
		}
	}
}

// PID returns the process id of the running DynamoDB Local.
func (s *Service) PID() int { return s.current().PID() }

// Close ends the endpoint and DynamoDB Local.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	server := s.server
	s.mu.Unlock()
	s.endpoint.Close()
	server.Stop(stopGrace)
}

func (s *Service) current() *process.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server
}

// start runs DynamoDB Local and waits until it answers.
func (s *Service) start(ctx context.Context) error {
	server, err := s.launch()
	if err != nil {
		return err
	}
	if err := s.await(ctx, server); err != nil {
		server.Kill()
		return err
	}
	return nil
}

// launch starts the process unless the service is closed: no process may be left after Close.
func (s *Service) launch() (*process.Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	s.address = ""
	if err := os.Remove(s.portFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	server, err := process.Start(s.program)
	if err != nil {
		return nil, err
	}
	s.server = server
	return server, nil
}

// await returns once the server accepts connections: to listen is the last step of a start of DynamoDB Local.
func (s *Service) await(ctx context.Context, server *process.Process) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if port, err := os.ReadFile(s.portFile); err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.address = loopbackAddress(string(port))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("DynamoDB Local does not answer: %w", ctx.Err())
		case <-server.Done():
			return fmt.Errorf("DynamoDB Local ended while it started (%w); see its log", server.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// serverAddress returns the address of the running DynamoDB Local.
func (s *Service) serverAddress() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address == "" {
		return "", errNotRunning
	}
	return s.address, nil
}

// directClient returns a client of DynamoDB Local itself that does not retry.
func (s *Service) directClient(transport http.RoundTripper) *dynamodb.Client {
	return dynamodb.New(s.cloud.DynamoDB().Options(), func(o *dynamodb.Options) {
		o.BaseEndpoint = aws.String("http://" + anyHost)
		o.HTTPClient = &http.Client{Transport: transport}
		o.Retryer = aws.NopRetryer{}
	})
}

func loopbackAddress(port string) string { return net.JoinHostPort("127.0.0.1", port) }
