package pattern

import (
	"net/netip"
	"strconv"
	"strings"
)

// A test reports whether a leaf of an event is one that a pattern allows.
type test func(leaf) bool

// equals returns the test for a plain value. Numbers that AWS compares as numbers are equal in every notation, as 300,
// 300.0 and 3e2 are; others, for example account ids, must be written alike.
func equals(want value) test {
	l := leaf{kind: want.kind, text: want.text}
	if want.kind == number {
		l.micros, l.numeric = micros(want.text)
	}
	return func(got leaf) bool { return got.equal(l) }
}

func (l leaf) equal(other leaf) bool {
	if l.numeric && other.numeric {
		return l.micros == other.micros
	}
	return l.kind == other.kind && l.text == other.text
}

// onText returns a test that holds only for strings: so do all operators except exists, numeric and anything-but.
func onText(holds func(string) bool) test {
	return func(l leaf) bool { return l.kind == text && holds(l.text) }
}

// operator compiles {"name": argument} and adds it to the condition.
func (c compiler) operator(cond *condition, at path, v value) error {
	op, ok := v.onlyMember()
	if !ok {
		if len(v.members) == 0 {
			return invalid(at, "Match expression name not found")
		}
		return invalid(at, "Only one key allowed in match expression")
	}
	var t test
	var err error
	switch op.name {
	case "exists":
		return c.exists(cond, at, op.value)
	case "prefix", "suffix":
		t, err = affix(at, op)
	case "equals-ignore-case":
		t, err = ignoreCase(at, op.value, func(got, want string) bool { return got == want })
	case "wildcard":
		t, err = c.wildcard(cond, at, op.value)
	case "anything-but":
		t, err = c.anythingBut(at, op.value)
	case "numeric":
		t, err = numeric(at, op.value)
	case "cidr":
		t, err = cidr(at, op.value)
	default:
		err = invalid(at, "Unrecognized match type %s", op.name)
	}
	cond.tests = append(cond.tests, t)
	return err
}

func (c compiler) exists(cond *condition, at path, v value) error {
	switch {
	case v.kind == boolean && v.text == "true":
		cond.tests = append(cond.tests, func(l leaf) bool { return c.dialect != Topics || !l.isEmpty() })
	case v.kind == boolean:
		cond.absent = true
	default:
		return invalid(at, "exists match pattern must be either true or false.")
	}
	return nil
}

// isEmpty reports whether a value does not exist in the eyes of a topic's filter policy: null, and the empty string.
// Source: SNS developer guide, attribute-key-matching.
func (l leaf) isEmpty() bool { return l.kind == null || l.kind == text && l.text == "" }

// affix compiles prefix and suffix, which both also take {"equals-ignore-case": …}.
func affix(at path, op member) (test, error) {
	holds := strings.HasPrefix
	if op.name == "suffix" {
		holds = strings.HasSuffix
	}
	if op.value.kind == object {
		inner, ok := op.value.onlyMember()
		switch {
		case !ok:
			return nil, invalid(at, "Only one key allowed in match expression")
		case inner.name != "equals-ignore-case":
			return nil, invalid(at, "Unsupported %s pattern: %s", op.name, inner.name)
		}
		return ignoreCase(at, inner.value, holds)
	}
	if op.value.kind != text {
		return nil, invalid(at, "%s match pattern must be a string", op.name)
	}
	want := op.value.text
	return onText(func(got string) bool { return holds(got, want) }), nil
}

func ignoreCase(at path, v value, holds func(got, want string) bool) (test, error) {
	if v.kind != text {
		return nil, invalid(at, "equals-ignore-case match pattern must be a string")
	}
	want := strings.ToLower(v.text)
	return onText(func(got string) bool { return holds(strings.ToLower(got), want) }), nil
}

func (c compiler) wildcard(cond *condition, at path, v value) (test, error) {
	if c.dialect == Pipes {
		return nil, invalid(at, "wildcard is not supported in the filter of a pipe")
	}
	if v.kind != text {
		return nil, invalid(at, "wildcard match pattern must be a string")
	}
	g, err := parseGlob(at, v.text)
	if err != nil {
		return nil, err
	}
	cond.globs = append(cond.globs, g)
	return onText(g.matches), nil
}

// cidr compiles a network, whose test holds for its IP addresses. The limits are those of event-ruler.
func cidr(at path, v value) (test, error) {
	if v.kind != text {
		return nil, invalid(at, "cidr match pattern must be a string")
	}
	address, mask, ok := strings.Cut(v.text, "/")
	if !ok || strings.Contains(mask, "/") {
		return nil, invalid(at, "Malformed CIDR, one '/' required")
	}
	bits, err := strconv.Atoi(mask)
	if err != nil {
		return nil, invalid(at, "Malformed CIDR, mask bits must be an integer")
	}
	ip, ok := parseIP(address)
	switch {
	case bits < 0:
		return nil, invalid(at, "Malformed CIDR, mask bits must not be negative")
	case !ok:
		return nil, invalid(at, "Nonstandard IP address: %s", address)
	case ip.Is4() && bits > 31:
		return nil, invalid(at, "IPv4 mask bits must be < 32")
	case ip.Is6() && bits > 127:
		return nil, invalid(at, "IPv6 mask bits must be < 128")
	}
	network := netip.PrefixFrom(ip, bits)
	return onText(func(got string) bool {
		ip, ok := parseIP(got)
		return ok && network.Contains(ip)
	}), nil
}

// parseIP parses plain IPv4 and IPv6 addresses, without zones and without IPv4 inside IPv6.
func parseIP(s string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(s)
	return ip, err == nil && ip.Zone() == "" && (ip.Is4() || !strings.Contains(s, "."))
}
