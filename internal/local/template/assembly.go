package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An Assembly is a cloud assembly: the folder that cdk synth writes. [Assembly.Stack] reads the templates.
// Source: aws-cdk, package cloud-assembly-schema.
type Assembly struct {
	dir    string
	stacks []*Stack
}

// ReadAssembly reads the manifest in dir, and the manifests of the stages below it.
func ReadAssembly(dir string) (*Assembly, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("the cloud assembly must be the folder that `cdk synth` writes, got the file %s: include a template in a CDK app (cloudformation-include) and run `npx cdk synth`", dir)
	}
	a := &Assembly{dir: dir}
	err := a.read(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s is not a cloud assembly (it has no manifest.json): run `npx cdk synth` or `make synth` first", dir)
	case err != nil:
		return nil, fmt.Errorf("%w: run `npx cdk synth` or `make synth` again", err)
	case len(a.stacks) == 0:
		return nil, fmt.Errorf("%s must have at least one stack, got none", dir)
	}
	return a, nil
}

// An artifact is an entry of the manifest, with the fields that this package uses.
type artifact struct {
	Type        string `json:"type"`
	Environment string `json:"environment"` // aws://account/region
	DisplayName string `json:"displayName"`
	// Dependencies are the ids of artifacts, not only of stacks, that are deployed before.
	Dependencies []string `json:"dependencies"`
	Metadata     paths    `json:"metadata"`
	// AdditionalMetadataFile holds the metadata since schema 46.
	AdditionalMetadataFile string `json:"additionalMetadataFile"`
	Properties             struct {
		TemplateFile  string `json:"templateFile"`
		StackName     string `json:"stackName"`
		DirectoryName string `json:"directoryName"`
	} `json:"properties"`
}

func (a *Assembly) read(dir string) error {
	file := filepath.Join(dir, "manifest.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var manifest struct {
		Artifacts json.RawMessage `json:"artifacts"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	entries, err := members(manifest.Artifacts)
	if err != nil {
		return fmt.Errorf("%s: artifacts: %w", file, err)
	}
	for _, entry := range entries {
		var art artifact
		if err := json.Unmarshal(entry.value, &art); err != nil {
			return fmt.Errorf("%s: artifact %s: %w", file, entry.name, err)
		}
		switch art.Type {
		case "aws:cloudformation:stack":
			if err := within(art.Properties.TemplateFile, art.AdditionalMetadataFile); err != nil {
				return fmt.Errorf("%s: artifact %s: %w", file, entry.name, err)
			}
			s := newStack(dir, entry.name, art)
			s.Root, s.assembly = a.dir, a
			a.stacks = append(a.stacks, s)
		case "cdk:cloud-assembly":
			if err := within(art.Properties.DirectoryName); err != nil {
				return fmt.Errorf("%s: artifact %s: %w", file, entry.name, err)
			}
			if filepath.Clean(art.Properties.DirectoryName) == "." {
				return fmt.Errorf("%s: artifact %s: directoryName must be a folder below the cloud assembly, got %q", file, entry.name, art.Properties.DirectoryName)
			}
			if err := a.read(filepath.Join(dir, art.Properties.DirectoryName)); err != nil {
				return fmt.Errorf("stage %s: %w", entry.name, err)
			}
		}
	}
	return nil
}

// within checks that no name in the manifest leads out of the assembly, which may be a stranger's.
func within(names ...string) error {
	for _, name := range names {
		if name != "" && !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("a name of a file must not lead out of the cloud assembly, got %q", name)
		}
	}
	return nil
}

func newStack(dir, id string, art artifact) *Stack {
	s := &Stack{
		ID: id, Name: art.Properties.StackName, DisplayName: art.DisplayName, Dir: dir,
		file: filepath.Join(dir, art.Properties.TemplateFile), paths: art.Metadata, after: art.Dependencies,
	}
	if s.Name == "" {
		s.Name = id
	}
	if s.DisplayName == "" {
		s.DisplayName = id
	}
	if art.AdditionalMetadataFile != "" {
		s.metadataFile = filepath.Join(dir, art.AdditionalMetadataFile)
	}
	account, region, _ := strings.Cut(strings.TrimPrefix(art.Environment, "aws://"), "/")
	if account != "unknown-account" {
		s.Account = account
	}
	if region != "unknown-region" {
		s.Region = region
	}
	return s
}

// Names returns the stacks' names as `cdk list` shows them, in the order of the app.
func (a *Assembly) Names() []string {
	names := make([]string, len(a.stacks))
	for i, s := range a.stacks {
		names[i] = s.DisplayName
	}
	return names
}

// Stack reads the template of the stack with that display name, stack name or artifact id. The name may be empty when
// there is only one stack.
func (a *Assembly) Stack(name string) (*Stack, error) {
	if name == "" {
		if len(a.stacks) > 1 {
			return nil, fmt.Errorf("%s has several stacks; choose one with --stack: %s", a.dir, strings.Join(a.Names(), ", "))
		}
		return a.stacks[0].load()
	}
	stacks, err := a.Select(name)
	if err != nil {
		return nil, err
	}
	return stacks[0], nil
}

// Select reads the templates of the stacks that have these names, as [Assembly.Stack] takes them, in the order of the app.
// Stacks that cannot be in one account and region are an error, and so is a name that stands for none or is there twice.
func (a *Assembly) Select(names ...string) ([]*Stack, error) {
	chosen := map[*Stack]string{}
	var problems []error
	for _, name := range names {
		i := slices.IndexFunc(a.stacks, func(s *Stack) bool { return s.is(name) })
		switch {
		case i < 0:
			problems = append(problems, fmt.Errorf("the stack must be one of %s in %s, got %q", strings.Join(a.Names(), ", "), a.dir, name))
		case chosen[a.stacks[i]] != "":
			problems = append(problems, fmt.Errorf("the stack %s must be named once, got %s and %s", a.stacks[i].DisplayName, chosen[a.stacks[i]], name))
		default:
			chosen[a.stacks[i]] = name
		}
	}
	var stacks []*Stack
	for _, s := range a.stacks {
		if chosen[s] == "" {
			continue
		}
		loaded, err := s.load()
		problems = append(problems, err)
		stacks = append(stacks, loaded)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return stacks, together(stacks)
}

// together returns what forbids the stacks to be in one account and region, which is all that a run has.
func together(stacks []*Stack) error {
	var problems []error
	differ := func(what string, of func(*Stack) string) {
		var first *Stack
		for _, s := range stacks {
			switch {
			case of(s) == "":
			case first == nil:
				first = s
			case of(first) != of(s):
				problems = append(problems, fmt.Errorf("the stacks of a run must have one %s, got %s of %s and %s of %s: run one of them, or leave the %[1]s open in the app",
					what, of(first), first.DisplayName, of(s), s.DisplayName))
			}
		}
	}
	differ("region", func(s *Stack) string { return s.Region })
	differ("account", func(s *Stack) string { return s.Account })
	for i, s := range stacks {
		for _, other := range stacks[:i] {
			if other.Name == s.Name {
				problems = append(problems, fmt.Errorf("the stacks of a run must have different names, got %s for %s and %s", s.Name, other.DisplayName, s.DisplayName))
			}
		}
	}
	return errors.Join(problems...)
}
