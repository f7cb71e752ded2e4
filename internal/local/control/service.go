package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control/wire"
	"github.com/outboxkit/transactional-outbox/internal/local/guard"
	"github.com/outboxkit/transactional-outbox/internal/local/metrics"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// ErrPortTaken is wrapped by New's error when something else listens on the port.
var ErrPortTaken = errors.New("port is taken")

// Config holds what [New] needs.
type Config struct {
	Cloud *cloud.Cloud // New sets its endpoint of Others
	Port  int          // 0: the system chooses
	// Notice receives a line for each operation that is refused for the first time, and at the end how often each was.
	Notice func(string)

	Invoke metrics.Invoke // invokes a function of the stack
	// InvokeAsync takes over an invocation that nobody waits for. It returns when the invocation cannot get lost.
	InvokeAsync func(arn string, payload []byte) error

	Mappings Mappings // runs their event source mappings
	Pipes    Pipes    // runs the pipes
	Metrics  *metrics.Store

	// Guard returns a handler that refuses what the policies of the template do not allow. Default: everything is.
	Guard func(http.Handler) http.Handler
	// Identity returns the role that has signed a request, or false for anybody else. Default: nobody is a role.
	Identity func(*http.Request) (Identity, bool)
}

// A Service is the endpoint.
type Service struct {
	cfg     Config
	server  *http.Server
	stop    context.CancelFunc // ends what was asked for and is still under way
	serving chan struct{}      // closed when the server has ended
	apis    map[string]api

	parameters parameters
	stacks     stacks
	functions  functionAPI
	refused    refusals
}

// An api is the part of a service's API that is answered.
type api interface {
	// serve answers an operation, or returns errNotHere for one that it does not have.
	serve(w http.ResponseWriter, r *wire.Request) error
}

// New starts to listen on 127.0.0.1 and sets the cloud's endpoint.
func New(cfg Config) (*Service, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("endpoint of the other services: %w: %d is in use; choose other ports with --port", ErrPortTaken, cfg.Port)
	}
	if err != nil {
		return nil, fmt.Errorf("endpoint of the other services: %w", err)
	}
	life, stop := context.WithCancel(context.Background())
	s := &Service{cfg: cfg, stop: stop, serving: make(chan struct{}), refused: refusals{notice: cfg.Notice}}
	s.parameters.cloud = cfg.Cloud
	s.stacks.cloud = cfg.Cloud
	s.functions = functionAPI{cloud: cfg.Cloud, host: cfg.Invoke, async: cfg.InvokeAsync, mappings: cfg.Mappings, life: life}
	s.apis = map[string]api{
		"cloudformation": s.stacks.operations(),
		"ssm":            s.parameters.operations(),
		"sts":            callers(cfg.Identity),
		"lambda":         s.functions.routes(),
		"pipes":          pipeRoutes(cfg.Pipes),
		"monitoring":     metricsAPI{cfg.Metrics}.operations(),
		"dynamodb":       passOn(cfg.Cloud, cloud.DynamoDB),
		"sqs":            passOn(cfg.Cloud, cloud.SQS),
		"events":         passOn(cfg.Cloud, cloud.EventBridge),
	}
	cfg.Cloud.SetEndpoint(cloud.Others, "http://"+listener.Addr().String())
	var guarded http.Handler = s
	if cfg.Guard != nil {
		guarded = cfg.Guard(s)
	}
	s.server = &http.Server{Handler: guard.AWS(guarded), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.serving)
		_ = s.server.Serve(listener)
	}()
	return s, nil
}

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::SSM::Parameter":    s.parameters.provision,
		"AWS::CloudWatch::Alarm": s.cfg.Metrics.ProvisionAlarm(s.cfg.Cloud),
	}
}

// Deployed makes a stack known to those who ask for it. local returns a text of the template with the addresses on AWS
// replaced by those here.
func (s *Service) Deployed(d *template.Deployment, local func(string) string) {
	s.stacks.deployed(d, local)
	s.functions.deployed(d)
	s.cfg.Metrics.Deployed(d)
}

// Run keeps the metrics up to date until ctx is done, and then reports what was refused.
func (s *Service) Run(ctx context.Context) error {
	s.cfg.Metrics.Run(ctx)
	s.refused.sum()
	return nil
}

// Close stops listening, and ends the invocations that somebody waits for.
func (s *Service) Close() {
	s.stop()
	_ = s.server.Close()
	<-s.serving
}
