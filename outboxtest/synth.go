package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/localrun"
)

// validate returns all that is wrong with the options, whatever is on the disk.
func (o options) validate() error {
	var problems []error
	if o.app != "" && o.assembly != "" {
		problems = append(problems, errors.New("App and Assembly must not both be set"))
	}
	if o.patience <= 0 {
		problems = append(problems, fmt.Errorf("Patience must be more than 0, got %s", o.patience))
	}
	return errors.Join(problems...)
}

// complete finds the app and its cloud assembly.
func (o *options) complete() (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	if o.assembly != "" {
		o.assembly, err = filepath.Abs(o.assembly)
		return err
	}
	if o.app == "" {
		if o.app, err = findApp(); err != nil {
			return err
		}
	}
	if o.app, err = filepath.Abs(o.app); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.app, "cdk.json")); err != nil {
		return fmt.Errorf("App must be a folder with a cdk.json: %w", err)
	}
	o.assembly = filepath.Join(o.app, "cdk.out")
	return nil
}

// findApp returns the nearest folder with a cdk.json.
func findApp() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cdk.json")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no folder at or above %s has a cdk.json; App sets the folder of the CDK app, Assembly that of a cloud assembly", here)
		}
	}
}

// synthTimeout is how long a synthesis may take: on a machine that has never done it, the CDK's bindings are compiled.
const synthTimeout = 10 * time.Minute

// synthesize runs cdk synth where the app's cloud assembly is not there or older than its sources. Test binaries that run side
// by side take turns.
func (o options) synthesize() error {
	if o.app == "" {
		return nil
	}
	unlock, err := lock(o.app)
	if err != nil {
		return fmt.Errorf("wait for another synthesis of %s: %w", o.app, err)
	}
	defer unlock()
	fresh, err := isFresh(o.app, o.assembly)
	if err != nil || fresh {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), synthTimeout)
	defer cancel()
	return localrun.Synthesize(ctx, o.app, o.assembly)
}

// isFresh reports whether a cloud assembly is as new as the sources of its app: all files below its folder but tests, what is
// installed or made, and hidden ones. It looks at each of them, so that go test runs a test again whose app has changed.
func isFresh(app, assembly string) (bool, error) {
	made, err := os.Stat(filepath.Join(assembly, "manifest.json"))
	fresh := err == nil
	err = filepath.WalkDir(app, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != app && isNoSource(entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasPrefix(entry.Name(), ".") || strings.HasSuffix(entry.Name(), "_test.go") {
			return nil
		}
		// The entry's own Info is not seen by go test's cache.
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		fresh = fresh && !info.ModTime().After(made.ModTime())
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look at the sources of %s: %w", app, err)
	}
	return fresh, nil
}

// isNoSource reports whether a folder of that name holds no sources.
func isNoSource(name string) bool {
	return strings.HasPrefix(name, ".") || slices.Contains([]string{"cdk.out", "node_modules", "testdata", "bin", "vendor", "__pycache__"}, name)
}
