package functionurl

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/web"
)

// Config holds what [New] needs. Fields without a default are required.
type Config struct {
	Cloud *cloud.Cloud
	// Port is the port on 127.0.0.1 of the first URL; the others take those after it. Default: those that the system
	// chooses.
	Port int
	// Exists reports whether there is a function or an alias with an ARN.
	Exists func(arn string) bool
	// Invoke invokes a function synchronously and returns its response.
	Invoke func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	// Authorize returns an error when the policy of a function does not let everybody call its URL of the type NONE.
	// Default: everybody is let in.
	Authorize func(functionARN string) error
	// AuthorizeCaller returns an error when the caller of a URL of the type AWS_IAM is not let in. Default: everybody is
	// let in.
	AuthorizeCaller func(r *http.Request, body []byte, functionARN string) error
	// Sink receives one hop for each request. Default: they are discarded.
	Sink hop.Sink
}

// A Service serves the URLs of the functions of one stack.
type Service struct {
	config Config
	urls   []*functionURL
	// running is the context of the invocations; it ends those that take longer than the end of Run waits.
	running context.Context
	stop    context.CancelFunc
}

// A functionURL is one URL and its server.
type functionURL struct {
	service   *Service
	logicalID string
	id        string // as on AWS the first label of its domain
	arn       string // of the function or its alias
	signed    bool   // callers are authorized by IAM
	cors      *cors  // nil: the function answers preflights
	listener  net.Listener
	server    *http.Server
}

// New returns a service without URLs. Close ends what it starts.
func New(config Config) *Service {
	if config.Sink == nil {
		config.Sink = func(hop.Hop) {}
	}
	s := &Service{config: config}
	s.running, s.stop = context.WithCancel(context.Background())
	return s
}

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{"AWS::Lambda::Url": s.provision}
}

// listen starts to listen for a URL. Requests are answered once [Service.Run] is called.
func (s *Service) listen(ctx context.Context, u *functionURL) (err error) {
	port := s.config.Port
	if port != 0 {
		port += len(s.urls)
	}
	if u.listener, err = web.Listen(ctx, port, "the function URL "+u.logicalID); err != nil {
		return err
	}
	u.server = &http.Server{Handler: guard.API(u), ReadHeaderTimeout: 10 * time.Second, DisableGeneralOptionsHandler: true}
	s.urls = append(s.urls, u)
	return nil
}

// URLs returns where the URLs are served, by their logical ids.
func (s *Service) URLs() map[string]string {
	urls := map[string]string{}
	for _, u := range s.urls {
		urls[u.logicalID] = u.address()
	}
	return urls
}

// address returns the URL with a slash at its end, as the attribute FunctionUrl has it.
func (u *functionURL) address() string { return fmt.Sprintf("http://%s/", u.listener.Addr()) }

// Run answers requests until ctx is done. It then waits up to a second for the requests in flight and ends those that
// take longer.
func (s *Service) Run(ctx context.Context) error {
	var all errgroup.Group
	for _, u := range s.urls {
		all.Go(func() error {
			if err := web.Serve(ctx, u.server, u.listener, s.stop); err != nil {
				return fmt.Errorf("serve the function URL %s: %w", u.logicalID, err)
			}
			return nil
		})
	}
	return all.Wait()
}

// Close closes the listeners. The service cannot be used after it.
func (s *Service) Close() {
	s.stop()
	for _, u := range s.urls {
		_ = u.server.Close()
		_ = u.listener.Close()
	}
}
