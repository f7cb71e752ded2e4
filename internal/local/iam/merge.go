package iam

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
