package faults

import "testing"

func TestEachPointHasAMeaning(t *testing.T) {
	for _, p := range Points {
		if p.Meaning() == "" {
			t.Errorf("%s has none", p)
		}
	}
	if len(meanings) != len(Points) {
		t.Errorf("%d points have a meaning, and there are %d", len(meanings), len(Points))
	}
}
