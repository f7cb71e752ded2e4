package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// patched finds the files that a patch changes.
var patched = regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)$`)

// overlay applies a patch to copies of the files it changes, and writes the file for go build -overlay that
// puts the copies in their place. The source tree stays as it is.
func overlay(t *testing.T, patch string) string {
	t.Helper()
	path, err := overlayIn(t.TempDir(), patch)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func overlayIn(dir, patch string) (string, error) {
	top, err := root()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(patch)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, match := range patched.FindAllSubmatch(text, -1) {
		file := filepath.FromSlash(string(match[1]))
		source, err := os.ReadFile(filepath.Join(top, file))
		if err != nil {
			return "", fmt.Errorf("mutation %s no longer applies: %w", patch, err)
		}
		replaced := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(replaced), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(replaced, source, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(top, file)] = replaced
	}
	if len(replace) == 0 {
		return "", fmt.Errorf("mutation %s changes no file", patch)
	}
	absolute, err := filepath.Abs(patch)
	if err != nil {
		return "", err
	}
	// Two lines of context: a change nearby that does not touch the place does not matter.
	apply := exec.Command("git", "apply", "-C2", absolute)
	apply.Dir = dir
	// Outside of a repository git apply works on plain files; nothing above may be taken for one.
	apply.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	if out, err := apply.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mutation %s no longer applies, make it anew: %w\n%s", patch, err, out)
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, raw, 0o644)
}
