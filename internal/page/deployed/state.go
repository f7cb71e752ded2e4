package deployed

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/outboxkit/transactional-outbox/internal/flow"
	"github.com/outboxkit/transactional-outbox/internal/operate"
	"github.com/outboxkit/transactional-outbox/internal/page"
)

const (
	// surveyEvery is how often everything is looked at. The queues alone are each time.
	surveyEvery = 10 * time.Second
	// requestsAtOnce is how many requests are under way at the same time.
	requestsAtOnce = 8
)

// A survey is what was seen when everything was looked at.
type survey struct {
	at     time.Time
	needs  []page.Need
	status map[string]string // by the id of a node; of those that are not as usual
	oldest map[string]int64  // seconds
}

// State returns how the stack stands: what its queues hold now, and everything else as it was some seconds ago.
func (s *Stacks) State(ctx context.Context) (*page.State, error) {
	seen, err := s.surveyed(ctx)
	if err != nil {
		return nil, err
	}
	state := &page.State{At: time.Now(), Nodes: map[string]page.NodeState{}, Needs: seen.needs}
	for id, status := range seen.status {
		state.Nodes[id] = page.NodeState{Status: status}
	}
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(requestsAtOnce)
	for _, n := range s.graph.Nodes {
		if n.Kind != flow.Queue && n.Kind != flow.DeadLetters || s.physical[n.ID] == "" { // another stack's
			continue
		}
		all.Go(func() error {
			waiting, inFlight, err := s.depth(ctx, n.ID)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				state.Problems = append(state.Problems, fmt.Sprintf("%s: %v", n.Path, err))
				return nil
			}
			node := state.Nodes[n.ID]
			node.Waiting, node.InFlight = &waiting, &inFlight
			if oldest, ok := seen.oldest[n.ID]; ok && waiting > 0 {
				node.OldestSeconds = &oldest
			}
			state.Nodes[n.ID] = node
			return nil
		})
	}
	_ = all.Wait() // what could not be read is in the state
	return state, ctx.Err()
}

// depth returns how many messages of a queue wait, those that are delayed included, and are in flight.
func (s *Stacks) depth(ctx context.Context, id string) (waiting, inFlight int64, err error) {
	url := s.physical[id]
	out, err := s.clients.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}})
	if err != nil {
		return 0, 0, err
	}
	for name, text := range out.Attributes {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("queue attribute %s must be a whole number, got %q", name, text)
		}
		if name == string(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible) {
			inFlight += n
		} else {
			waiting += n
		}
	}
	return waiting, inFlight, nil
}

// surveyed returns what was seen when everything was looked at, and looks where that is some time ago.
func (s *Stacks) surveyed(ctx context.Context) (survey, error) {
	s.surveying.Lock()
	defer s.surveying.Unlock()
	if len(s.surveyors) == 0 || time.Since(s.survey.at) < surveyEvery {
		return s.survey, nil
	}
	seen := survey{at: time.Now(), needs: []page.Need{}, status: map[string]string{}, oldest: map[string]int64{}}
	for i, surveyor := range s.surveyors {
		status, err := surveyor.Survey(ctx)
		if err != nil {
			return s.survey, err
		}
		s.noteAll(&seen, s.stacks[i], status)
	}
	s.survey = seen
	return seen, nil
}

// noteAll adds what was seen of a stack.
func (s *Stacks) noteAll(seen *survey, stack *operate.Stack, status *operate.Status) {
	for _, need := range status.Needs {
		seen.needs = append(seen.needs, page.Need{What: need.What, Do: need.Do})
	}
	for i, o := range status.Outboxes {
		of := stack.Outboxes[i]
		s.note(seen, of.Pipe, &o.Pipe)
		s.noteConsumers(seen, of.Consumers, o.Consumers)
	}
	var imported []*operate.Consumer
	for _, c := range stack.Consumers {
		if c.Outbox == nil {
			imported = append(imported, c)
		}
	}
	s.noteConsumers(seen, imported, status.Imported)
}

// usual are the states of a part that works.
var usual = map[string]bool{"RUNNING": true, "Enabled": true, "ENABLED": true}

// note adds the state of a part that is not as usual.
func (s *Stacks) note(seen *survey, physical string, part *operate.Reading[operate.Part]) {
	if id, ok := s.logical[physical]; ok && part != nil && part.Error == "" && !usual[part.Value.State] {
		seen.status[id] = part.Value.State
	}
}

func (s *Stacks) noteConsumers(seen *survey, consumers []*operate.Consumer, stand []operate.ConsumerStatus) {
	for i, c := range consumers {
		if i >= len(stand) {
			return
		}
		s.note(seen, c.Rule, stand[i].Rule)
		s.note(seen, functionName(c.Function), stand[i].Mapping) // a mapping is no node: its function has its state
		if age := stand[i].OldestAge; age != nil && age.Error == "" && age.Value.Known {
			if id, ok := s.logical[c.Queue]; ok {
				seen.oldest[id] = age.Value.Seconds
			}
		}
	}
}
