package pipes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// errRefused is a failure that counts; errAway is one that does not.
var (
	errRefused = errors.New("refused")
	errAway    = fmt.Errorf("%w: no connection", ErrInternal)
	errKilled  = errors.New("killed")
)

// fault is what happens to the next call of a seam that it fits.
type fault int

const (
	noFault    fault = iota
	refuseAll        // target: a customer error for the whole batch
	awayAll          // target: an internal error for the whole batch
	refuseEven       // target: a customer error for every second record
	awayOdd          // target: an internal error for every other second record
	lateAnswer       // target: accepted, but the answer is lost
	kill             // before the call
	killAfter        // after the call had its effect
	readError        // stream
	noNext           // stream: an empty page without a next cursor, though the shard is open
	shortPage        // stream: one record only
	queueAway        // dead-letter queue
)

// world is what outlives a kill: the stream, what the target and the dead-letter queue hold, and the
// positions. Its seams break as the plan says and check the promise at every step.
type world struct {
	mu     sync.Mutex
	plan   []fault
	poison map[string]bool // refused always
	most   int             // requests with more records are refused as too large; 0 for no limit
	hidden map[string]bool // left out by the filter
	before map[string]bool // not promised: written before a pipe that starts with LATEST
	shards []Shard
	closed map[string]bool
	stream map[string][]Record // by shard

	accepted  []string        // sequence numbers in the order of acceptance, duplicates included
	done      map[string]bool // sequence numbers that were accepted or are in the dead-letter queue
	calls     [][]string
	callTimes []time.Time
	rejected  []Rejected
	positions map[string]Position
	hops      []hop.Hop
	broken    error // the first breach of the promise

	life context.CancelFunc
	era  int // number of kills
}

func newWorld(records int) *world {
	w := &world{poison: map[string]bool{}, hidden: map[string]bool{}, done: map[string]bool{}, closed: map[string]bool{}, stream: map[string][]Record{}}
	w.addShard("a", "")
	w.add("a", records)
	return w
}

func (w *world) addShard(id, parent string) {
	w.shards = append(w.shards, Shard{ID: id, Parent: parent})
	w.stream[id] = nil
}

// add puts records into a shard; their items repeat.
func (w *world) add(shard string, n int) {
	for range n {
		all := 0
		for _, records := range w.stream {
			all += len(records)
		}
		w.stream[shard] = append(w.stream[shard], Record{
			SequenceNumber: fmt.Sprintf("%04d", all+1),
			Arrival:        time.Now(),
			Key:            strconv.Itoa(all % 7),
			ID:             fmt.Sprintf("event-%d", all+1),
		})
	}
}

// next takes the first fault of the plan that fits; noFault fits every call.
func (w *world) next(fitting ...fault) fault {
	i := slices.IndexFunc(w.plan, func(f fault) bool { return f == noFault || slices.Contains(fitting, f) })
	if i < 0 {
		return noFault
	}
	f := w.plan[i]
	w.plan = slices.Delete(slices.Clone(w.plan), i, i+1)
	return f
}

// enter begins a call of a seam by the pipe of one era. A killed pipe has no effect any more.
func (s *seams) enter(fitting ...fault) (fault, error) {
	s.mu.Lock()
	if s.era != s.world.era {
		return noFault, errKilled
	}
	f := s.next(append(fitting, kill, killAfter)...)
	if f == kill {
		s.world.era++
		s.life()
		return f, errKilled
	}
	return f, nil
}

// leave ends a call that had its effect.
func (s *seams) leave(f fault) error {
	if f != killAfter {
		return nil
	}
	s.world.era++
	s.life()
	return errKilled
}

// seams are the world as the pipe of one era meets it.
type seams struct {
	*world
	era int
}

func (s *seams) Shards(context.Context) ([]Shard, error) {
	f, err := s.enter(readError)
	defer s.mu.Unlock()
	if err != nil || f == readError {
		return nil, errors.Join(err, errAway)
	}
	return slices.Clone(s.shards), s.leave(f)
}

func (s *seams) Open(_ context.Context, shard, after string) (string, error) {
	f, err := s.enter(readError)
	defer s.mu.Unlock()
	if err != nil || f == readError {
		return "", errors.Join(err, errAway)
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

func (s *seams) Read(_ context.Context, shard, cursor string) (Page, error) {
	f, err := s.enter(readError, noNext, shortPage)
	defer s.mu.Unlock()
	switch {
	case err != nil || f == readError:
		return Page{}, errors.Join(err, errAway)
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

func (s *seams) Deliver(_ context.Context, batch []Record) []error {
	f, err := s.enter(refuseAll, awayAll, refuseEven, awayOdd, lateAnswer)
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
		case f == awayAll || f == awayOdd && i%2 == 1:
			errs[i] = errAway
		case f == refuseAll || f == refuseEven && i%2 == 0 || s.poison[r.SequenceNumber]:
			errs[i] = errRefused
		default:
			s.accepted = append(s.accepted, r.SequenceNumber)
			s.done[r.SequenceNumber] = true
		}
		if f == lateAnswer {
			errs[i] = errAway
		}
		failed = failed || errs[i] != nil
	}
	if err == nil {
		s.calls, s.callTimes = append(s.calls, call), append(s.callTimes, time.Now())
	}
	if err := s.leave(f); err != nil {
		return sameForAll(err, len(batch))
	}
	if !failed {
		return nil
	}
	return errs
}

func (s *seams) Send(_ context.Context, r Rejected) error {
	f, err := s.enter(queueAway)
	defer s.mu.Unlock()
	if err != nil || f == queueAway {
		return errors.Join(err, errAway)
	}
	s.rejected = append(s.rejected, r)
	for _, record := range r.Records {
		s.done[record.SequenceNumber] = true
	}
	return s.leave(f)
}

func (s *seams) Load() (map[string]Position, error) {
	f, err := s.enter()
	defer s.mu.Unlock()
	if err != nil || s.positions == nil {
		return nil, err
	}
	copied := map[string]Position{}
	for shard, p := range s.positions {
		copied[shard] = p
	}
	return copied, s.leave(f)
}

func (s *seams) Save(positions map[string]Position) error {
	f, err := s.enter()
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	if s.positions == nil {
		s.positions = map[string]Position{}
	}
	for shard, p := range positions {
		s.positions[shard] = p
	}
	if breach := s.passed(); breach != nil && s.broken == nil {
		s.broken = breach
	}
	return s.leave(f)
}

// settled says whether nothing more needs to happen to a record.
func (w *world) settled(r Record) bool {
	return w.hidden[r.SequenceNumber] || w.before[r.SequenceNumber] || w.done[r.SequenceNumber]
}

// passed finds a position that has passed a record that is not settled.
func (w *world) passed() error {
	for shard, p := range w.positions {
		for _, r := range w.stream[shard] {
			if (p.Ended || r.SequenceNumber <= p.After) && !w.settled(r) {
				return fmt.Errorf("the position of shard %s is %+v, but record %s is neither accepted nor in the dead-letter queue", shard, p, r.SequenceNumber)
			}
		}
	}
	return nil
}

// missing are the records that are not settled.
func (w *world) missing() []string {
	var found []string
	for _, records := range w.stream {
		for _, r := range records {
			if !w.settled(r) {
				found = append(found, r.SequenceNumber)
			}
		}
	}
	return found
}

// drain runs pipes until every record is settled, at most for d.
func (w *world) drain(settings Settings, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		for sleep(ctx, time.Minute) == nil {
			w.mu.Lock()
			if len(w.missing()) == 0 {
				cancel()
			}
			w.mu.Unlock()
		}
	})
	defer cancel()
	return w.liveUntil(ctx, settings)
}

// live runs pipes until d has passed.
func (w *world) live(settings Settings, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return w.liveUntil(ctx, settings)
}

// liveUntil runs a pipe, and another one after each kill.
func (w *world) liveUntil(end context.Context, settings Settings) error {
	for end.Err() == nil {
		ctx, life := context.WithCancel(end)
		w.mu.Lock()
		w.life = life
		s := &seams{world: w, era: w.era}
		w.mu.Unlock()
		err := w.pipe(settings, s).Run(ctx)
		killed := ctx.Err() != nil
		life()
		if err != nil && !errors.Is(err, errKilled) {
			return err
		}
		if !killed && err == nil {
			return errors.New("the pipe stopped by itself")
		}
	}
	return w.broken
}

func (w *world) pipe(settings Settings, s *seams) *Pipe {
	settings.BatchSize, settings.Parallel = max(1, settings.BatchSize), max(1, settings.Parallel)
	return &Pipe{
		Settings: settings, Stream: s, Target: s, DeadLetter: s, Checkpoints: s,
		Filter: func(r Record) bool { return !w.hidden[r.SequenceNumber] },
		Sink:   w.sink,
	}
}

func (w *world) sink(h hop.Hop) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hops = append(w.hops, h)
}

func (w *world) outcomes(o hop.Outcome) (found []hop.Hop) {
	for _, h := range w.hops {
		if h.Outcome == o {
			found = append(found, h)
		}
	}
	return found
}
