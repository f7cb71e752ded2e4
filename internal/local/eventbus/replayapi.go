package eventbus

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A timestamp is a time in seconds, as the API has it.
type timestamp float64

func newTimestamp(t time.Time) *timestamp {
	if t.IsZero() {
		return nil
	}
	seconds := timestamp(float64(t.UnixMilli()) / 1000)
	return &seconds
}

func (t timestamp) time() time.Time {
	seconds, fraction := math.Modf(float64(t))
	return time.Unix(int64(seconds), int64(fraction*1e9))
}

type archiveDescription struct {
	ArchiveName, EventSourceArn, State string
	RetentionDays                      int
	SizeBytes, EventCount              int64
	CreationTime                       *timestamp
}

func (s *Service) describe(a *archive) (archiveDescription, error) {
	count, bytes, err := s.size(a)
	return archiveDescription{
		ArchiveName: a.name, EventSourceArn: a.busARN, State: "ENABLED", RetentionDays: a.settings.Days, SizeBytes: bytes, EventCount: count,
		CreationTime: newTimestamp(a.created),
	}, err
}

type listArchivesRequest struct{ NamePrefix, EventSourceArn, State string }

type listArchivesResponse struct{ Archives []archiveDescription }

func (s *Service) listArchives(request listArchivesRequest) (listArchivesResponse, error) {
	response := listArchivesResponse{Archives: []archiveDescription{}}
	for _, a := range s.allArchives() {
		fits := strings.HasPrefix(a.name, request.NamePrefix) && (request.EventSourceArn == "" || request.EventSourceArn == a.busARN) &&
			(request.State == "" || request.State == "ENABLED")
		if !fits {
			continue
		}
		d, err := s.describe(a)
		if err != nil {
			return response, err
		}
		response.Archives = append(response.Archives, d)
	}
	return response, nil
}

type describeArchiveRequest struct{ ArchiveName string }

type describeArchiveResponse struct {
	archiveDescription
	ArchiveArn   string
	Description  string `json:",omitempty"`
	EventPattern string `json:",omitempty"`
}

func (s *Service) describeArchive(request describeArchiveRequest) (describeArchiveResponse, error) {
	a, err := s.existingArchive(request.ArchiveName)
	if err != nil {
		return describeArchiveResponse{}, err
	}
	d, err := s.describe(a)
	return describeArchiveResponse{d, a.arn, a.settings.Description, string(a.settings.EventPattern)}, err
}

type replayDestination struct {
	Arn        string
	FilterArns []string `json:",omitempty"`
}

type startReplayRequest struct {
	ReplayName, Description, EventSourceArn string
	EventStartTime, EventEndTime            *timestamp
	Destination                             replayDestination
}

type replayStateResponse struct {
	ReplayArn, State string
	StateReason      string     `json:",omitempty"`
	ReplayStartTime  *timestamp `json:",omitempty"`
}

// replayName is the syntax of a replay's name. Source: EventBridge API reference, StartReplay.
var replayName = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

// startReplay starts a replay. Source for the refusals: EventBridge API reference, StartReplay.
func (s *Service) startReplay(request startReplayRequest) (replayStateResponse, error) {
	r, err := s.newReplay(request)
	if err != nil {
		return replayStateResponse{}, err
	}
	s.replaying.Lock()
	defer s.replaying.Unlock()
	if s.replays[r.Name] != nil {
		return replayStateResponse{}, &apiError{http.StatusBadRequest, "ResourceAlreadyExistsException", "Replay " + r.Name + " already exists."}
	}
	if err := s.storeReplay(r); err != nil {
		return replayStateResponse{}, err
	}
	s.replays[r.Name] = r
	select {
	case s.replayStarted <- struct{}{}:
	default:
	}
	return replayStateResponse{s.replayARN(r.Name), r.State, r.Reason, newTimestamp(r.Started)}, nil
}

func (s *Service) newReplay(request startReplayRequest) (*replay, error) {
	if !replayName.MatchString(request.ReplayName) {
		return nil, invalid("ReplayName must be 1 to 64 letters, digits, dots, dashes and underscores, got %q.", request.ReplayName)
	}
	a := s.archiveWith(func(a *archive) bool { return a.arn == request.EventSourceArn })
	if a == nil {
		return nil, notFound(fmt.Errorf("Archive %s does not exist.", request.EventSourceArn))
	}
	if request.Destination.Arn != a.busARN {
		return nil, invalid("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
	}
	if request.EventStartTime == nil || request.EventEndTime == nil || *request.EventEndTime <= *request.EventStartTime {
		return nil, invalid("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
	}
	if err := s.checkFilter(a, request.Destination.FilterArns); err != nil {
		return nil, err
	}
	return &replay{
		Name: request.ReplayName, Description: request.Description, ArchiveARN: a.arn, BusARN: a.busARN, RuleARNs: request.Destination.FilterArns,
		From: request.EventStartTime.time(), To: request.EventEndTime.time(), State: replayStarting, Started: time.Now(),
	}, nil
}

// checkFilter checks that the rules exist on the archive's bus.
func (s *Service) checkFilter(a *archive, rules []string) error {
	b, err := s.findBus(a.busARN)
	if err != nil {
		return notFound(err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, arn := range rules {
		if !slices.ContainsFunc(b.rules, func(r *rule) bool { return r.arn == arn }) {
			return notFound(fmt.Errorf("Rule %s does not exist on EventBus %s.", arn, b.name))
		}
	}
	return nil
}

func (s *Service) replayARN(name string) string { return s.cloud.ARN("events", "replay/"+name) }

type replayRequest struct{ ReplayName string }

type replayDescription struct {
	ReplayName, EventSourceArn, State string
	StateReason                       string `json:",omitempty"`
	EventStartTime, EventEndTime      *timestamp
	EventLastReplayedTime             *timestamp `json:",omitempty"`
	ReplayStartTime                   *timestamp
	ReplayEndTime                     *timestamp `json:",omitempty"`
}

func (r *replay) describe() replayDescription {
	return replayDescription{
		ReplayName: r.Name, EventSourceArn: r.ArchiveARN, State: r.State, StateReason: r.Reason, EventStartTime: newTimestamp(r.From),
		EventEndTime: newTimestamp(r.To), EventLastReplayedTime: newTimestamp(r.LastReplayed), ReplayStartTime: newTimestamp(r.Started),
		ReplayEndTime: newTimestamp(r.Ended),
	}
}

type describeReplayResponse struct {
	replayDescription
	ReplayArn   string
	Description string `json:",omitempty"`
	Destination replayDestination
}

func (s *Service) describeReplay(request replayRequest) (describeReplayResponse, error) {
	s.replaying.Lock()
	defer s.replaying.Unlock()
	r := s.replays[request.ReplayName]
	if r == nil {
		return describeReplayResponse{}, noReplay(request.ReplayName)
	}
	return describeReplayResponse{r.describe(), s.replayARN(r.Name), r.Description, replayDestination{r.BusARN, r.RuleARNs}}, nil
}

type listReplaysRequest struct{ NamePrefix, State, EventSourceArn string }

type listReplaysResponse struct{ Replays []replayDescription }

func (s *Service) listReplays(request listReplaysRequest) (listReplaysResponse, error) {
	s.replaying.Lock()
	defer s.replaying.Unlock()
	response := listReplaysResponse{Replays: []replayDescription{}}
	for _, r := range s.replays {
		if strings.HasPrefix(r.Name, request.NamePrefix) && (request.State == "" || request.State == r.State) &&
			(request.EventSourceArn == "" || request.EventSourceArn == r.ArchiveARN) {
			response.Replays = append(response.Replays, r.describe())
		}
	}
	slices.SortFunc(response.Replays, func(a, b replayDescription) int { return strings.Compare(a.ReplayName, b.ReplayName) })
	return response, nil
}

// cancelReplay ends a replay before the next events. Those that it has sent are delivered.
func (s *Service) cancelReplay(request replayRequest) (replayStateResponse, error) {
	s.replaying.Lock()
	r := s.replays[request.ReplayName]
	s.replaying.Unlock()
	if r == nil {
		return replayStateResponse{}, noReplay(request.ReplayName)
	}
	refused := false
	changed, err := s.editReplay(request.ReplayName, func(r *replay) {
		if refused = r.State != replayStarting && r.State != replayRunning; !refused {
			r.State = replayCancelling
		}
	})
	if refused {
		return replayStateResponse{}, &apiError{http.StatusBadRequest, "IllegalStatusException", "Replay " + request.ReplayName + " is not in a valid state for this operation."}
	}
	return replayStateResponse{ReplayArn: s.replayARN(changed.Name), State: changed.State}, err
}

func noReplay(name string) error { return notFound(fmt.Errorf("Replay %s does not exist.", name)) }
