package functions

import (
	"context"
	"debug/elf"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/template"
	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

// A program is what an execution environment runs.
type program struct {
	path string
	args []string
	root string // LAMBDA_TASK_ROOT, the folder of the function's code
}

// An interpreter runs handlers written in a language of its own, by a runtime client that plays the part of
// Lambda's: it loads the handler and talks to the Runtime API.
type interpreter struct {
	find func(context.Context) (string, error)
	args []string // before the client's path
	// packages returns the folders in which the client looks for the SDK that Lambda's runtime brings along.
	packages func(interpreter string) []string
	client   string // file name
	source   []byte // of the client
	// inline is the file that Lambda puts inline code into.
	// Source: CloudFormation template reference, AWS::Lambda::Function Code, ZipFile.
	inline string
}

var (
	//go:embed client.mjs
	nodeClient []byte
	node       = interpreter{find: toolchain.Node, client: "client.mjs", source: nodeClient, inline: "index.js", packages: nodePackages}

	//go:embed client.py
	pythonClient []byte
	// Unbuffered (-u), or the log would lag behind; no cache files (-B) in the assembly; none of the packages that this
	// machine happens to have (-S).
	python = interpreter{
		find: toolchain.Python, args: []string{"-u", "-B", "-S"}, client: "client.py", source: pythonClient, inline: "index.py",
		packages: pythonPackages,
	}
)

// fromAsset returns the program of a function that is not compiled here. dir takes what has to be written.
func fromAsset(ctx context.Context, p properties, assets assets, dir string) (program, error) {
	var prog program
	var err error
	switch {
	case strings.HasPrefix(p.Runtime, "provided"):
		prog, err = bootstrap(p, assets)
	case strings.HasPrefix(p.Runtime, "nodejs"):
		prog, err = node.run(ctx, p, assets, dir)
	case strings.HasPrefix(p.Runtime, "python"):
		prog, err = python.run(ctx, p, assets, dir)
	default:
		err = errors.New("Runtime must be provided.*, nodejs* or python* for the local run")
	}
	if err != nil {
		return program{}, fmt.Errorf("runtime %s: %w", p.Runtime, err)
	}
	return prog, nil
}

// bootstrap returns the program that a function brings along.
func bootstrap(p properties, assets assets) (program, error) {
	root, err := assets.folder(p.Code.S3Key)
	if err != nil {
		return program{}, err
	}
	path := filepath.Join(root, "bootstrap")
	if err := runsHere(path); err != nil {
		return program{}, fmt.Errorf("asset %s: %w", root, err)
	}
	return program{path: path, root: root}, nil
}

// runsHere checks that a bootstrap is a script, or compiled for this machine.
func runsHere(path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it has no bootstrap")
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return errors.New("its bootstrap is not executable")
	}
	var head [2]byte
	if _, err := file.ReadAt(head[:], 0); err == nil && string(head[:]) == "#!" {
		return nil
	}
	here := runtime.GOOS + "/" + runtime.GOARCH
	binary, err := elf.NewFile(file)
	switch isELF := err == nil; {
	case isELF != (runtime.GOOS == "linux"):
		return fmt.Errorf("its bootstrap is not a program for %s", here)
	case isELF && binary.Machine != machines[runtime.GOARCH]:
		return fmt.Errorf("its bootstrap is compiled for %s, this machine is %s", binary.Machine, here)
	}
	return nil
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// run returns the program that runs the function's handler.
func (i interpreter) run(ctx context.Context, p properties, assets assets, dir string) (program, error) {
	path, err := i.find(ctx)
	if err != nil {
		return program{}, err
	}
	client := filepath.Join(dir, i.client)
	if err := write(client, i.source); err != nil {
		return program{}, err
	}
	root := filepath.Join(dir, "code")
	if p.Code.ZipFile != "" {
		err = write(filepath.Join(root, i.inline), []byte(p.Code.ZipFile))
	} else {
		root, err = assets.folder(p.Code.S3Key)
	}
	if err != nil {
		return program{}, err
	}
	return program{path: path, args: slices.Concat(i.args, []string{client}, i.packages(path)), root: root}, nil
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// assets are where the code of a function may be.
type assets struct {
	path string // of a template that stands alone: the folder that Code names; "" is none
	app  string // with the asset manifests
	root string // that no folder may lie outside of; "" for a template that stands alone
}

// assetsOf returns where the code of a function may be. path is what localCode returns.
func assetsOf(r template.Resource, path string) assets {
	a := assets{path: path, app: template.RealPath(r.Dir)}
	if r.Root != "" {
		a.root = template.RealPath(r.Root)
	}
	return a
}

// localCode returns the path that stands in place of the property Code, as a template has it before `aws cloudformation
// package` uploads the folder, and the resource without it.
// Source: AWS CLI reference, cloudformation package.
func localCode(r template.Resource) (path string, rest template.Resource) {
	path, ok := r.Properties["Code"].(string)
	if ok {
		r.Properties = maps.Clone(r.Properties)
		delete(r.Properties, "Code")
	}
	return path, r
}

// folder returns the folder with the code of a function: that which its template names, or which the CDK CLI would zip and
// upload under the key.
func (a assets) folder(key string) (string, error) {
	switch {
	case a.path != "" && a.root != "":
		return "", fmt.Errorf("Code must be an object in a cloud assembly, got %q", a.path)
	case a.path != "":
		return a.local()
	case a.root == "":
		return "", fmt.Errorf("Code must be the path of a folder, relative to the template, in place of an object in S3, got the key %q: name the template as it was before `aws cloudformation package`", key)
	}
	entries, err := os.ReadDir(a.app)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".assets.json") {
			continue
		}
		path, err := a.lookUp(filepath.Join(a.app, entry.Name()), key)
		if path != "" || err != nil {
			return path, err
		}
	}
	return "", fmt.Errorf("no asset manifest in %s has the key %q", a.app, key)
}

// local returns the folder that a template that stands alone names.
func (a assets) local() (string, error) {
	if strings.Contains(a.path, "://") {
		return "", fmt.Errorf("Code must be the path of a folder, relative to the template, got %q", a.path)
	}
	folder := a.path
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(a.app, filepath.FromSlash(folder))
	}
	info, err := os.Stat(folder)
	if err != nil {
		return "", fmt.Errorf("Code: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("Code must be a folder, which is not zipped, got the file %s", folder)
	}
	return template.RealPath(folder), nil
}

// lookUp returns the folder that one manifest names, or "".
func (a assets) lookUp(manifest, key string) (string, error) {
	raw, err := os.ReadFile(manifest)
	if err != nil {
		return "", err
	}
	var content struct {
		Files map[string]struct {
			Source       struct{ Path, Packaging string }
			Destinations map[string]struct{ ObjectKey string }
		}
	}
	if err := json.Unmarshal(raw, &content); err != nil {
		return "", fmt.Errorf("read %s: %w", manifest, err)
	}
	for _, file := range content.Files {
		for _, destination := range file.Destinations {
			if destination.ObjectKey != key {
				continue
			}
			if file.Source.Packaging != "zip" {
				return "", fmt.Errorf("asset %s is a single file, the local run needs a folder", file.Source.Path)
			}
			return a.within(file.Source.Path)
		}
	}
	return "", nil
}

// within returns the folder at that path, which must not lie outside of the assembly. A stage's assets lie beside
// its folder, so the path may begin with "..".
func (a assets) within(path string) (string, error) {
	folder := path
	if !filepath.IsAbs(path) {
		folder = filepath.Join(a.app, path)
	}
	folder = template.RealPath(folder)
	below, err := filepath.Rel(a.root, folder)
	if err != nil || !filepath.IsLocal(below) {
		return "", fmt.Errorf("asset %s must lie in the cloud assembly %s (without --no-staging), it is %s", path, a.root, folder)
	}
	return folder, nil
}
