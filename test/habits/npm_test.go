package habits

import (
	"encoding/json"
	"strings"
	"testing"
)

// lockFile is what npm writes down of each package that it installs.
type lockFile struct {
	Packages map[string]struct {
		Version          string
		Resolved         string
		Integrity        string
		HasInstallScript bool
		OS               any
		CPU              any
		Bin              map[string]string
	}
}

func readLockFile(t *testing.T) lockFile {
	t.Helper()
	var lock lockFile
	if err := json.Unmarshal(read(t, "package-lock.json"), &lock); err != nil {
		t.Fatalf("package-lock.json: %v", err)
	}
	if len(lock.Packages) < 10 {
		t.Fatalf("package-lock.json must list what npm installs, got %d packages", len(lock.Packages))
	}
	return lock
}

// Without an integrity npm installs whatever the registry serves under a package's name.
func TestEveryNpmPackageHasItsIntegrity(t *testing.T) {
	for path, p := range readLockFile(t).Packages {
		if path == "" {
			continue // the project itself
		}
		if !strings.HasPrefix(p.Integrity, "sha512-") {
			t.Errorf("package-lock.json: %s must have an integrity that begins with sha512-, got %q", path, p.Integrity)
		}
		if p.Resolved != "" {
			t.Errorf("package-lock.json: %s must not name a registry, got %q", path, p.Resolved)
		}
		if p.HasInstallScript {
			t.Errorf("package-lock.json: %s must not run a script when it is installed", path)
		}
	}
}

// The npm package "node" fetches the package of the platform from its install script, past the lock file. So
// the packages of the platforms stand in package.json themselves.
func TestNodeIsLockedForEveryPlatform(t *testing.T) {
	locked := map[string]bool{}
	for _, p := range readLockFile(t).Packages {
		if p.Bin["node"] == "" {
			continue
		}
		system, _ := p.OS.(string)
		processor, _ := p.CPU.(string)
		locked[system+"/"+processor] = true
	}
	for _, platform := range []string{"linux/x64", "linux/arm64", "darwin/x64", "darwin/arm64", "win32/x64"} {
		if !locked[platform] {
			t.Errorf("package-lock.json must have Node.js for %s, got %v", platform, locked)
		}
	}
}
