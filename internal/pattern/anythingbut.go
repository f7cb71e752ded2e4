package pattern

import "slices"

// anythingBut compiles the argument of anything-but. The test holds for every leaf except those that the pattern
// names; a field without a leaf does not match.
func (c compiler) anythingBut(at path, v value) (test, error) {
	switch v.kind {
	case object:
		return c.anythingButOperator(at, v)
	case array:
		return anythingButValues(at, v.items)
	case text, number:
		return anythingButValues(at, []value{v})
	default:
		return nil, invalid(at, "Value of anything-but must be an array or single string/number value.")
	}
}

func anythingButValues(at path, values []value) (test, error) {
	if len(values) == 0 {
		return nil, invalid(at, "Empty arrays are not allowed")
	}
	var but []test
	for _, v := range values {
		switch {
		case v.kind != text && v.kind != number:
			return nil, invalid(at, "Inside anything but list, start|null|boolean is not supported.")
		case v.kind != values[0].kind:
			return nil, invalid(at, "Inside anything but list, either all values are number or string, mixed type is not supported")
		case v.kind == number:
			if _, err := bound(at, v.text); err != nil {
				return nil, err
			}
		}
		but = append(but, equals(v))
	}
	return noneOf(but), nil
}

// anythingButOperator compiles an operator such as {"prefix": …} inside anything-but, with one string or several.
func (c compiler) anythingButOperator(at path, v value) (test, error) {
	op, ok := v.onlyMember()
	switch {
	case !ok:
		return nil, invalid(at, "Only one key allowed in match expression")
	case !slices.Contains([]string{"prefix", "suffix", "equals-ignore-case", "wildcard"}, op.name):
		return nil, invalid(at, "Unsupported anything-but pattern: %s", op.name)
	case c.dialect == Pipes:
		return nil, invalid(at, "anything-but with %s is not supported in the filter of a pipe", op.name)
	}
	var but []test
	for _, v := range op.value.asList() {
		if err := checkExcluded(at, op.name, v); err != nil {
			return nil, err
		}
		var cond condition
		if err := c.operator(&cond, at, value{kind: object, members: []member{{op.name, v}}}); err != nil {
			return nil, err
		}
		but = append(but, cond.tests...)
	}
	if len(but) == 0 {
		return nil, invalid(at, "Empty arrays are not allowed")
	}
	return noneOf(but), nil
}

// asList returns the items of an array, or the value itself as the only item.
func (v value) asList() []value {
	if v.kind == array {
		return v.items
	}
	return []value{v}
}

func checkExcluded(at path, operator string, v value) error {
	affix := operator == "prefix" || operator == "suffix"
	switch {
	case v.kind == object:
		return invalid(at, "Value of anything-but must be an array or single string/number value.")
	case affix && v.kind != text:
		return invalid(at, "prefix/suffix match pattern must be a string")
	case affix && v.text == "":
		return invalid(at, "Null prefix/suffix not allowed")
	case operator == "equals-ignore-case" && v.kind != text:
		return invalid(at, "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.")
	}
	return nil
}

func noneOf(tests []test) test {
	return func(l leaf) bool {
		for _, t := range tests {
			if t(l) {
				return false
			}
		}
		return true
	}
}
