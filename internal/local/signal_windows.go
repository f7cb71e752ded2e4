package local

import "syscall"

// healSignal stands for a signal that Windows does not have, and where no local run comes as far as to wait for it.
const healSignal = syscall.SIGTERM
