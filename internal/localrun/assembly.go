package localrun

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// metadataKey is the metadata under which a template names the source folder of a Go function, relative to its own
// folder.
const metadataKey = "outboxkit:golambda"

// CopyAssembly copies a cloud assembly to a new folder and adapts the templates, so that the functions keep their source
// folders.
func CopyAssembly(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("copy the assembly: %w", err)
	}
	return filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".template.json") {
			return err
		}
		below, err := filepath.Rel(to, filepath.Dir(path))
		if err != nil {
			return err
		}
		return rebase(path, filepath.Join(from, below), filepath.Join(to, below))
	})
}

// rebase changes the source folders in a template, which are relative to the folder from, to be relative to the folder
// to.
func rebase(file, from, to string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var whole map[string]any
	if err := json.Unmarshal(raw, &whole); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	resources, _ := whole["Resources"].(map[string]any)
	for _, r := range resources {
		resource, _ := r.(map[string]any)
		metadata, _ := resource["Metadata"].(map[string]any)
		built, _ := metadata[metadataKey].(map[string]any)
		source, ok := built["source"].(string)
		if !ok {
			continue
		}
		if built["source"], err = Source(to, filepath.Join(template.RealPath(from), source)); err != nil {
			return err
		}
	}
	if raw, err = json.Marshal(whole); err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o644)
}

// Source returns the source folder of a function as a template in the folder assembly names it.
func Source(assembly, folder string) (string, error) {
	path, err := filepath.Rel(template.RealPath(assembly), template.RealPath(folder))
	return filepath.ToSlash(path), err
}
