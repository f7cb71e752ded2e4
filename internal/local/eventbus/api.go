package eventbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
	"github.com/outboxkit/transactional-outbox/internal/local/iam"
	"github.com/outboxkit/transactional-outbox/internal/pattern"
)

// maxBody limits the bytes of a request: maxRequest with the longest escapes that JSON has, and some to spare.
const maxBody = 8 * maxRequest

// An apiError is an error in EventBridge's form.
type apiError struct {
	status  int
	code    string
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func invalid(format string, args ...any) error {
	return &apiError{http.StatusBadRequest, "ValidationException", fmt.Sprintf(format, args...)}
}

// actions holds the operations of the API, by the name in X-Amz-Target.
var actions = map[string]func(*Service, *http.Request, []byte) (any, error){
	"PutEvents":         (*Service).servePutEvents,
	"TestEventPattern":  action((*Service).testEventPattern),
	"DescribeEventBus":  action((*Service).describeEventBus),
	"ListEventBuses":    action((*Service).listEventBuses),
	"PutPermission":     action((*Service).putPermission),
	"RemovePermission":  action((*Service).removePermission),
	"DescribeRule":      action((*Service).describeRule),
	"ListRules":         action((*Service).listRules),
	"EnableRule":        action((*Service).enableRule),
	"DisableRule":       action((*Service).disableRule),
	"PutRule":           action((*Service).putRule),
	"DeleteRule":        action((*Service).deleteRule),
	"ListTargetsByRule": action((*Service).listTargetsByRule),
	"PutTargets":        action((*Service).putTargets),
	"RemoveTargets":     action((*Service).removeTargets),
	"CreateArchive":     action((*Service).createArchive),
	"UpdateArchive":     action((*Service).updateArchive),
	"DeleteArchive":     action((*Service).deleteArchive),
	"ListArchives":      action((*Service).listArchives),
	"DescribeArchive":   action((*Service).describeArchive),
	"StartReplay":       action((*Service).startReplay),
	"DescribeReplay":    action((*Service).describeReplay),
	"ListReplays":       action((*Service).listReplays),
	"CancelReplay":      action((*Service).cancelReplay),
}

// action returns a function that decodes the request of an operation and runs it.
func action[Request, Response any](do func(*Service, Request) (Response, error)) func(*Service, *http.Request, []byte) (any, error) {
	return func(s *Service, _ *http.Request, body []byte) (any, error) {
		var request Request
		if err := json.Unmarshal(body, &request); err != nil {
			return nil, &apiError{http.StatusBadRequest, "SerializationException", err.Error()}
		}
		return do(s, request)
	}
}

// ServeHTTP implements EventBridge's protocol, AWS JSON 1.1.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	response, err := s.serve(w, r)
	status := http.StatusOK
	if err != nil {
		var failure *apiError
		if !errors.As(err, &failure) {
			failure = &apiError{http.StatusInternalServerError, "InternalException", err.Error()}
		}
		status, response = failure.status, map[string]string{"__type": failure.code, "message": failure.message}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-RequestId", uuid.NewString())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(response)
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) (any, error) {
	name := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSEvents.")
	do := actions[name]
	if do == nil || r.Method != http.MethodPost {
		return nil, &apiError{http.StatusBadRequest, "UnknownOperationException", fmt.Sprintf("the operation %q is not supported by the local run", name)}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, &apiError{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", err.Error()}
	}
	return do(s, r, body)
}

// servePutEvents is the one operation for which it counts who calls: a bus's policy refuses single entries.
func (s *Service) servePutEvents(r *http.Request, body []byte) (any, error) {
	var caller *iam.Request
	if s.caller != nil {
		whose := s.caller(r)
		caller = &whose
	}
	return action(func(s *Service, request putEventsRequest) (putEventsResponse, error) {
		return s.putEvents(caller, request)
	})(s, r, body)
}

type putEventsRequest struct{ Entries []entry }

type putEventsResponse struct {
	FailedEntryCount int
	Entries          []result
}

// putEvents returns once every delivery that follows from the entries is on disk. A nil caller may put all of them.
func (s *Service) putEvents(caller *iam.Request, request putEventsRequest) (putEventsResponse, error) {
	if n := len(request.Entries); n < 1 || n > maxEntries {
		return putEventsResponse{}, invalid("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d, it has %d", maxEntries, n)
	}
	size := 0
	for _, e := range request.Entries {
		size += e.size()
	}
	if size > maxRequest {
		return putEventsResponse{}, invalid("Total size of the entries in the request is over the limit: %d bytes, %d are allowed.", size, maxRequest)
	}
	var response putEventsResponse
	all := make([]answered, len(request.Entries))
	for i, e := range request.Entries {
		all[i] = s.accept(caller, e)
		if all[i].result.ErrorCode != "" {
			response.FailedEntryCount++
		}
		response.Entries = append(response.Entries, all[i].result)
	}
	return response, s.store(all...)
}

// store stores what follows from events, tells of them and delivers them.
func (s *Service) store(all ...answered) error {
	var deliveries []*delivery
	var events []archived
	for _, one := range all {
		deliveries, events = append(deliveries, one.deliveries...), append(events, one.archived...)
	}
	if err := s.journal.append(deliveries, events...); err != nil {
		return fmt.Errorf("store the deliveries in the journal: %w", err)
	}
	for _, one := range all {
		if s.accepted != nil && one.event != nil {
			s.accepted(s.acceptance(one))
		}
	}
	s.dispatcher.dispatch(deliveries)
	return nil
}

// accept returns the answer to an entry, and what follows from its event.
func (s *Service) accept(caller *iam.Request, e entry) answered {
	if r, refused := e.refusal(); refused {
		return answered{result: r}
	}
	made, encoded := e.event(s.cloud.Region, time.Now())
	decoded, err := pattern.Decode(encoded)
	if err != nil {
		return answered{result: result{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}}
	}
	b, err := s.findBus(e.EventBusName)
	if err != nil {
		// AWS accepts such an event and loses it (aws/aws-cli issue 9186). The console says so.
		s.dispatcher.sink(hop.Hop{At: time.Now(), Stage: hop.Bus, Resource: e.EventBusName, Outcome: hop.Dropped, Count: 1, EventIDs: []string{hop.EventID(encoded)}, Detail: "accepted, as on AWS, and lost: " + err.Error()})
		return answered{result: result{EventId: made.ID}}
	}
	if caller != nil {
		if r, refused := s.policyOf(b).refusal(*caller, b.arn, e); refused {
			return answered{result: r}
		}
	}
	return answered{result{EventId: made.ID}, b.name, encoded, s.deliveriesOf(b, decoded, encoded, nil), s.archivesOf(b, decoded, encoded)}
}

// deliveriesOf returns the deliveries of an event to all targets of the rules that match. With a list of rules, only
// those of them.
func (s *Service) deliveriesOf(b *bus, decoded pattern.Event, encoded json.RawMessage, only []string) (deliveries []*delivery) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.clock.Now()
	for _, r := range b.rules {
		if !r.isEnabled() || r.pattern == nil || !r.pattern.Match(decoded) || len(only) > 0 && !slices.Contains(only, r.arn) {
			continue
		}
		for _, t := range r.targets {
			deliveries = append(deliveries, &delivery{RuleARN: r.arn, TargetID: t.id, Event: encoded, AcceptedAt: now})
		}
	}
	return deliveries
}

type testEventPatternRequest struct{ Event, EventPattern string }

type testEventPatternResponse struct{ Result bool }

// requiredFields are the fields that TestEventPattern requires of an event.
// The API reference, TestEventPattern, names resources too, but AWS does not need it.
var requiredFields = []string{"id", "account", "source", "time", "region", "detail-type"}

func (s *Service) testEventPattern(request testEventPatternRequest) (testEventPatternResponse, error) {
	compiled, err := pattern.Compile([]byte(request.EventPattern), pattern.Rules)
	if err != nil {
		return testEventPatternResponse{}, &apiError{http.StatusBadRequest, "InvalidEventPatternException", err.Error()}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(request.Event), &fields); err != nil {
		return testEventPatternResponse{}, invalid("Parameter Event is not valid. Reason: %v", err)
	}
	for _, name := range requiredFields {
		if fields[name] == nil {
			return testEventPatternResponse{}, invalid("Parameter Event is not valid. Reason: %s is missing.", name)
		}
	}
	matched, err := compiled.MatchJSON([]byte(request.Event))
	if err != nil {
		return testEventPatternResponse{}, invalid("Parameter Event is not valid. Reason: %v", err)
	}
	return testEventPatternResponse{matched}, nil
}
