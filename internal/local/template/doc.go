// Package template reads a cloud assembly (cdk.out) and resolves a stack's template: intrinsics,
// pseudo-parameters, conditions, and the order in which resources can be created. It knows no AWS
// service; the packages that do hand it one Provision for each resource type.
package template
