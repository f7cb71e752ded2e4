package local

import (
	"strings"
	"testing"
)

func TestSupported(t *testing.T) {
	for _, goos := range []string{"linux", "darwin"} { // WSL is linux
		if err := supported(goos); err != nil {
			t.Errorf("%s is refused: %v", goos, err)
		}
	}
	err := supported("windows")
	if err == nil {
		t.Fatal("windows is not refused")
	}
	for _, want := range []string{"Linux", "macOS", "WSL", "windows"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not name %s", err, want)
		}
	}
}
