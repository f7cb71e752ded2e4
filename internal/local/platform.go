package local

import "fmt"

// supported reports whether the local run can run on the operating system, a GOOS: it needs process groups and signals,
// with which it ends every program that it starts.
func supported(goos string) error {
	if goos == "windows" {
		return fmt.Errorf("outbox local runs on Linux, macOS and WSL (the Windows Subsystem for Linux), got %s", goos)
	}
	return nil
}
