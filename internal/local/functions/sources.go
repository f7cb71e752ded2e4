package functions

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/outboxkit/transactional-outbox/internal/gobuild"
)

// Sources are the files of a function whose change makes it another program.
type Sources struct {
	Folders []string               // without those below them
	Has     func(path string) bool // reports whether a file of these folders is one of them
}

// Sources returns the files of the function with that logical id: for a Go function those that it is built from, for any
// other the folder of its asset.
func (s *Service) Sources(ctx context.Context, logicalID string) (Sources, error) {
	for _, f := range s.all() {
		if f.logicalID == logicalID {
			return s.sourcesOf(ctx, f)
		}
	}
	return Sources{}, fmt.Errorf("%w: %s", ErrNotFound, logicalID)
}

func (s *Service) sourcesOf(ctx context.Context, f *function) (Sources, error) {
	source, err := goSource(f.resource)
	if err != nil {
		return Sources{}, err
	}
	if source != nil {
		return s.goSources(ctx, f.resource.Dir, source)
	}
	if f.props.Code.ZipFile != "" {
		return Sources{}, nil // it is part of the template
	}
	root, err := f.assets().folder(f.props.Code.S3Key)
	if err != nil {
		return Sources{}, err
	}
	folders, err := foldersBelow(root)
	return Sources{folders, func(string) bool { return true }}, err
}

func (s *Service) goSources(ctx context.Context, app string, source *source) (Sources, error) {
	builder := gobuild.New(goCommand)
	target, err := s.target(ctx, builder, app, source)
	if err != nil {
		return Sources{}, err
	}
	found, err := builder.Sources(ctx, target)
	return Sources{found.Folders, found.Has}, err
}

// foldersBelow returns a folder and all folders in it.
func foldersBelow(root string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			all = append(all, path)
		}
		return err
	})
	return all, err
}
