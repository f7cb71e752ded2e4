package pattern

import (
	"maps"
	"slices"
)

// maxComplexity is the most prefixes of a field's wildcards that one text may match at the same time. AWS refuses
// patterns above a limit that it does not document; this is about what is seen.
// Source for the measure: aws/event-ruler, MachineComplexityEvaluator.
const maxComplexity = 10

// maxStates bounds the search for the worst text. A pattern that needs more of it is let through.
const maxStates = 20_000

// complexity returns how many prefixes of the globs the worst text matches at the same time, or a number above
// maxComplexity. "ab*" has the prefixes "a", "ab" and "ab*"; the text "ab" matches two of them.
func complexity(globs []glob) int {
	patterns := expand(globs)
	worst := 0
	start := make(state, len(patterns))
	for i := range start {
		start[i] = map[int]bool{0: true}
	}
	seen := map[string]bool{}
	for waiting := []state{start}; len(waiting) > 0 && len(seen) < maxStates && worst <= maxComplexity; waiting = waiting[1:] {
		for _, char := range alphabet(patterns) {
			next := waiting[0].after(patterns, char)
			if key := next.key(); !seen[key] {
				seen[key] = true
				worst = max(worst, next.size())
				waiting = append(waiting, next)
			}
		}
	}
	return worst
}

// star stands for "*" among the characters of a pattern, quote for the begin and the end of the text.
const (
	star  = -1
	quote = -2
	other = -3 // a character that is in none of the patterns
)

// expand returns the characters of each glob, once for globs that are the same.
func expand(globs []glob) (patterns [][]int) {
	known := map[string]bool{}
	for _, g := range globs {
		pattern := []int{quote}
		name := ""
		for i, part := range g {
			if i > 0 {
				pattern, name = append(pattern, star), name+"\x00"
			}
			for _, char := range []byte(part) {
				pattern = append(pattern, int(char))
			}
			name += part
		}
		if !known[name] {
			known[name] = true
			patterns = append(patterns, append(pattern, quote))
		}
	}
	return patterns
}

func alphabet(patterns [][]int) []int {
	chars := []int{other}
	known := map[int]bool{star: true}
	for _, p := range patterns {
		for _, char := range p {
			if !known[char] {
				known[char] = true
				chars = append(chars, char)
			}
		}
	}
	return chars
}

// A state holds, for each pattern, the lengths of its prefixes that a text matches.
type state []map[int]bool

// after returns the state after one more character of the text.
func (s state) after(patterns [][]int, char int) state {
	next := make(state, len(s))
	for i, p := range patterns {
		next[i] = map[int]bool{}
		for n := range s[i] {
			if n > 0 && p[n-1] == star {
				next[i][n] = true // the star takes the character
			}
			if n < len(p) && p[n] == char {
				next[i][n+1] = true
			}
		}
		for n := range next[i] {
			if n < len(p) && p[n] == star {
				next[i][n+1] = true // the star takes nothing
			}
		}
	}
	return next
}

func (s state) size() (n int) {
	for _, prefixes := range s {
		n += len(prefixes)
	}
	return n
}

func (s state) key() string {
	var key []byte
	for _, prefixes := range s {
		set := make([]byte, 0, len(prefixes)*2)
		for _, n := range slices.Sorted(maps.Keys(prefixes)) {
			set = append(set, byte(n>>8), byte(n))
		}
		key = append(append(key, set...), 0xff, 0xff)
	}
	return string(key)
}
