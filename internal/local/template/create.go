package template

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// createAll creates the resources in their order. It goes on after an error with those that do not need what failed, so
// that one start shows everything that is wrong.
func (p *plan) createAll(ctx context.Context, provisions map[string]Provision) ([]Deployed, error) {
	var done []Deployed
	var problems []error
	var unchecked []string
	failed := map[string]bool{}
	for _, r := range p.resources {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if needsOneOf(r, failed) {
			failed[r.id] = true
			unchecked = append(unchecked, r.LogicalID)
			continue
		}
		deployed, created, err := p.create(ctx, r, provisions[r.Type])
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			problems = append(problems, prefixErrors(fmt.Sprintf("%s (%s)", r.LogicalID, r.Type), err))
			failed[r.id] = !created
		}
		done = append(done, deployed)
	}
	if len(unchecked) > 0 {
		problems = append(problems, fmt.Errorf("not checked yet, because they need one of these: %s", strings.Join(unchecked, ", ")))
	}
	return done, errors.Join(problems...)
}

func needsOneOf(r planned, failed map[string]bool) bool {
	for _, id := range r.needs {
		if failed[id] {
			return true
		}
	}
	return false
}

// create creates one resource. created reports whether it has attributes although its error is not nil: others that
// need it can then be checked.
func (p *plan) create(ctx context.Context, r planned, provision Provision) (_ Deployed, created bool, _ error) {
	properties, err := p.resolve(r.properties)
	if err != nil {
		return Deployed{}, false, err
	}
	if properties == nil {
		properties = map[string]any{}
	}
	var ok bool
	if r.Properties, ok = properties.(map[string]any); !ok {
		return Deployed{}, false, errors.New("Properties must be an object")
	}
	var unknown []error
	r.unknown = &unknown
	attributes, err := provision(ctx, r.Resource)
	r.unknown = nil
	if err != nil {
		return Deployed{}, false, errors.Join(append(each(err), unknown...)...)
	}
	p.created[r.id] = attributes
	return Deployed{Resource: r.Resource, Attributes: attributes, Name: r.name}, true, errors.Join(unknown...)
}

// each returns the errors that were joined to one.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
