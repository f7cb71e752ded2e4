package pattern

import (
	"strconv"
	"strings"
)

// The numbers that can be compared: from -5e9 to 5e9, with at most six digits after the decimal point.
// Source: EventBridge user guide, eb-create-pattern-operators, "Numeric matching".
const (
	decimals  = 6
	maxMicros = 5_000_000_000_000_000
)

// micros returns a JSON number in millionths. It returns false for a number that is out of the range or has more than
// six decimals: AWS does not compare those as numbers.
func micros(literal string) (int64, bool) {
	mantissa, exponent := literal, 0
	if i := strings.IndexAny(literal, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(literal[i+1:]); err != nil || exponent > 1000 {
			return 0, false
		}
		mantissa = literal[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	negative := strings.HasPrefix(whole, "-")
	digits := strings.TrimLeft(strings.TrimPrefix(whole, "-")+fraction, "0")
	if digits == "" {
		return 0, true
	}
	significant := strings.TrimRight(digits, "0")
	exponent += decimals - len(fraction) + len(digits) - len(significant)
	const most = 16 // digits of maxMicros
	if exponent < 0 || len(significant)+exponent > most {
		return 0, false
	}
	n, err := strconv.ParseInt(significant+strings.Repeat("0", exponent), 10, 64)
	if err != nil || n > maxMicros {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// numeric compiles ["=", 1], [">", 0] and [">", 0, "<=", 5].
func numeric(at path, v value) (test, error) {
	if v.kind != array {
		return nil, invalid(at, "Value of numeric must be an array.")
	}
	operator, n, rest, err := comparison(at, v.items)
	if err != nil {
		return nil, err
	}
	low, high := int64(-maxMicros), int64(maxMicros)
	switch operator {
	case "=":
		low, high = n, n
	case ">":
		low = n + 1
	case ">=":
		low = n
	case "<":
		high = n - 1
	case "<=":
		high = n
	default:
		return nil, invalid(at, "Unrecognized numeric range operator: %s", operator)
	}
	if len(rest) > 0 {
		if operator != ">" && operator != ">=" {
			return nil, invalid(at, "Too many elements in numeric expression")
		}
		if high, err = upperBound(at, rest, n); err != nil {
			return nil, err
		}
	}
	return func(l leaf) bool { return l.numeric && low <= l.micros && l.micros <= high }, nil
}

// upperBound parses the second comparison of a range whose first one starts at bottom.
func upperBound(at path, terms []value, bottom int64) (int64, error) {
	operator, n, rest, err := comparison(at, terms)
	switch {
	case terms[0].kind == text && operator != "<" && operator != "<=":
		return 0, invalid(at, "Bad numeric range operator: %s", operator)
	case err != nil:
		return 0, err
	case len(rest) > 0:
		return 0, invalid(at, "Too many terms in numeric range expression")
	case bottom >= n:
		return 0, invalid(at, "Bottom must be less than top")
	case operator == "<":
		return n - 1, nil
	}
	return n, nil
}

// comparison parses an operator and its number and returns the terms after them.
func comparison(at path, terms []value) (operator string, micros int64, rest []value, err error) {
	if len(terms) == 0 || terms[0].kind != text {
		return "", 0, nil, invalid(at, "Invalid member in numeric match: an operator is expected")
	}
	operator = terms[0].text
	if len(terms) == 1 || terms[1].kind != number {
		spoken := operator
		if operator == "=" {
			spoken = "equals"
		}
		return operator, 0, nil, invalid(at, "Value of %s must be numeric", spoken)
	}
	micros, err = bound(at, terms[1].text)
	return operator, micros, terms[2:], err
}

// bound parses a number that a pattern compares with.
func bound(at path, literal string) (int64, error) {
	n, ok := micros(literal)
	if !ok {
		return 0, invalid(at, "Value must be between -5.0E9 and 5.0E9, inclusive, with at most %d decimals: %s", decimals, literal)
	}
	return n, nil
}
