package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/outboxkit/transactional-outbox/internal/local/functions"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/watch"
)

// assembly is the owner of the files of the cloud assembly; those of functions have their logical ids.
const assembly = ""

// A follower lets the session follow the files of the developer.
type follower struct {
	*Session
	files   *watch.Watcher
	updates chan<- update
}

// watch builds functions again and applies templates, as files change, until ctx is done.
func (s *Session) watch(ctx context.Context, updates chan<- update) error {
	files, err := watch.New()
	if err != nil {
		return err
	}
	defer files.Close()
	f := &follower{Session: s, files: files, updates: updates}
	if err := f.follow(ctx); ctx.Err() == nil {
		return fmt.Errorf("--watch: %w", err)
	}
	return nil
}

func (f *follower) follow(ctx context.Context) error {
	templates, err := f.templates()
	if err != nil {
		return err
	}
	if err := f.files.Set(assembly, templates); err != nil {
		return err
	}
	if err := f.watchSources(ctx, f.functions()); err != nil {
		return err
	}
	f.out.Notice(fmt.Sprintf("watching %d folders: a function is built again when its source is saved, another template is applied when it is synthesized", f.files.Folders()))
	for {
		changed, err := f.files.Next(ctx)
		if err != nil {
			return err
		}
		if slices.Contains(changed, assembly) {
			if err := f.update(ctx); err != nil {
				return err
			}
		}
		if err := f.rebuild(ctx, slices.DeleteFunc(changed, func(owner string) bool { return owner == assembly })); err != nil {
			return err
		}
	}
}

// templates returns the files that decide about the stacks.
func (f *follower) templates() (watch.Files, error) {
	if f.options.Template != "" {
		path, err := filepath.Abs(f.options.Template)
		return watch.Files{Folders: []string{filepath.Dir(path)}, Has: func(changed string) bool { return changed == path }}, err
	}
	app, err := filepath.Abs(f.app())
	folders := []string{app}
	for _, stack := range f.current().stacks { // a stage has a folder of its own
		if dir, err := filepath.Abs(stack.Dir); err == nil && !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	return watch.Files{Folders: folders, Has: isOfTemplate}, err
}

func (f *follower) app() string { return cmp.Or(f.options.App, defaultApp) }

// isOfTemplate reports whether a file of the assembly decides about its stacks.
func isOfTemplate(path string) bool {
	name := filepath.Base(path)
	return name == "manifest.json" || strings.HasSuffix(name, ".template.json") || strings.HasSuffix(name, ".assets.json") || strings.HasSuffix(name, ".metadata.json")
}

// functions returns the logical ids of the stacks' functions.
func (f *follower) functions() []string {
	var ids []string
	for _, r := range f.resources("AWS::Lambda::Function") {
		ids = append(ids, r.LogicalID)
	}
	return ids
}

// watchSources watches what the functions are built from, as their imports are now. Where those cannot be read, because of a
// mistake in go.mod for example, what was watched before is.
func (f *follower) watchSources(ctx context.Context, ids []string) error {
	found := make([]*functions.Sources, len(ids))
	var listing sync.WaitGroup
	for i, id := range ids {
		listing.Go(func() {
			if sources, err := f.current().functions.Sources(ctx, id); err == nil {
				found[i] = &sources
			}
		})
	}
	listing.Wait()
	for i, id := range ids {
		if found[i] == nil {
			continue
		}
		if err := f.files.Set(id, watch.Files{Folders: found[i].Folders, Has: found[i].Has}); err != nil {
			return err
		}
	}
	return nil
}

// rebuild builds functions again and says what became of each.
func (f *follower) rebuild(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	for _, r := range f.current().functions.Rebuild(ctx, ids) {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case r.Err == nil:
			f.out.Notice(fmt.Sprintf("rebuilt %s in %s", f.name(r.LogicalID), short(r.Took)))
		default:
			f.out.Notice(f.name(r.LogicalID) + " goes on as it was:")
			f.noticeLines(r.Err)
		}
	}
	return f.watchSources(ctx, ids)
}

// name returns the readable name of a resource.
func (f *follower) name(logicalID string) string {
	if r, found := f.Find(logicalID); found {
		return r.Name
	}
	return logicalID
}

// update checks the template that was synthesized and has it applied. One that is refused is an error of nobody but the
// developer.
func (f *follower) update(ctx context.Context) error {
	next, err := f.next(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		f.refuse(err)
		return nil
	}
	if next == nil {
		return nil
	}
	done := make(chan struct{})
	select {
	case f.updates <- update{next, done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	ids := f.functions()
	if err := f.files.Forget(func(owner string) bool { return owner == assembly || slices.Contains(ids, owner) }); err != nil {
		return err
	}
	return f.watchSources(ctx, ids)
}

// next returns the templates that were synthesized, or nil when they are those that run. What can be checked beside those is
// checked.
func (f *follower) next(ctx context.Context) ([]*template.Stack, error) {
	o, running := f.options, f.current()
	if o.Template == "" {
		if _, err := os.Stat(filepath.Join(f.app(), "manifest.json")); errors.Is(err, fs.ErrNotExist) {
			return nil, nil // it was removed, and is synthesized again
		}
		if !o.All {
			o.Stacks = nil
			for _, stack := range running.stacks {
				o.Stacks = append(o.Stacks, stack.DisplayName)
			}
		}
	}
	next, err := o.stacks(f.out)
	if err != nil {
		return nil, err
	}
	if sameStacks(next, running.stacks) {
		return nil, nil
	}
	if had := running.cloud.Region; region(next) != had {
		return nil, fmt.Errorf("the region must be %s while the stacks run, got %s", had, region(next))
	}
	return next, errors.Join(running.check(o, next), running.functions.Compile(ctx, declared(next, "AWS::Lambda::Function")))
}
