// Command apicheck compares what other modules can import of this one with the snapshots in api/, one file a package.
// It prints what was removed and what was added, and exits with 1 when there is any. With -update it renews the
// snapshots.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const snapshots = "api"

// public matches the packages that carry a promise; those below an internal folder do not.
var public = []string{"./constructs/...", "./runtime/...", "./outboxtest"}

func main() {
	update := flag.Bool("update", false, "renew the snapshots")
	flag.Parse()
	if err := run(os.Stdout, *update); err != nil {
		fmt.Fprintln(os.Stderr, "apicheck:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, update bool) error {
	found, err := describe(public)
	if err != nil {
		return err
	}
	if update {
		return write(found)
	}
	committed, err := read()
	if err != nil {
		return err
	}
	if compare(out, committed, found) {
		return fmt.Errorf("the public API is not the one of %s/: undo the change, or run `make api-update` and read its git diff", snapshots)
	}
	return nil
}

// compare prints the lines that only one side has, package by package, and reports whether there are any.
func compare(out io.Writer, before, after map[string][]string) (changed bool) {
	for _, pkg := range sortedKeys(before, after) {
		var lines []string
		for _, line := range before[pkg] {
			if !slices.Contains(after[pkg], line) {
				lines = append(lines, "- "+line)
			}
		}
		for _, line := range after[pkg] {
			if !slices.Contains(before[pkg], line) {
				lines = append(lines, "+ "+line)
			}
		}
		if len(lines) > 0 {
			changed = true
			fmt.Fprintf(out, "%s\n%s\n", pkg, strings.Join(lines, "\n"))
		}
	}
	return changed
}

func write(packages map[string][]string) error {
	if err := os.RemoveAll(snapshots); err != nil {
		return err
	}
	for pkg, lines := range packages {
		file := filepath.Join(snapshots, filepath.FromSlash(pkg)+".txt")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func read() (map[string][]string, error) {
	packages := map[string][]string{}
	err := filepath.WalkDir(snapshots, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(snapshots, strings.TrimSuffix(path, ".txt"))
		if err != nil {
			return err
		}
		packages[filepath.ToSlash(pkg)] = strings.Split(strings.TrimSpace(string(content)), "\n")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the snapshots (`make api-update` makes them): %w", err)
	}
	return packages, nil
}

func sortedKeys(maps ...map[string][]string) []string {
	var keys []string
	for _, m := range maps {
		for key := range m {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
