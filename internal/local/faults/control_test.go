package faults

import (
	"slices"
	"testing"
	"time"
)

// setting returns the setting of a point.
func setting(i *Injector, p Point) Setting {
	all := i.Settings()
	return all[slices.IndexFunc(all, func(s Setting) bool { return s.Point == p })]
}

func TestFaultsAreSetWhileItRuns(t *testing.T) {
	i, fired := injecting()
	a := subject{key: "a", events: []string{"a"}, ids: []string{"id-a"}}
	b := subject{key: "b", events: []string{"b"}, ids: []string{"id-b"}}
	if i.fires(BusPartial, a) || !i.isIdle() {
		t.Error("it fires before anything is set")
	}
	if err := i.SetRate(BusPartial, 1); err != nil {
		t.Fatal(err)
	}
	if !i.fires(BusPartial, a) || i.fires(BusDuplicate, a) {
		t.Error("the rate of one point is not that of this point alone")
	}
	if err := i.SetRate(BusPartial, 0); err != nil {
		t.Fatal(err)
	}
	if i.fires(BusPartial, a) || !i.isIdle() {
		t.Error("it fires after its rate is 0")
	}
	if err := i.Once(Step{Point: BusDuplicate, Key: "id-b", Nth: 2}); err != nil {
		t.Fatal(err)
	}
	if got := setting(i, BusDuplicate); len(got.Once) != 1 || got.Once[0].Key != "id-b" || got.Fired != 0 {
		t.Errorf("got %+v", got)
	}
	decisions := []bool{i.fires(BusDuplicate, a), i.fires(BusDuplicate, b), i.fires(BusDuplicate, b), i.fires(BusDuplicate, b)}
	if !slices.Equal(decisions, []bool{false, false, true, false}) {
		t.Errorf("it fires %v", decisions)
	}
	if got := setting(i, BusDuplicate); got.Once != nil || got.Fired != 1 {
		t.Errorf("got %+v", got)
	}
	if got := len(fired.list()); got != 2 {
		t.Errorf("%d faults are reported", got)
	}
}

func TestACanceledFaultDoesNotFire(t *testing.T) {
	i, _ := injecting()
	if err := i.Once(Step{Point: BusDuplicate, Key: "a"}); err != nil {
		t.Fatal(err)
	}
	i.Cancel(BusDuplicate, "a")
	if i.fires(BusDuplicate, subject{key: "a"}) || !i.isIdle() {
		t.Error("it fires")
	}
}

// What is set after the faults have ended is all that happens then, whether they were healed or their time had come.
func TestFaultsAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*Injector){
		"healed":    func(i *Injector) { i.Heal() },
		"time's up": func(i *Injector) { i.until = time.Now() },
	} {
		t.Run(name, func(t *testing.T) {
			i, _ := injecting(QueueDuplicate)
			end(i)
			if got := setting(i, QueueDuplicate); got.Rate != 0 {
				t.Errorf("the end leaves %+v", got)
			}
			if err := i.SetRate(BusPartial, 1); err != nil {
				t.Fatal(err)
			}
			if i.fires(QueueDuplicate, subject{key: "a"}) || !i.fires(BusPartial, subject{key: "a"}) {
				t.Error("not exactly what was set fires")
			}
			if !i.Heal() || i.Heal() || i.fires(BusPartial, subject{key: "b"}) {
				t.Error("it does not heal once more")
			}
		})
	}
}

// An event is on its own for a fault that was set for it, and not for one of a plan: batches are as they were there.
func TestAwaits(t *testing.T) {
	i, _ := scripted(Step{Point: BusDuplicate, Key: "planned"})
	if err := i.Once(Step{Point: BusDuplicate, Key: "set"}); err != nil {
		t.Fatal(err)
	}
	if i.Awaits("planned") || !i.Awaits("set") || i.Awaits("other") {
		t.Error("not exactly the event with a fault that was set")
	}
	if !i.fires(BusDuplicate, about("set")) || i.Awaits("set") {
		t.Error("it awaits what has fired")
	}
}
