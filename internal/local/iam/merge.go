package iam

import "slices"

// WithoutDenials returns a policy with those statements that allow something.
func (p *Policy) WithoutDenials() *Policy {
	if p == nil {
		return nil
	}
	return &Policy{statements: slices.DeleteFunc(slices.Clone(p.statements), func(s *Statement) bool { return s.deny })}
}

// With returns a policy with the statements of both. Either may be nil.
func (p *Policy) With(other *Policy) *Policy {
	if p == nil {
		return other
	}
	if other == nil {
		return p
	}
	return &Policy{statements: append(p.statements[:len(p.statements):len(p.statements)], other.statements...)}
}
