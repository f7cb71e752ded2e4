package template

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Environment is the account and region in which stacks pretend to be.
type Environment struct {
	Account string // twelve digits
	Region  string // for example "eu-central-1"
	// Parameters are the values of the stacks' parameters: "Name=value", or "Stack:Name=value" for one stack only. One that
	// is not here has its default.
	Parameters []string
}

// Deploy creates every resource of the stacks. A stack comes after those that it imports from and those that the app says
// it depends on, a resource after those that it refers to; otherwise they are in the order of the stacks and templates. Then
// it resolves the outputs. provisions holds the Provision for each resource type that the local run supports. The deployments
// are in the order in which they were made.
//
// It creates nothing when a template has resource types or intrinsics that the local run does not support, references to
// nothing, or parameters with wrong values: the error then lists all of them. The errors of the Provisions are all reported
// too, each prefixed with the logical id and type; a resource or stack that needs one that failed is only named.
func Deploy(ctx context.Context, env Environment, stacks []*Stack, provisions map[string]Provision) ([]*Deployment, error) {
	plans, err := planAll(env, stacks, provisions)
	if err != nil {
		return nil, err
	}
	var deployments []*Deployment
	var problems []error
	failed := map[*Stack]bool{}
	for _, p := range plans {
		if others := p.before(stacks, failed); len(others) > 0 {
			problems = append(problems, fmt.Errorf("stack %s is not checked yet, because it needs %s", p.stack.Name, strings.Join(others, ", ")))
			failed[p.stack] = true
			continue
		}
		d, err := p.deploy(ctx, provisions)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed[p.stack] = err != nil
		problems = append(problems, err)
		deployments = append(deployments, d)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return deployments, nil
}

// Check reports what [Deploy] finds wrong before it creates anything.
func Check(env Environment, stacks []*Stack, provisions map[string]Provision) error {
	_, err := planAll(env, stacks, provisions)
	return err
}

// planAll checks all templates, and returns their plans in the order in which they are deployed.
func planAll(env Environment, stacks []*Stack, provisions map[string]Provision) ([]*plan, error) {
	given, err := readSettings(env.Parameters, stacks)
	problems := []error{err}
	of := map[*Stack][]error{}
	plans := map[string]*plan{}
	var names []string
	all := newLinks(stacks)
	for _, s := range stacks { // what one gives to others must be known before they are checked
		p := &plan{evaluator: s.evaluator(env, all)}
		of[s] = append(of[s], p.readParameters(given), all.add(p.evaluator))
		plans[s.Name] = p
		names = append(names, s.Name)
	}
	for _, s := range stacks {
		if err := errors.Join(append(of[s], plans[s.Name].check(provisions))...); err != nil {
			problems = append(problems, fmt.Errorf("stack %s: %w", s.Name, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	order, circle := inOrder(names, func(name string) []string { return plans[name].before(stacks, nil) })
	if circle != nil {
		return nil, fmt.Errorf("the stacks need each other in a circle: %s", cycleText(circle))
	}
	sorted := make([]*plan, len(order))
	for i, name := range order {
		sorted[i] = plans[name]
	}
	return sorted, nil
}

// before returns the names of the stacks that must be deployed before, or of those among them that are in only.
func (p *plan) before(stacks []*Stack, only map[*Stack]bool) []string {
	var names []string
	for _, s := range stacks {
		needed := p.needs[s] || s != p.stack && slices.Contains(p.stack.after, s.ID)
		if needed && (only == nil || only[s]) {
			names = append(names, s.Name)
		}
	}
	return names
}

// deploy creates the resources of one stack and resolves its outputs.
func (p *plan) deploy(ctx context.Context, provisions map[string]Provision) (*Deployment, error) {
	d := &Deployment{Stack: p.stack.Name, Template: string(p.stack.raw), Skipped: p.skipped}
	var err error
	if d.Resources, err = p.createAll(ctx, provisions); err != nil {
		return nil, err
	}
	if d.Outputs, err = p.resolveOutputs(); err != nil {
		return nil, fmt.Errorf("stack %s: %w", p.stack.Name, err)
	}
	d.index = index(d.Resources)
	return d, nil
}

// inOrder sorts names so that each comes after those it needs: depth first, and otherwise in the order in which they are
// given. What is needed and is no name is ignored. A circle is what makes that impossible.
func inOrder(names []string, needs func(name string) []string) (order, circle []string) {
	done := map[string]bool{}
	var path []string
	var visit func(name string) bool
	visit = func(name string) bool {
		if start := slices.Index(path, name); start >= 0 {
			circle = slices.Clone(path[start:])
			return false
		}
		if done[name] {
			return true
		}
		path = append(path, name)
		for _, other := range needs(name) {
			if slices.Contains(names, other) && !visit(other) {
				return false
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		order = append(order, name)
		return true
	}
	for _, name := range names {
		if !visit(name) {
			return nil, circle
		}
	}
	return order, nil
}
