// Package chaos shows that the guarantee holds: it runs the real template with the real functions on the
// local run, injects every fault that AWS documents and kills what can be killed, records a history, lets
// the system drain, and has the package check judge it.
//
// Beside the production consumers two of its own are put into the template (see functions/ledger and
// functions/journal), because their effects show when they are done twice or out of order, which those of
// the production consumers, written under keys of their own, by design do not.
//
// Operators make mistakes too, which lose what no queue holds: then the audit must name exactly what is missing, and the
// repair must put it right.
//
// The same seed gives the same orders, the same requests and the same faults at the same points.
package chaos
