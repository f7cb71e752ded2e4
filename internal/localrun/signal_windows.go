package localrun

import "syscall"

// The local run does not run on Windows: these only let the package compile there.
const healSignal = syscall.SIGTERM

var ownGroup *syscall.SysProcAttr
