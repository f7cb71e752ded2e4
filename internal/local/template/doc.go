// Package template reads a cloud assembly (cdk.out) and resolves a stack's template: intrinsics, pseudo-parameters,
// conditions, and the order in which resources can be created. It contains nothing about any AWS service: the local
// services pass it one [Provision] for each of their resource types.
package template
