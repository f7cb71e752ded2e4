package topics

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/hop"
)

// A dispatcher delivers messages, retries, and sends to the dead-letter queue what cannot be delivered.
type dispatcher struct {
	service  *Service
	policies Policies
	sink     hop.Sink

	mu      sync.Mutex
	waiting []*delivery
	lanes   map[string][]*delivery // that wait for the delivery before them, by lane; missing: none is under way
	arrived chan struct{}          // holds a token while deliveries wait
}

func newDispatcher(s *Service, p Policies, sink hop.Sink) *dispatcher {
	return &dispatcher{service: s, policies: p, sink: sink, lanes: map[string][]*delivery{}, arrived: make(chan struct{}, 1)}
}

// dispatch accepts deliveries that are in the journal. It does not block.
func (d *dispatcher) dispatch(deliveries []*delivery) {
	d.mu.Lock()
	d.waiting = append(d.waiting, deliveries...)
	d.mu.Unlock()
	select {
	case d.arrived <- struct{}{}:
	default:
	}
}

// run delivers messages until ctx is done.
func (d *dispatcher) run(ctx context.Context) {
	var deliveries sync.WaitGroup
	defer deliveries.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.arrived:
		}
		for _, one := range d.next() {
			deliveries.Go(func() { d.follow(ctx, one) })
		}
	}
}

// next returns the deliveries that need not wait for another one.
func (d *dispatcher) next() (free []*delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.waiting {
		lane := one.lane()
		behind, busy := d.lanes[lane]
		switch {
		case lane == "":
			free = append(free, one)
		case busy:
			d.lanes[lane] = append(behind, one)
		default:
			d.lanes[lane] = nil
			free = append(free, one)
		}
	}
	d.waiting = nil
	return free
}

// follow attempts a delivery, and after it those that wait behind it in its lane.
func (d *dispatcher) follow(ctx context.Context, one *delivery) {
	for one != nil && ctx.Err() == nil {
		d.deliver(ctx, one)
		one = d.behind(one)
	}
}

// behind returns the delivery that waits behind one, or nil.
func (d *dispatcher) behind(one *delivery) *delivery {
	lane := one.lane()
	if lane == "" {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	behind := d.lanes[lane]
	if len(behind) == 0 {
		delete(d.lanes, lane)
		return nil
	}
	d.lanes[lane] = behind[1:]
	return behind[0]
}

// deliver attempts one delivery until it has finished or ctx is done; in the latter case it stays in the journal.
func (d *dispatcher) deliver(ctx context.Context, one *delivery) {
	sub := d.service.subscription(one.Subscription)
	if sub == nil {
		d.finish(one, hop.Hop{Resource: one.Subscription, Outcome: hop.Dropped, Detail: "the subscription is no longer in the template"})
		return
	}
	for {
		failed := d.attempt(ctx, sub, one)
		switch {
		case failed != nil && ctx.Err() != nil:
			return
		case failed == nil:
			d.finish(one, hop.Hop{Resource: d.nameOf(sub), Target: sub.Endpoint, Outcome: hop.OK})
			return
		case failed.final || one.Retries >= maxRetries:
			d.giveUp(ctx, sub, one, failed)
			return
		}
		due := d.service.clock.Now().Add(waitBefore(one.Retries)) // before somebody hears of the retry, and sets the clock forward
		d.report(one, hop.Hop{Resource: d.nameOf(sub), Target: sub.Endpoint, Outcome: hop.Retry, Detail: failed.Error()})
		if d.service.clock.SleepUntil(ctx, due) != nil {
			return
		}
		one.Retries++
		if err := d.service.journal.update(one); err != nil {
			d.report(one, hop.Hop{Resource: d.nameOf(sub), Outcome: hop.Retry, Detail: "store the retry: " + err.Error()})
		}
	}
}

// giveUp sends the message to the subscription's dead-letter queue. As on AWS, it is dropped when there is no such queue or
// the queue can never accept it.
// Source: SNS developer guide, sns-dead-letter-queues.
func (d *dispatcher) giveUp(ctx context.Context, sub *Subscription, one *delivery, failed *failure) {
	dropped := func(why string) {
		d.finish(one, hop.Hop{Resource: d.nameOf(sub), Target: sub.Endpoint, Outcome: hop.Dropped, Detail: failed.Error() + "; " + why})
	}
	if sub.DeadLetter == "" {
		dropped("the subscription has no dead-letter queue")
		return
	}
	for n := 0; ; n++ {
		refused := d.send(ctx, sub, sub.DeadLetter, one.Message)
		switch {
		case refused != nil && ctx.Err() != nil:
			return
		case refused == nil:
			d.finish(one, hop.Hop{Resource: d.nameOf(sub), Source: sub.Endpoint, Target: sub.DeadLetter, Outcome: hop.DeadLetter, Detail: failed.Error()})
			return
		case refused.final:
			dropped("the dead-letter queue did not accept the message: " + refused.Error())
			return
		}
		if d.service.clock.Sleep(ctx, waitBefore(n)) != nil {
			return
		}
	}
}

// nameOf returns the logical id of a subscription's topic, which is what the hops of a subscription come from.
func (d *dispatcher) nameOf(sub *Subscription) string { return d.service.find(sub.TopicARN).LogicalID }

// finish reports the end of a delivery and removes it from the journal.
func (d *dispatcher) finish(one *delivery, h hop.Hop) {
	// In this order, a kill in between makes the next run report the end once more. In the other, nobody would.
	d.report(one, h)
	if err := d.service.journal.remove(one); err != nil {
		h.Outcome, h.Detail = hop.Retry, fmt.Sprintf("the next run delivers it again, because the journal cannot be written: %v", err)
		d.report(one, h)
	}
}

func (d *dispatcher) report(one *delivery, h hop.Hop) {
	h.At, h.Stage, h.Count, h.Latency = time.Now(), hop.Topic, 1, time.Since(one.Message.At)
	var event struct{ Source string }
	_ = json.Unmarshal([]byte(one.Message.Body), &event) // what is no event has no source
	if id := hop.EventID([]byte(one.Message.Body)); id != "" {
		h.EventIDs = []string{id}
	}
	h.Heartbeat = hop.IsHeartbeat(event.Source)
	d.sink(h)
}
