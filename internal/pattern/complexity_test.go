package pattern

import (
	"strings"
	"testing"
)

// The numbers are counted by hand: the text in the comment matches so many prefixes at the same time. Every text begins
// and ends with a quote.
func TestComplexity(t *testing.T) {
	for _, c := range []struct {
		want     int
		patterns []string
	}{
		{2, []string{"*"}},        // ": "*, and with its end "*"
		{2, []string{"*ab"}},      // "ab": "*, "*ab
		{3, []string{"*aa"}},      // "aa: "*, "*a, "*aa
		{2, []string{"aa*"}},      // "aa: "aa, "aa*
		{3, []string{"a*bb"}},     // "abb: "a*, "a*b, "a*bb
		{5, []string{"a*b*bb"}},   // "abbb: "a*, "a*b, "a*b*, "a*b*b, "a*b*bb
		{7, []string{"*ab*b*b*"}}, // "abbbab
		{4, []string{"a*bcd", "ab*cd"}},
		{6, []string{"ab*cd", "ab*wx", "ab*yz"}}, // "ab
		{2, []string{"ab*c", "ab*c"}},            // the same counts once
		{7, []string{"a*aaa", "aa*aa"}},          // "aaaa
	} {
		var globs []glob
		for _, p := range c.patterns {
			g, err := parseGlob(nil, p)
			if err != nil {
				t.Fatal(err)
			}
			globs = append(globs, g)
		}
		if got := complexity(globs); got != c.want {
			t.Errorf("%v: %d, want %d", c.patterns, got, c.want)
		}
	}
}

func TestTooComplex(t *testing.T) {
	for pattern, tooComplex := range map[string]bool{
		`{"a": [{"wildcard": "*a*a*a*a*a*a*a*a*"}]}`:                                       true,
		`{"a": [{"wildcard": "*aaaaaaaaaaaa"}]}`:                                           true,
		`{"a": [{"wildcard": "arn:aws:s3:::*/2026/*.json"}, {"wildcard": "*@example.*"}]}`: false,
		`{"a": [{"wildcard": "*a*b*c*d"}]}`:                                                false,
		`{"a": [{"wildcard": "a*a"}], "b": [{"wildcard": "*aaaaaa"}]}`:                     false,
	} {
		_, err := Compile([]byte(pattern), Rules)
		if tooComplex != (err != nil && strings.Contains(err.Error(), "Rule is too complex")) {
			t.Errorf("%s: error %v", pattern, err)
		}
	}
}

// A pattern at the limit of its length does not take long to judge.
func TestLongWildcardsAreJudgedSoon(t *testing.T) {
	var list []string
	for _, c := range "abcdefghijklmnop" {
		list = append(list, `{"wildcard": "`+string(c)+`*`+strings.Repeat("xyz", 20)+`*`+strings.Repeat("uvw", 10)+`"}`)
	}
	if _, err := Compile([]byte(`{"a": [`+strings.Join(list, ",")+`]}`), Rules); err != nil && !strings.Contains(err.Error(), "too complex") {
		t.Error(err)
	}
}
