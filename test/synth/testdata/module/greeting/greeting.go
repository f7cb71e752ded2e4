// Package greeting is what the program prints.
package greeting

// Text is a greeting.
const Text = "hello"
