//go:build unix

package process

import "syscall"

// signalGroup signals every process of the group that the leader's id names. A group that has ended already is what
// the caller wants.
func signalGroup(leader int, s syscall.Signal) { _ = syscall.Kill(-leader, s) }
