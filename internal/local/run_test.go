package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, dir string) (*data, error) {
	t.Helper()
	d, err := openData(Options{Data: dir})
	if err == nil {
		t.Cleanup(d.close)
	}
	return d, err
}

// The data folder holds what the stack's tables and queues hold: nobody else may read it.
func TestTheDataFolderIsPrivate(t *testing.T) {
	for name, make := range map[string]func(dir string) error{
		"a new folder":              func(string) error { return nil },
		"an empty folder":           func(dir string) error { return os.Mkdir(dir, 0o755) },
		"a folder of an older run":  func(dir string) error { return writeIn(dir, positions) },
		"a private folder of files": func(dir string) error { return errors.Join(writeIn(dir, "notes"), os.Chmod(dir, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := make(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := open(t, dir); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(dir)
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("its mode is %v (%v), want 0700", info.Mode(), err)
			}
			info, err = os.Stat(filepath.Join(dir, positions))
			if err != nil || info.Mode().Perm() != 0o600 && name != "a folder of an older run" {
				t.Errorf("the mode of the positions is %v (%v), want 0600", info.Mode(), err)
			}
		})
	}
	d, err := open(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(d.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the mode of the temporary folder is %v (%v), want 0700", info.Mode(), err)
	}
}

// A folder with somebody's files, a home for example, is not closed to others without being asked.
func TestAFolderOfFilesIsNoDataFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	if err := writeIn(dir, "notes"); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir); err == nil || !strings.Contains(err.Error(), "--data: "+dir+" must be an empty or new folder") {
		t.Errorf("error is %v", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("its mode became %v (%v)", info.Mode(), err)
	}
}

func writeIn(dir, name string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), nil, 0o644)
}
