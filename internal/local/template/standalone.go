package template

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// notInStackNames matches what a stack's name must not have. Source: CloudFormation API reference, CreateStack, StackName.
var notInStackNames = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// ReadTemplate reads a template that stands alone, JSON or YAML, as the stack of that name. Default: what the file is called,
// without its extension. Code of functions and other paths in it are relative to its folder.
func ReadTemplate(file, name string) (*Stack, error) {
	if name == "" {
		base := filepath.Base(file)
		name = strings.Trim(notInStackNames.ReplaceAllString(strings.TrimSuffix(base, filepath.Ext(base)), "-"), "-")
	}
	return (&Stack{ID: name, Name: name, DisplayName: name, Dir: filepath.Dir(file), file: file}).load()
}

// NewStack returns a stack with a template that no file has, in JSON. Its resources must need no file.
func NewStack(name string, text []byte) (*Stack, error) {
	s := &Stack{ID: name, Name: name, DisplayName: name}
	if err := s.parse(text); err != nil {
		return nil, fmt.Errorf("template of %s: %w", name, err)
	}
	return s, nil
}
