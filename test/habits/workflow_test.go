package habits

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	uses   = regexp.MustCompile(`(?m)^[ -]*uses: *(.*)$`)
	pinned = regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$`)
)

// workflows returns the text of each workflow by its file name.
func workflows(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	texts := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(content)
	}
	return texts
}

// A tag can be moved to other code; a commit cannot.
func TestActionsArePinnedByCommit(t *testing.T) {
	for name, text := range workflows(t) {
		for _, action := range uses.FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(strings.TrimSpace(action[1])) {
				t.Errorf("%s: an action must be pinned as owner/name@<commit> # v1.2.3, got %q", name, action[1])
			}
		}
	}
}

// A workflow that may ask for AWS credentials must be the default branch's own, must check out nothing of a pull
// request, and must run nothing of one.
func TestNoCodeOfAPullRequestRunsBesideCredentials(t *testing.T) {
	trusted := 0
	for name, text := range workflows(t) {
		if strings.Contains(text, "pull_request_target") {
			t.Errorf("%s must not run on pull_request_target", name)
		}
		if !strings.Contains(text, "id-token: write") && !strings.Contains(text, "secrets.") {
			continue
		}
		trusted++
		if strings.Contains(text, "  pull_request:") || !strings.Contains(text, "  workflow_run:") {
			t.Errorf("%s has credentials: it must start by workflow_run only, which takes the default branch's file", name)
		}
		for _, word := range []string{"ref:", "make ", "go run", "go build", "npm run", "head_ref", "head.sha", "head_sha"} {
			if strings.Contains(text, word) {
				t.Errorf("%s has credentials: it must not contain %q", name, word)
			}
		}
		if strings.Contains(text, "npm ci") && !strings.Contains(text, "npm ci --ignore-scripts") {
			t.Errorf("%s has credentials: npm ci must have --ignore-scripts", name)
		}
	}
	if trusted == 0 {
		t.Error("no workflow has credentials: what this test is about is gone")
	}
}
