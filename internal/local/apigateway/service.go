package apigateway

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/guard"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/web"
)

// Config holds what [New] needs. Cloud is required.
type Config struct {
	// Cloud has the endpoint of DynamoDB and the account.
	Cloud *cloud.Cloud
	// Port is the port on 127.0.0.1 to listen on. Default: one that the system chooses.
	Port int
	// Invoke invokes a Lambda function synchronously and returns its response. Default: a method with a Lambda
	// integration responds with 502.
	Invoke func(ctx context.Context, arn string, payload []byte) ([]byte, error)
	// Authorize returns an error when the API may not invoke a function: with the role of the integration where it has
	// one, or else by the function's policy for the source, the ARN of the method. Default: it may.
	Authorize func(functionARN, roleARN, sourceARN string) error
	// AuthorizeCaller returns an error when the caller of a method with IAM authorization is not let in. The error may say
	// which gateway response it is by a method GatewayResponse. Where it is set, API keys are checked too. Default: everybody
	// is let in.
	AuthorizeCaller func(r *http.Request, body []byte, methodARN string) error
	// Sink receives one hop for each request. Default: they are discarded.
	Sink hop.Sink
}

// A Service serves the REST API of one stack.
type Service struct {
	config   Config
	api      api
	renderer *renderer
	listener net.Listener
	server   *http.Server
	// running is the context of the integrations; it ends those of requests that take longer than the end of Run waits.
	running context.Context
	stop    context.CancelFunc
}

// New listens on the port. Requests are answered once [Service.Run] is called. The error for a port that is in use names
// the port and the flag that changes it.
func New(ctx context.Context, config Config) (*Service, error) {
	if config.Sink == nil {
		config.Sink = func(hop.Hop) {}
	}
	listener, err := web.Listen(ctx, config.Port, "the REST API")
	if err != nil {
		return nil, err
	}
	s := &Service{config: config, api: newAPI(), renderer: newRenderer(), listener: listener}
	s.running, s.stop = context.WithCancel(context.Background())
	s.server = &http.Server{
		Handler: guard.API(s), ReadHeaderTimeout: 10 * time.Second, ConnContext: withConnection, DisableGeneralOptionsHandler: true,
	}
	return s, nil
}

// Provisions returns the resource types of this package. API keys and their plans are among them where callers are authorized.
func (s *Service) Provisions() map[string]template.Provision {
	provisions := map[string]template.Provision{
		"AWS::ApiGateway::RestApi":          s.provisionRestAPI,
		"AWS::ApiGateway::Resource":         s.provisionResource,
		"AWS::ApiGateway::Model":            s.provisionModel,
		"AWS::ApiGateway::RequestValidator": s.provisionValidator,
		"AWS::ApiGateway::GatewayResponse":  s.provisionGatewayResponse,
		"AWS::ApiGateway::Method":           s.provisionMethod,
		"AWS::ApiGateway::Deployment":       s.provisionDeployment,
		"AWS::ApiGateway::Stage":            s.provisionStage,
		"AWS::ApiGateway::DomainName":       s.provisionDomainName,
		"AWS::ApiGateway::BasePathMapping":  s.provisionBasePathMapping,
		"AWS::ApiGatewayV2::ApiMapping":     s.provisionAPIMapping,
	}
	if s.config.AuthorizeCaller != nil {
		maps.Copy(provisions, s.keyProvisions())
	}
	return provisions
}

// URL returns the base URL of the API's first stage, with a slash at its end: "http://127.0.0.1:4510/prod/". It returns
// "" before a stage has been provisioned.
func (s *Service) URL() string {
	first := s.api.firstStage()
	if first == nil {
		return ""
	}
	return fmt.Sprintf("http://%s/%s/", s.listener.Addr(), first.name)
}

// Port returns the port that the API listens on.
func (s *Service) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Mapped returns the URLs of the paths of custom domains, by what leads there on AWS: "api.example.com/v1".
func (s *Service) Mapped() map[string]string {
	urls := map[string]string{}
	for _, d := range s.api.domains {
		for _, m := range d.mappings {
			mapped := strings.TrimSuffix(d.name+"/"+m.path, "/")
			urls[mapped] = fmt.Sprintf("http://%s/%s/", s.listener.Addr(), mapped)
		}
	}
	return urls
}

// Local returns the text with the addresses of the API on AWS replaced by the local ones. A template builds them from the
// API's id or a custom domain name, for example in an output.
func (s *Service) Local(text string) string {
	for _, d := range s.api.domains {
		if len(d.mappings) == 0 {
			continue // nothing of this API
		}
		text = strings.ReplaceAll(text, "https://"+d.name+"/", fmt.Sprintf("http://%s/%s/", s.listener.Addr(), d.name))
	}
	if s.api.id == "" {
		return text
	}
	deployed := fmt.Sprintf("https://%s.execute-api.%s.amazonaws.com/", s.api.id, s.config.Cloud.Region)
	return strings.ReplaceAll(text, deployed, fmt.Sprintf("http://%s/", s.listener.Addr()))
}

// Run answers requests until ctx is done. It then waits up to a second for the requests in flight and ends those that
// take longer.
func (s *Service) Run(ctx context.Context) error {
	if err := web.Serve(ctx, s.server, spellingListener{s.listener}, s.stop); err != nil {
		return fmt.Errorf("serve the REST API: %w", err)
	}
	return nil
}

// Close closes the listener and ends the renderer's process. The service cannot be used after it.
func (s *Service) Close() {
	s.stop()
	_ = s.server.Close()
	_ = s.listener.Close()
	s.renderer.close()
}
