// Package iam evaluates AWS policies: identity policies, resource policies and permissions boundaries, for requests
// within one account. It is pure: whoever enforces a decision builds the [Request] and acts on the [Decision].
//
// What is evaluated: Allow, Deny, Action, NotAction, Resource, NotResource, Principal, NotPrincipal, wildcards, policy
// variables, and every condition operator with its set prefixes and IfExists. A policy that AWS would refuse, or that
// has an element or an operator that is not known here, is refused when it is parsed: it must not be evaluated by
// halves. Organizations, session policies and calls from other accounts do not exist in a local run.
//
// Sources: IAM user guide, reference_policies_evaluation-logic, reference_policies_elements,
// reference_policies_elements_condition_operators, reference_policies_condition-single-vs-multi-valued-context-keys,
// reference_policies_variables, access_policies_boundaries.
package iam
