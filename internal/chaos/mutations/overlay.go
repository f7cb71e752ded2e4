package mutations

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed patches/*.patch
var patches embed.FS

// patched finds the files that a patch changes.
var patched = regexp.MustCompile(`(?m)^\+\+\+ b/(\S+)$`)

// Patches returns the names of all patches.
func Patches() ([]string, error) {
	files, err := fs.Glob(patches, "patches/*.patch")
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(filepath.Base(file), ".patch")
	}
	return names, err
}

// Overlay applies a patch to copies, in the folder dir, of the files that it changes in the source tree root, and
// writes the file for go build -overlay that puts the copies in their place. The source tree stays as it is.
func Overlay(root, dir, patch string) (string, error) {
	text, err := patches.ReadFile("patches/" + patch + ".patch")
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, match := range patched.FindAllSubmatch(text, -1) {
		file := filepath.FromSlash(string(match[1]))
		source, err := os.ReadFile(filepath.Join(root, file))
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
		replace[filepath.Join(root, file)] = replaced
	}
	if len(replace) == 0 {
		return "", fmt.Errorf("mutation %s changes no file", patch)
	}
	// Two lines of context: a change nearby that does not touch the place does not matter.
	apply := exec.Command("git", "apply", "-C2", "-")
	apply.Dir = dir
	apply.Stdin = strings.NewReader(string(text))
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
