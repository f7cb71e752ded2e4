package gobuild

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	// bootstrap is the name under which an OS-only runtime of Lambda starts the program.
	// Source: Lambda developer guide, runtimes-provided.
	bootstrap = "bootstrap"
	// mode of every program. The asset's archive keeps it, so it must not depend on the umask.
	mode = 0o755
	// unused is how long a program is kept that nothing builds any more, as in the go command's own cache.
	unused     = 5 * 24 * time.Hour
	workPrefix = "work-"
)

// keptName are the names of folders that keptProgram makes.
var keptName = regexp.MustCompile(`^[0-9a-f]{32}$`)

// programs is the folder in the user's cache folder that holds the programs. Everything in it is made here.
func programs() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("folder for programs: %w", err)
	}
	dir := filepath.Join(cache, "transactional-outbox", "programs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("folder for programs: %w", err)
	}
	return dir, nil
}

// keptProgram returns where the program with that key stays, in a folder that holds nothing else.
func keptProgram(key string) (string, error) {
	dir, err := programs()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, digest(key))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("folder for programs: %w", err)
	}
	return filepath.Join(dir, bootstrap), nil
}

// workFolder makes a folder for the go command to write to, on the same disk as the programs.
func workFolder() (string, error) {
	dir, err := programs()
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(dir, workPrefix)
}

// before is the time that a program of an earlier build gets: one that nothing written now has.
var before = time.Unix(1e9, 0)

// warm puts a copy of the job's last program where the go command will write it. Without one the go command
// just has more to do.
func (j *job) warm(work string) {
	if j.name == "" {
		return
	}
	target := filepath.Join(work, j.name)
	if copyFile(j.kept, target) == nil {
		_ = os.Chtimes(target, before, before)
	}
}

// keep keeps the job's program, if the go command has written or touched one in the folder work.
func (j *job) keep(work string) (made bool, err error) {
	path := filepath.Join(work, j.name)
	if j.name == "" { // then it was built alone
		files, err := os.ReadDir(work)
		if err != nil || len(files) != 1 {
			return false, err
		}
		path = filepath.Join(work, files[0].Name())
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.ModTime().Equal(before) {
		return false, nil
	}
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(j.kept), 0o700) // another process may have pruned it
	}
	if err == nil {
		err = os.Rename(path, j.kept)
	}
	return err == nil, err
}

// Take gives a program a name of the caller's own, of which the file never changes. The folder must exist.
func Take(program, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Link(program, path) == nil {
		return nil
	}
	return copyFile(program, path) // the cache is on another disk
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Chmod(mode), target.Close())
}

// prune removes the programs that nothing has built for long, and what killed builds left behind.
func prune() {
	dir, err := programs()
	if err != nil {
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		folder := filepath.Join(dir, entry.Name())
		switch {
		case keptName.MatchString(entry.Name()):
			if old(filepath.Join(folder, bootstrap)) {
				_ = os.Remove(filepath.Join(folder, bootstrap))
				_ = os.Remove(folder)
			}
		case strings.HasPrefix(entry.Name(), workPrefix):
			if old(folder) {
				_ = os.RemoveAll(folder)
			}
		}
	}
}

// old reports whether nothing has used the file or folder for long.
func old(path string) bool {
	info, err := os.Stat(path)
	return err == nil && time.Since(info.ModTime()) > unused
}
