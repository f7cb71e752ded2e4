package chaos

import "testing"

// TestAMistakeLastsThoughItsTurnCameLate keeps an operator who was slow to make a mistake from putting it right at once: it
// would cost nothing, and show nothing.
func TestAMistakeLastsThoughItsTurnCameLate(t *testing.T) {
	begin := &turn{after: 0.2, name: "mistake"}
	s := newSchedule([]*turn{begin, {after: 0.4, name: "is over", puts: begin, lasts: 0.2}, {after: 0.95, name: "later"}}, 10)
	for range 5 {
		s.done()
	}
	if got := s.next(); got != begin {
		t.Fatalf("the first turn is %q", got.name)
	}
	s.took(begin)
	s.done()
	if s.isDue(s.turns[0]) {
		t.Errorf("%q comes after one order of the two that the mistake lasts", s.turns[0].name)
	}
	s.done()
	if got := s.next(); got.name != "is over" {
		t.Errorf("the second turn is %q", got.name)
	}
	if s.isDue(s.turns[0]) {
		t.Errorf("%q comes after 7 orders of 10", s.turns[0].name)
	}
	s.end()
	if got := s.next(); got == nil || got.name != "later" {
		t.Errorf("what is left after the last order did not come: %v", got)
	}
	if got := s.next(); got != nil {
		t.Errorf("%q came after the last turn", got.name)
	}
}
