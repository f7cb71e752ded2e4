// Package watch tells which of several owners of files has to look again because a file has changed.
package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long nothing must have changed before a change is reported: an editor writes a file in several steps, and a
// formatter writes it again.
const quiet = 100 * time.Millisecond

// Files are the files of one owner.
type Files struct {
	Folders []string               // without those below them; one that is not there is watched for once it is
	Has     func(path string) bool // reports whether a file of the folders is one of the owner's
}

// A Watcher watches files. It is used by one goroutine.
type Watcher struct {
	notify *fsnotify.Watcher
	owners map[string]Files
}

// New returns a Watcher that watches nothing. Close ends it.
func New() (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	return &Watcher{notify: notify, owners: map[string]Files{}}, nil
}

// Close ends the watch.
func (w *Watcher) Close() { _ = w.notify.Close() }

// Set watches the files of an owner in place of those that it had.
func (w *Watcher) Set(owner string, files Files) error {
	w.owners[owner] = files
	return w.watchFolders()
}

// Forget ends the watch for the owners that keep reports false for.
func (w *Watcher) Forget(keep func(owner string) bool) error {
	maps.DeleteFunc(w.owners, func(owner string, _ Files) bool { return !keep(owner) })
	return w.watchFolders()
}

// Folders returns how many folders are watched.
func (w *Watcher) Folders() int { return len(w.notify.WatchList()) }

// watchFolders watches the folders of all owners and no other. A folder that is not there is looked for in the one above it.
func (w *Watcher) watchFolders() error {
	wanted := map[string]bool{}
	for _, files := range w.owners {
		for _, folder := range files.Folders {
			wanted[folder] = true
		}
	}
	var problems []error
	for _, watched := range w.notify.WatchList() {
		if !wanted[watched] {
			_ = w.notify.Remove(watched) // it may be gone
		}
	}
	for folder := range wanted {
		if err := w.notify.Add(folder); err != nil && !errors.Is(err, fsnotify.ErrClosed) {
			above := filepath.Dir(folder)
			if w.notify.Add(above) != nil {
				problems = append(problems, fmt.Errorf("watch %s: %w", folder, err))
			}
		}
	}
	return errors.Join(problems...)
}

// Next waits until files have changed and nothing more changes, and returns their owners, sorted. Its error is ctx's, or
// says that files cannot be watched any more.
func (w *Watcher) Next(ctx context.Context) ([]string, error) {
	changed := map[string]bool{}
	var settled <-chan time.Time // while nothing has changed: never
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case event := <-w.notify.Events:
			if event.Has(fsnotify.Chmod) && event.Op == fsnotify.Chmod {
				continue // an indexer or a backup
			}
			if w.note(event.Name, changed) {
				settled = time.After(quiet)
			}
		case err := <-w.notify.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				return nil, fmt.Errorf("watch files: %w", err)
			}
			for owner := range w.owners { // what was lost may be anybody's
				changed[owner] = true
			}
			settled = time.After(quiet)
		case <-settled:
			return slices.Sorted(maps.Keys(changed)), w.watchFolders()
		}
	}
}

// note adds the owners of a file that has changed, and reports whether there are any. A folder that appears or goes is a
// change of everybody who watches it.
func (w *Watcher) note(path string, changed map[string]bool) bool {
	found := false
	for owner, files := range w.owners {
		ofFolder := slices.Contains(files.Folders, path)
		ofFile := slices.Contains(files.Folders, filepath.Dir(path)) && files.Has(path)
		if ofFolder || ofFile {
			changed[owner], found = true, true
		}
	}
	return found
}
