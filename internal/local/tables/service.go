package tables

import (
	"context"
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
	"github.com/outboxkit/transactional-outbox/internal/local/process"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

const (
	// startTimeout bounds a start of DynamoDB Local. It takes about 1.3 s on two idle cores.
	startTimeout = 60 * time.Second
	// stopGrace is how long DynamoDB Local may take to end by itself. Nothing depends on it: what was
	// acknowledged is on disk.
	stopGrace = 500 * time.Millisecond
)

var (
	errClosed = errors.New("the tables are closed")
	errAway   = errors.New("it is not up")
)

// Config says where DynamoDB Local keeps its data and where it is reached.
type Config struct {
	// Cloud gets the endpoints of DynamoDB and DynamoDB Streams. Required.
	Cloud *cloud.Cloud
	// Dir keeps the data; it is created when missing. Required.
	Dir string
	// Port on 127.0.0.1. Default: the system chooses.
	Port int
	// Log takes what DynamoDB Local prints. Default: thrown away.
	Log io.Writer
	// Wrap may put something in front of the endpoint, for example faults. Default: nothing.
	Wrap func(http.Handler) http.Handler
}

// Service is a running DynamoDB Local and the endpoint in front of it.
type Service struct {
	cloud    *cloud.Cloud
	endpoint *http.Server
	program  process.Spec
	portFile string // the running DynamoDB Local has written its port into it

	mu      sync.Mutex
	server  *process.Process
	address string // of the running DynamoDB Local itself; empty before it is up
	closed  bool
}

// Start runs DynamoDB Local and returns when it answers. Its error says what to do when Java or the npm
// package is missing, or the port is taken.
func Start(ctx context.Context, config Config) (*Service, error) {
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("data folder of the tables: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder of the tables: %w", err)
	}
	program, err := command(ctx, dir)
	if err != nil {
		return nil, err
	}
	program.Stdout, program.Stderr = config.Log, config.Log
	listener, err := net.Listen("tcp", loopbackAddress(strconv.Itoa(config.Port)))
	if err != nil {
		return nil, fmt.Errorf("port %d for DynamoDB is taken: choose other ports with --port", config.Port)
	}
	s := &Service{cloud: config.Cloud, program: program, portFile: portFile(dir)}
	transport := newTransport(s.where)
	handler := newProxy(transport, s.direct(transport))
	if config.Wrap != nil {
		handler = config.Wrap(handler)
	}
	s.endpoint = &http.Server{Handler: handler}
	if err := s.start(ctx); err != nil {
		listener.Close()
		return nil, err
	}
	go s.endpoint.Serve(listener) //nolint:errcheck // it ends with Close
	url := "http://" + listener.Addr().String()
	s.cloud.SetEndpoint(cloud.DynamoDB, url)
	s.cloud.SetEndpoint(cloud.DynamoDBStreams, url)
	return s, nil
}

// Provisions are the resource types that this package creates.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::DynamoDB::Table":       s.provisionTable,
		"AWS::DynamoDB::GlobalTable": s.provisionGlobalTable,
	}
}

// Run starts DynamoDB Local again, on its data, whenever it ends before ctx does. Its clients get
// InternalServerError meanwhile. Run returns an error when DynamoDB Local cannot be started again.
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
			return fmt.Errorf("start DynamoDB Local again: %w", err)
		}
	}
}

// PID is the process id of the running DynamoDB Local.
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

// launch starts the process unless the service is closed: nothing may be left behind after Close.
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

// await returns when the server accepts connections: DynamoDB Local listens last of all.
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
			return fmt.Errorf("DynamoDB Local ended while it started (%w); its log says why", server.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// where is the address of the running DynamoDB Local.
func (s *Service) where() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.address == "" {
		return "", errAway
	}
	return s.address, nil
}

// direct is a client of DynamoDB Local itself that does not retry.
func (s *Service) direct(transport http.RoundTripper) *dynamodb.Client {
	return dynamodb.New(s.cloud.DynamoDB().Options(), func(o *dynamodb.Options) {
		o.BaseEndpoint = aws.String("http://" + anyHost)
		o.HTTPClient = &http.Client{Transport: transport}
		o.Retryer = aws.NopRetryer{}
	})
}

func loopbackAddress(port string) string { return net.JoinHostPort("127.0.0.1", port) }
