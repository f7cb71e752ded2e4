package iam

import (
	"strings"
	"unicode/utf8"
)

// In an expanded pattern these stand for characters that are no wildcards: those of ${*} and ${?}, and those in the
// value of a policy variable. No request contains them.
const (
	literalStar     = '\x00'
	literalQuestion = '\x01'
)

// glob reports whether value matches pattern, in which * matches any number of characters and ? matches one.
func glob(pattern, value string) bool {
	// The place of the last star, and the end of the text that it has matched so far: a mismatch continues there.
	star, from := -1, 0
	p, v := 0, 0
	for v < len(value) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, v
			p++
		case p < len(pattern) && pattern[p] == '?':
			_, size := utf8.DecodeRuneInString(value[v:])
			p, v = p+1, v+size
		case p < len(pattern) && same(pattern[p], value[v]):
			p, v = p+1, v+1
		case star >= 0:
			from++
			p, v = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func same(pattern, value byte) bool {
	switch pattern {
	case literalStar:
		return value == '*'
	case literalQuestion:
		return value == '?'
	}
	return pattern == value
}

// arnParts is the number of parts of an ARN: arn, partition, service, region, account, resource.
const arnParts = 6

// arnLike compares the parts of two ARNs one by one, so that no wildcard matches a colon before the resource.
// Source: IAM user guide, reference_policies_elements_condition_operators, "ARN condition operators".
func arnLike(pattern, value string) bool {
	patterns, values := strings.SplitN(pattern, ":", arnParts), strings.SplitN(value, ":", arnParts)
	if len(patterns) != len(values) {
		return false
	}
	for i := range patterns {
		if !glob(patterns[i], values[i]) {
			return false
		}
	}
	return true
}

// resourceLike reports whether a resource of a statement matches that of a request. A * at the end of a part reaches
// over colons; for one inside a part AWS does not say so, and it does here too.
// Source: IAM user guide, reference_policies_elements_resource.
func resourceLike(pattern, value string) bool { return glob(pattern, value) }

// actionLike ignores case. Source: IAM user guide, reference_policies_elements_action.
func actionLike(pattern, value string) bool {
	return glob(strings.ToLower(pattern), strings.ToLower(value))
}
