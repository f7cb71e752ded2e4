// Package access enforces the IAM policies of a template in a local run: what AWS would refuse, the endpoints refuse.
//
// An [Authority] knows the roles of the template and gives each session of a role an access key of its own. The guards
// in front of the endpoints read the key, turn the call into requests of package iam, and answer a denial as AWS does.
// A key that the Authority did not make belongs to the developer, who may do everything.
//
// What is not evaluated: KMS keys, since nothing is encrypted locally, and calls to services that do not run here. What
// AWS checks when a resource is made, [Authority.Prepare] checks before the stack is called ready: that a service may
// assume a role, and that the role has what a pipe or an event source mapping needs.
package access
