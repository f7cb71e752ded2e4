package functions

import (
	"os"
	"path/filepath"
)

// Lambda's runtimes bring the AWS SDK along, this machine does not. A function gets it from its own code, or else from the
// app: what the machine has installed for other purposes is not used, because another machine has something else.

// nodePackages returns the app's folder, whose node_modules (and those above it) have the packages.
func nodePackages(string) []string {
	app, err := os.Getwd()
	if err != nil {
		return nil
	}
	return []string{app}
}

// pythonPackages returns the folders of packages of the app's virtual environment: the one that the interpreter belongs
// to, because it is activated, or .venv or venv in the working directory or a folder above it.
func pythonPackages(interpreter string) []string {
	environment := filepath.Dir(filepath.Dir(interpreter))
	if !isVirtualEnvironment(environment) {
		environment = virtualEnvironmentAbove()
	}
	if environment == "" {
		return nil
	}
	found, err := filepath.Glob(filepath.Join(environment, "lib", "python3*", "site-packages"))
	if err != nil {
		return nil
	}
	return found
}

func virtualEnvironmentAbove() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		for _, name := range []string{".venv", "venv"} {
			if candidate := filepath.Join(dir, name); isVirtualEnvironment(candidate) {
				return candidate
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// isVirtualEnvironment reports whether the folder has the file that marks one.
// Source: Python library reference, venv.
func isVirtualEnvironment(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "pyvenv.cfg"))
	return err == nil && !info.IsDir()
}
