package iam

import "strings"

// expand replaces the policy variables in a text of a policy: ${aws:PrincipalArn}, ${key, 'default'}, and ${*}, ${?}
// and ${$} for the characters themselves. With wildcards set, the text is a pattern, in which the characters of a
// value are no wildcards. ok is false for a variable without a value and without a default: then nothing matches.
// Source: IAM user guide, reference_policies_variables.
func expand(text string, context Context, wildcards bool) (expanded string, ok bool) {
	if !strings.Contains(text, "${") {
		return text, true
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String(), true
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			out.WriteString("${" + rest)
			return out.String(), true
		}
		value, known := variable(name, context)
		if !known {
			return "", false
		}
		if wildcards {
			value = literally.Replace(value)
		}
		out.WriteString(value)
		text = after
	}
}

// literally replaces wildcards by what stands for the characters themselves.
var literally = strings.NewReplacer("*", string(literalStar), "?", string(literalQuestion))

// variable returns the value of what stands between ${ and }.
func variable(name string, context Context) (string, bool) {
	switch name {
	case "*", "?", "$":
		return name, true
	}
	key, fallback, hasDefault := strings.Cut(name, ",")
	// A key with more than one value cannot be a variable.
	if values := context.values(strings.TrimSpace(key)); len(values) == 1 {
		return values[0], true
	}
	return strings.Trim(strings.TrimSpace(fallback), "'"), hasDefault
}
