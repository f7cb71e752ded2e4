package childenv_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

func TestOnlyWhatIsListedIsPassedOn(t *testing.T) {
	os.Clearenv()
	all := map[string]bool{ // whether the go command gets it, and any other program too
		"PATH": true, "HOME": true, "TMPDIR": true, "LC_ALL": true,
	}
	onlyGo := map[string]bool{"GOFLAGS": true, "GOPRIVATE": true, "GIT_SSH_COMMAND": true, "SSH_AUTH_SOCK": true, "HTTPS_PROXY": true, "https_proxy": true}
	nobody := []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "GITHUB_TOKEN", "NPM_TOKEN",
		"GOOGLE_APPLICATION_CREDENTIALS", "GOOS", "GOARCH", "GOARM64", "CGO_ENABLED", "GO_EXTLINK_ENABLED", "DATABASE_URL", "NODE_OPTIONS", "PATH_TO_SECRET",
	}
	for name := range all {
		t.Setenv(name, "x")
	}
	for name := range onlyGo {
		t.Setenv(name, "x")
	}
	for _, name := range nobody {
		t.Setenv(name, "secret")
	}
	check := func(program string, got []string, want ...map[string]bool) {
		t.Helper()
		var names, expected []string
		for _, variable := range got {
			name, _, _ := strings.Cut(variable, "=")
			names = append(names, name)
		}
		for _, one := range want {
			for name := range one {
				expected = append(expected, name)
			}
		}
		slices.Sort(names)
		slices.Sort(expected)
		if !slices.Equal(names, expected) {
			t.Errorf("%s gets %q, want %q", program, names, expected)
		}
	}
	check("the go command", childenv.Go(), all, onlyGo)
	check("any other program", childenv.Base(), all)
}

// A nil environment would mean all of ours.
func TestAnEmptyEnvironmentIsNotNil(t *testing.T) {
	os.Clearenv()
	if childenv.Base() == nil {
		t.Error("the environment is nil")
	}
}
