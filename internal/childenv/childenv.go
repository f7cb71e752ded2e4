// Package childenv decides what the programs that we start see of our environment. A shell that works with AWS
// holds credentials and other secrets: none of them reaches a function, the stand-ins of AWS services or a
// compiler, which need none. What a program may see is on a list; everything else it does not get.
package childenv

import (
	"os"
	"runtime"
	"slices"
	"strings"
)

// base is what any program may need to run at all: where programs, libraries and folders are, and the language
// and time zone of messages.
var base = []string{
	"HOME", "LANG", "LANGUAGE", "LC_*", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
	// What stands in for programs where a version manager is used: folders and versions.
	"ASDF_*", "FNM_*", "GOENV_*", "JABBA_*", "JENV_*", "MISE_*", "NODENV_*", "NVM_*", "PYENV_*", "SDKMAN_*", "VOLTA_*",
	// Windows, where programs do not start without the first.
	"SYSTEMROOT", "APPDATA", "COMSPEC", "LOCALAPPDATA", "PATHEXT", "PROGRAMDATA", "PROGRAMFILES", "TEMP", "TMP", "USERPROFILE", "WINDIR",
}

// forGo is what the go command may need besides: its own settings, and what it and git need to fetch modules.
// GOOS, GOARCH and the like are not here: package gobuild sets them. Tokens of services (GITHUB_TOKEN and so on)
// are not here either: a module that can be fetched with such a token only is fetched before, by "go mod download".
var forGo = []string{
	"GO111MODULE", "GOAUTH", "GOCACHE", "GOCACHEPROG", "GODEBUG", "GOENV", "GOEXPERIMENT", "GOFIPS140", "GOFLAGS", "GOGC", "GOINSECURE",
	"GOMAXPROCS", "GOMEMLIMIT", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPATH", "GOPRIVATE", "GOPROXY", "GOROOT", "GOSUMDB",
	"GOTMPDIR", "GOTOOLCHAIN", "GOVCS", "GOWORK", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
	"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "http_proxy", "https_proxy", "no_proxy",
	"SSL_CERT_DIR", "SSL_CERT_FILE",
	"GIT_ASKPASS", "GIT_CONFIG_*", "GIT_EXEC_PATH", "GIT_HTTP_*", "GIT_PROXY_COMMAND", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT",
	"GIT_SSL_*", "GIT_TERMINAL_PROMPT", "NETRC", "SSH_ASKPASS", "SSH_AUTH_SOCK",
}

// Base returns what any program may see, as KEY=value.
func Base() []string { return filter(base) }

// Go returns what the go command may see, as KEY=value.
func Go() []string { return filter(slices.Concat(base, forGo)) }

// filter returns our variables that are on the list, in which a name may end in * for any end.
func filter(list []string) []string {
	kept := []string{} // not nil, which os/exec takes for all of our environment
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.ContainsFunc(list, func(pattern string) bool { return matches(pattern, name) }) {
			kept = append(kept, variable)
		}
	}
	return kept
}

func matches(pattern, name string) bool {
	if runtime.GOOS == "windows" { // names are the same in any case there
		name = strings.ToUpper(name)
	}
	if prefix, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(name, prefix)
	}
	return name == pattern
}
