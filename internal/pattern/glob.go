package pattern

import "strings"

// A glob is a wildcard pattern, split at its stars. Any text may stand between two of its elements.
type glob []string

// parseGlob parses a wildcard pattern: * matches any characters, \* a star, \\ a backslash.
// Source: EventBridge user guide, eb-create-pattern-operators, "Matching using wildcards".
func parseGlob(at path, pattern string) (glob, error) {
	var g glob
	var part strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch ch := pattern[i]; {
		case ch == '*' && i+1 < len(pattern) && pattern[i+1] == '*':
			return nil, invalid(at, "Consecutive wildcard characters at pos %d", i)
		case ch == '*':
			g = append(g, part.String())
			part.Reset()
		case ch == '\\' && i+1 < len(pattern) && (pattern[i+1] == '*' || pattern[i+1] == '\\'):
			i++
			part.WriteByte(pattern[i])
		case ch == '\\':
			return nil, invalid(at, "Invalid escape character at pos %d", i)
		default:
			part.WriteByte(ch)
		}
	}
	return append(g, part.String()), nil
}

func (g glob) matches(s string) bool {
	first, last := g[0], g[len(g)-1]
	if len(g) == 1 {
		return s == first
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range g[1 : len(g)-1] {
		_, rest, ok := strings.Cut(s, part)
		if !ok {
			return false
		}
		s = rest
	}
	return true
}
