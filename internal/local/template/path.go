package template

import "path/filepath"

// RealPath returns the absolute path without symbolic links, as far as it can be resolved: ".." after a
// link leads elsewhere.
func RealPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if linked, err := filepath.EvalSymlinks(path); err == nil {
		path = linked
	}
	return path
}
