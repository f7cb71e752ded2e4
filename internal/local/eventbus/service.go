package eventbus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"

	"go.etcd.io/bbolt"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/local/async"
	"github.com/outboxkit/transactional-outbox/internal/local/clock"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/drift"
	"github.com/outboxkit/transactional-outbox/internal/local/guard"
	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// ErrPortTaken is wrapped by New's error when something else listens on the port.
var ErrPortTaken = errors.New("port is taken")

// Policies decides who may use a target.
type Policies interface {
	// Allows reports whether the policy of a queue, function or bus lets a service use it on behalf of a resource.
	Allows(targetARN, servicePrincipal, sourceARN string) bool
	// RoleAllows reports whether a service may assume a role on behalf of a resource, and the role may use the target.
	RoleAllows(roleARN, servicePrincipal, sourceARN, targetARN string) bool
}

// Config holds what [New] needs.
type Config struct {
	Cloud    *cloud.Cloud // New sets its EventBridge endpoint
	DB       *bbolt.DB    // stores the events that are not delivered yet
	Port     int          // 0: the system chooses
	Policies Policies
	// Functions runs the functions that are targets of rules. Default: no function exists.
	Functions Functions
	// QueueExists reports whether there is a queue with that ARN. Default: nothing is known about queues.
	QueueExists func(arn string) bool
	// Caller returns the principal who signed a request, with the keys that every request of it has. Default: the policies of
	// buses are kept and do not count.
	Caller func(*http.Request) iam.Request
	Sink   hop.Sink // receives a hop of stage hop.Bus or hop.Schedule for each delivery, retry, dead-letter message and dropped event

	// Clock tells the time that retries and schedules wait for. Default: the machine's.
	Clock *clock.Clock
	// Accepted is called with each event once it is on disk, and before it is delivered. Default: nothing.
	Accepted func(hop.Accepted)
	// Wrap returns a handler that runs in front of the API, for example to inject faults. Default: none.
	Wrap func(http.Handler) http.Handler
	// Around runs in place of each attempt to deliver an event, for example to inject faults. Default: none.
	Around Around
}

// A Service runs the stack's buses and rules.
type Service struct {
	cloud      *cloud.Cloud
	clock      *clock.Clock
	accepted   func(hop.Accepted) // nil: nobody asks
	journal    *boltJournal
	dispatcher *dispatcher
	server     *http.Server
	serving    chan struct{} // closed when the server has ended

	db        *bbolt.DB
	drift     *drift.Store // of rules
	policies  *drift.Store // of buses
	creations *drift.Store // of schedules
	caller    func(*http.Request) iam.Request

	archiveDrift *drift.Store

	mu       sync.RWMutex
	buses    map[string]*bus  // by name
	deleted  map[string]*rule // by key: rules of the template that a call has deleted
	archives []*archive
	timers   []*timer // in the order of the template
	// timerGroups are the groups of schedules beside the default one, by name.
	timerGroups map[string]bool
	functions   async.Functions

	changing      sync.Mutex    // held while a call changes a rule
	rulesChanged  chan struct{} // holds a token when the schedules have changed
	replaying     sync.Mutex    // guards replays
	replays       map[string]*replay
	replayStarted chan struct{} // holds a token when a replay was started
}

// New opens the journal, starts to listen on 127.0.0.1 and sets the cloud's EventBridge endpoint. Events are
// accepted at once and delivered once [Service.Run] is called.
func New(cfg Config) (*Service, error) {
	s, err := newService(cfg)
	if err != nil {
		return nil, fmt.Errorf("event buses: %w", err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", cfg.Port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("event buses: %w: %d is in use; choose other ports with --port", ErrPortTaken, cfg.Port)
	}
	if err != nil {
		return nil, fmt.Errorf("event buses: %w", err)
	}
	cfg.Cloud.SetEndpoint(cloud.EventBridge, "http://"+listener.Addr().String())
	var handler http.Handler = s
	if cfg.Wrap != nil {
		handler = cfg.Wrap(s)
	}
	s.server = &http.Server{Handler: guard.AWS(handler, guard.JSON...)}
	go func() {
		defer close(s.serving)
		_ = s.server.Serve(listener)
	}()
	return s, nil
}

// newService returns a service that does not listen, with what earlier runs left in the database.
func newService(cfg Config) (*Service, error) {
	journal, pending, err := openJournal(cfg.DB)
	if err != nil {
		return nil, fmt.Errorf("open the journal of events: %w", err)
	}
	s := &Service{
		cloud:    cfg.Cloud,
		clock:    cfg.Clock,
		accepted: cfg.Accepted,
		journal:  journal,
		serving:  make(chan struct{}),
		db:       cfg.DB,
		drift:    drift.New(cfg.DB, "rules"),
		caller:   cfg.Caller,
		buses:    map[string]*bus{},
		deleted:  map[string]*rule{},
		policies: drift.New(cfg.DB, "policies of buses"),
		replays:  map[string]*replay{},

		creations: drift.New(cfg.DB, "creations of schedules"),

		archiveDrift: drift.New(cfg.DB, "archives"),
		timerGroups:  map[string]bool{},

		rulesChanged:  make(chan struct{}, 1),
		replayStarted: make(chan struct{}, 1),
	}
	if err := s.loadReplays(); err != nil {
		return nil, err
	}
	s.addBus(defaultBus)
	s.dispatcher = newDispatcher(journal, newSender(cfg.Cloud), cfg.Policies, s.target, cfg.Sink)
	s.dispatcher.clock = cfg.Clock
	s.dispatcher.around, s.dispatcher.functions, s.dispatcher.exists = cfg.Around, cfg.Functions, cfg.QueueExists
	s.dispatcher.async = async.NewSender(cfg.Cloud)
	s.dispatcher.buses = s
	s.dispatcher.dispatch(pending)
	return s, nil
}

// Run delivers events, runs schedules and replays until ctx is done. What is not delivered by then stays in the journal.
// It returns an error when something cannot be stored.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { s.dispatcher.run(ctx); return nil })
	group.Go(func() error { return s.runSchedules(ctx) })
	group.Go(func() error { return s.runReplays(ctx) })
	group.Go(func() error { return s.prune(ctx) })
	return group.Wait()
}

// Close stops listening and writes the changes that the journal still holds in memory.
func (s *Service) Close() {
	_ = s.server.Close()
	<-s.serving
	s.journal.close()
}

// Provisions returns the resource types of this package.
func (s *Service) Provisions() map[string]template.Provision {
	return map[string]template.Provision{
		"AWS::Events::EventBus":       s.provisionBus,
		"AWS::Events::EventBusPolicy": s.provisionBusPolicy,
		"AWS::Events::Archive":        s.provisionArchive,
		"AWS::Events::Rule":           s.provisionRule,

		"AWS::Scheduler::Schedule":      s.provisionTimer,
		"AWS::Scheduler::ScheduleGroup": s.provisionTimerGroup,

		"AWS::Lambda::EventInvokeConfig": s.functions.Provision,
	}
}

// target returns the target of a delivery, and whether the template still has it.
func (s *Service) target(one *delivery) (target, bool) {
	if one.Function != "" {
		return s.ofFunction(direct(one.Function)), true
	}
	t, found := s.targetOf(one.RuleARN, one.TargetID)
	return s.ofFunction(t), found
}

// targetOf returns the target of a rule or schedule.
func (s *Service) targetOf(ruleARN, targetID string) (target, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, b := range s.buses {
		for _, r := range b.rules {
			if r.arn != ruleARN {
				continue
			}
			for _, t := range r.targets {
				if t.id == targetID {
					return t, true
				}
			}
		}
	}
	for _, t := range s.timers {
		if t.arn == ruleARN {
			return t.target, true
		}
	}
	return target{}, false
}
