// Package smoke implements `outbox smoke`: numbered checks of what nobody can verify without AWS, on a stack that is not
// production. Each reports what it writes and changes, what AWS's documentation leaves open, and what it saw. docs/aws.md has
// the same numbers and says what the code does in either case.
//
// The checks run against the local run too, so that they are tested themselves: there all of them pass, are skipped for
// want of what the stack does not have, or differ where the local run does on purpose.
package smoke
