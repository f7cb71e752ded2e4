// Package toolchain finds the programs that the local run needs and says in one line what to do when
// one is missing or too old.
package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// The oldest versions that run DynamoDB Local 3.x and fauxqs 2.x.
const (
	minJava = 17
	minNode = 22
)

// Java is the path of a Java of version 17 or later: $JAVA_HOME's, or the one on the PATH.
func Java(ctx context.Context) (string, error) {
	path := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		path = filepath.Join(home, "bin", "java")
	}
	// java -version writes to stderr: openjdk version "17.0.15" 2025-04-15
	return program(ctx, path, "-version", `version "(\d+)`, minJava, "DynamoDB Local needs Java 17 or later: install it, or point JAVA_HOME at it")
}

// Node is the path of a Node.js of version 22 or later: the project's own in node_modules, or the one on the PATH.
func Node(ctx context.Context) (string, error) {
	path := "node"
	if own := filepath.Join("node_modules", ".bin", "node"); isFile(own) {
		abs, err := filepath.Abs(own)
		if err != nil {
			return "", err
		}
		path = abs
	}
	return program(ctx, path, "--version", `v(\d+)`, minNode, "the queues and mapping templates need Node.js 22 or later: run `npm ci`, which brings it into node_modules")
}

// Package is the folder of an npm package in node_modules of the working directory or a folder above it.
func Package(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		candidate := filepath.Join(dir, "node_modules", name)
		if isFile(filepath.Join(candidate, "package.json")) {
			return candidate, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("the npm package %q is not installed: run `npm ci` (in an app of your own: `npm install --save-dev %s`)", name, name)
		}
		dir = parent
	}
}

// program checks that a program runs and is recent enough.
func program(ctx context.Context, path, flag, version string, least int, remedy string) (string, error) {
	found, err := exec.LookPath(path)
	if err != nil {
		return "", fmt.Errorf("%s not found: %s", filepath.Base(path), remedy)
	}
	out, err := exec.CommandContext(ctx, found, flag).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s does not run (%w): %s", found, err, remedy)
	}
	match := regexp.MustCompile(version).FindSubmatch(out)
	if match == nil {
		return "", fmt.Errorf("%s does not say its version: %s", found, remedy)
	}
	if major, _ := strconv.Atoi(string(match[1])); major < least {
		return "", fmt.Errorf("%s is version %d: %s", found, major, remedy)
	}
	return found, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
