package pipes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	smithytime "github.com/aws/smithy-go/time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// errRefused is a customer error, which counts as an attempt; errInternal does not count.
var (
	errRefused  = errors.New("refused")
	errInternal = fmt.Errorf("%w: no connection", ErrInternal)
	errKilled   = errors.New("killed")
)

// A fault happens to the next call of a fake that it fits.
type fault int

const (
	noFault          fault = iota
	refuseAll              // target: a customer error for the whole batch
	internalAll            // target: an internal error for the whole batch
	refuseEven             // target: a customer error for every second record
	internalOdd            // target: an internal error for every other second record
	lateAnswer             // target: accepted, but the response is lost
	kill                   // the pipe is killed before the call
	killAfter              // the pipe is killed after the call had its effect
	readError              // stream
	noNext                 // stream: an empty page without a next cursor, though the shard is open
	shortPage              // stream: one record only
	queueUnavailable       // dead-letter queue
)

// A fixture holds what outlives a kill: the stream, what the target and the dead-letter queue hold, and the checkpoints.
// Its fakes fail as the plan defines and check the pipe's guarantee at every step.
type fixture struct {
	mu           sync.Mutex
	plan         []fault
	poison       map[string]bool // refused always
	most         int             // requests with more records are refused as too large; 0 for no limit
	filtered     map[string]bool // not passed by the filter
	beforeLatest map[string]bool // not guaranteed: written before the start of a pipe with LATEST
	shards       []Shard
	closed       map[string]bool
	stream       map[string][]Record // by shard

	accepted    []string        // sequence numbers in the order of acceptance, including duplicates
	done        map[string]bool // sequence numbers that were accepted or are in the dead-letter queue
	calls       [][]string
	callTimes   []time.Time
	rejected    []Rejected
	checkpoints map[string]Checkpoint
	hops        []hop.Hop
	breach      error // the first breach of the guarantee

	endLife context.CancelFunc
	era     int // number of kills
}

func newFixture(records int) *fixture {
	f := &fixture{poison: map[string]bool{}, filtered: map[string]bool{}, done: map[string]bool{}, closed: map[string]bool{}, stream: map[string][]Record{}}
	f.addShard("a", "")
	f.add("a", records)
	return f
}

func (f *fixture) addShard(id, parent string) {
	f.shards = append(f.shards, Shard{ID: id, Parent: parent})
	f.stream[id] = nil
}

// add puts records into a shard; their items repeat.
func (f *fixture) add(shard string, n int) {
	for range n {
		all := 0
		for _, records := range f.stream {
			all += len(records)
		}
		f.stream[shard] = append(f.stream[shard], Record{
			SequenceNumber: fmt.Sprintf("%04d", all+1),
			Arrival:        time.Now(),
			Key:            strconv.Itoa(all % 7),
			ID:             fmt.Sprintf("event-%d", all+1),
		})
	}
}

// next removes and returns the first fault of the plan that fits; noFault fits every call.
func (f *fixture) next(fitting ...fault) fault {
	i := slices.IndexFunc(f.plan, func(candidate fault) bool { return candidate == noFault || slices.Contains(fitting, candidate) })
	if i < 0 {
		return noFault
	}
	found := f.plan[i]
	f.plan = slices.Delete(slices.Clone(f.plan), i, i+1)
	return found
}

// enter begins a call of a fake by the pipe of one era. A killed pipe has no effect any more.
func (s *fakes) enter(fitting ...fault) (fault, error) {
	s.mu.Lock()
	if s.era != s.fixture.era {
		return noFault, errKilled
	}
	f := s.next(append(fitting, kill, killAfter)...)
	if f == kill {
		s.fixture.era++
		s.endLife()
		return f, errKilled
	}
	return f, nil
}

// leave ends a call that had its effect.
func (s *fakes) leave(f fault) error {
	if f != killAfter {
		return nil
	}
	s.fixture.era++
	s.endLife()
	return errKilled
}

// fakes are the stream, target, dead-letter queue and checkpoints of the pipe of one era: the time between two kills.
type fakes struct {
	*fixture
	era int
}

func (s *fakes) Shards(context.Context) ([]Shard, error) {
	f, err := s.enter(readError)
	defer s.mu.Unlock()
	if err != nil || f == readError {
		return nil, errors.Join(err, errInternal)
	}
	return slices.Clone(s.shards), s.leave(f)
}

func (s *fakes) Open(_ context.Context, shard, after string) (string, error) {
	f, err := s.enter(readError)
	defer s.mu.Unlock()
	if err != nil || f == readError {
		return "", errors.Join(err, errInternal)
	}
	at := 0
	if after != "" {
		at = slices.IndexFunc(s.stream[shard], func(r Record) bool { return r.SequenceNumber == after }) + 1
		if at == 0 {
			return "", ErrTrimmed
		}
	}
	return strconv.Itoa(at), s.leave(f)
}

func (s *fakes) Read(_ context.Context, shard, cursor string) (Page, error) {
	f, err := s.enter(readError, noNext, shortPage)
	defer s.mu.Unlock()
	switch {
	case err != nil || f == readError:
		return Page{}, errors.Join(err, errInternal)
	case f == noNext:
		return Page{}, nil
	}
	at, _ := strconv.Atoi(cursor)
	records := s.stream[shard][at:]
	if f == shortPage && len(records) > 1 {
		records = records[:1]
	}
	page := Page{Records: slices.Clone(records), Next: strconv.Itoa(at + len(records))}
	if len(records) == 0 && s.closed[shard] {
		page = Page{End: true}
	}
	return page, s.leave(f)
}

func (s *fakes) Deliver(_ context.Context, batch []Record) []error {
	f, err := s.enter(refuseAll, internalAll, refuseEven, internalOdd, lateAnswer)
	defer s.mu.Unlock()
	if s.most > 0 && len(batch) > s.most {
		f = refuseAll
	}
	errs := make([]error, len(batch))
	failed := err != nil
	var call []string
	for i, r := range batch {
		call = append(call, r.SequenceNumber)
		switch {
		case err != nil:
			errs[i] = err
		case f == internalAll || f == internalOdd && i%2 == 1:
			errs[i] = errInternal
		case f == refuseAll || f == refuseEven && i%2 == 0 || s.poison[r.SequenceNumber]:
			errs[i] = errRefused
		default:
			s.accepted = append(s.accepted, r.SequenceNumber)
			s.done[r.SequenceNumber] = true
		}
		if f == lateAnswer {
			errs[i] = errInternal
		}
		failed = failed || errs[i] != nil
	}
	if err == nil {
		s.calls, s.callTimes = append(s.calls, call), append(s.callTimes, time.Now())
	}
	if err := s.leave(f); err != nil {
		return errorForEach(err, len(batch))
	}
	if !failed {
		return nil
	}
	return errs
}

func (s *fakes) Send(_ context.Context, r Rejected) error {
	f, err := s.enter(queueUnavailable)
	defer s.mu.Unlock()
	if err != nil || f == queueUnavailable {
		return errors.Join(err, errInternal)
	}
	s.rejected = append(s.rejected, r)
	for _, record := range r.Records {
		s.done[record.SequenceNumber] = true
	}
	return s.leave(f)
}

func (s *fakes) Load() (map[string]Checkpoint, error) {
	f, err := s.enter()
	defer s.mu.Unlock()
	if err != nil || s.checkpoints == nil {
		return nil, err
	}
	copied := map[string]Checkpoint{}
	for shard, p := range s.checkpoints {
		copied[shard] = p
	}
	return copied, s.leave(f)
}

func (s *fakes) Save(checkpoints map[string]Checkpoint) error {
	f, err := s.enter()
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	if s.checkpoints == nil {
		s.checkpoints = map[string]Checkpoint{}
	}
	for shard, p := range checkpoints {
		s.checkpoints[shard] = p
	}
	if breach := s.checkpointBreach(); breach != nil && s.breach == nil {
		s.breach = breach
	}
	return s.leave(f)
}

// settled reports whether nothing more needs to happen to a record.
func (f *fixture) settled(r Record) bool {
	return f.filtered[r.SequenceNumber] || f.beforeLatest[r.SequenceNumber] || f.done[r.SequenceNumber]
}

// checkpointBreach returns an error when a checkpoint has passed a record that is not settled.
func (f *fixture) checkpointBreach() error {
	for shard, p := range f.checkpoints {
		for _, r := range f.stream[shard] {
			if (p.Ended || r.SequenceNumber <= p.After) && !f.settled(r) {
				return fmt.Errorf("the checkpoint of shard %s is %+v, but record %s is neither accepted nor in the dead-letter queue", shard, p, r.SequenceNumber)
			}
		}
	}
	return nil
}

// missing returns the records that are not settled.
func (f *fixture) missing() []string {
	var found []string
	for _, records := range f.stream {
		for _, r := range records {
			if !f.settled(r) {
				found = append(found, r.SequenceNumber)
			}
		}
	}
	return found
}

// drain runs pipes until every record is settled, for at most d.
func (f *fixture) drain(settings Settings, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		for smithytime.SleepWithContext(ctx, time.Minute) == nil {
			f.mu.Lock()
			if len(f.missing()) == 0 {
				cancel()
			}
			f.mu.Unlock()
		}
	})
	defer cancel()
	return f.liveUntil(ctx, settings)
}

// live runs pipes until d has passed.
func (f *fixture) live(settings Settings, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return f.liveUntil(ctx, settings)
}

// liveUntil runs a pipe, and another one after each kill.
func (f *fixture) liveUntil(end context.Context, settings Settings) error {
	for end.Err() == nil {
		ctx, endLife := context.WithCancel(end)
		f.mu.Lock()
		f.endLife = endLife
		s := &fakes{fixture: f, era: f.era}
		f.mu.Unlock()
		err := f.pipe(settings, s).Run(ctx)
		killed := ctx.Err() != nil
		endLife()
		if err != nil && !errors.Is(err, errKilled) {
			return err
		}
		if !killed && err == nil {
			return errors.New("the pipe stopped by itself")
		}
	}
	return f.breach
}

func (f *fixture) pipe(settings Settings, s *fakes) *Pipe {
	settings.BatchSize, settings.Parallel = max(1, settings.BatchSize), max(1, settings.Parallel)
	return &Pipe{
		Settings: settings, Stream: s, Target: s, DeadLetter: s, Checkpoints: s,
		Filter: func(r Record) bool { return !f.filtered[r.SequenceNumber] },
		Sink:   f.sink,
	}
}

func (f *fixture) sink(h hop.Hop) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hops = append(f.hops, h)
}

func (f *fixture) outcomes(o hop.Outcome) (found []hop.Hop) {
	for _, h := range f.hops {
		if h.Outcome == o {
			found = append(found, h)
		}
	}
	return found
}
