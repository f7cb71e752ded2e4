package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
)

// Sources are the files that a program is built from and that a developer changes: those of the modules that lie in
// folders of the developer, not of the module cache.
type Sources struct {
	// Folders are those of the packages and of the modules, and of embedded files.
	Folders []string
	embeds  map[string]bool // paths of embedded files
}

// Sources returns what the target is built from, as its imports are now.
func (b *Builder) Sources(ctx context.Context, t Target) (Sources, error) {
	flags, err := b.goFlags(ctx)
	if err != nil {
		return Sources{}, err
	}
	l, err := locate(t)
	if err != nil {
		return Sources{}, err
	}
	args := slices.Concat([]string{"list", "-deps", "-e", "-f", sourcesFormat}, t.args(t.effective(flags.Settings)), []string{l.pkg})
	output, err := b.run(ctx, l.module, t.env(childenv.Go()), args)
	if err != nil {
		return Sources{}, fmt.Errorf("go list -deps %s in %s: %w\n%s", l.pkg, l.module, err, bytes.TrimSpace(output))
	}
	s := Sources{Folders: []string{l.module, t.Dir}, embeds: map[string]bool{}}
	for line := range strings.Lines(string(output)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) < 3 || fields[0] != "local" {
			continue // a notice, or a package that nobody edits
		}
		s.Folders = append(s.Folders, fields[1], fields[2])
		for _, file := range fields[3:] {
			path := filepath.Join(fields[1], filepath.FromSlash(file))
			s.embeds[path] = true
			s.Folders = append(s.Folders, filepath.Dir(path))
		}
	}
	slices.Sort(s.Folders)
	s.Folders = slices.Compact(s.Folders)
	return s, nil
}

// sourcesFormat prints a line for each package of the main modules and of those that a folder replaces: the folder of the
// package, that of its module, and the embedded files.
const sourcesFormat = `{{with .Module}}{{if or .Main (and .Replace (not .Replace.Version))}}local{{"\t"}}{{$.Dir}}{{"\t"}}{{.Dir}}{{range $.EmbedFiles}}{{"\t"}}{{.}}{{end}}{{end}}{{end}}`

// Has reports whether a change of the file changes the program: Go and assembly files but tests, what decides about modules,
// and embedded files.
func (s Sources) Has(path string) bool {
	name := filepath.Base(path)
	if s.embeds[path] {
		return true
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || strings.HasSuffix(name, "_test.go") {
		return false
	}
	switch name {
	case "go.mod", "go.sum", "go.work", "go.work.sum":
		return true
	}
	switch filepath.Ext(name) {
	case ".go", ".s", ".h":
		return true
	}
	return false
}
