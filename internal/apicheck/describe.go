package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath string
	Name       string
	Export     string // the file with the compiled package's exported declarations
	DepOnly    bool
	Module     *struct {
		Path string
		Main bool
	}
}

// describe returns a sorted line for each exported thing of the packages that the patterns match, by the
// package's path in this module. The compiler's own export data says what is exported.
func describe(patterns []string) (map[string][]string, error) {
	packages, err := list(patterns)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
	}
	compiled := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})
	described := map[string][]string{}
	for _, p := range packages {
		if p.DepOnly || p.Name == "main" || slices.Contains(strings.Split(p.ImportPath, "/"), "internal") {
			continue
		}
		pkg, err := compiled.Import(p.ImportPath)
		if err != nil {
			return nil, fmt.Errorf("read the export data of %s: %w", p.ImportPath, err)
		}
		described[strings.TrimPrefix(p.ImportPath, p.Module.Path+"/")] = declarations(pkg, p.Module.Path)
	}
	return described, nil
}

func list(patterns []string) ([]listed, error) {
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Name,Export,DepOnly,Module"}, patterns...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("compile the packages: %w", err)
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}

// declarations returns the lines of one package.
func declarations(pkg *types.Package, module string) []string {
	d := describer{pkg: pkg, module: module}
	for _, name := range pkg.Scope().Names() {
		if object := pkg.Scope().Lookup(name); object.Exported() {
			d.declaration(object)
		}
	}
	slices.Sort(d.lines)
	return slices.Compact(d.lines)
}

type describer struct {
	pkg    *types.Package
	module string
	lines  []string
}

func (d *describer) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *describer) declaration(object types.Object) {
	switch object := object.(type) {
	case *types.Const:
		kind := d.typ(object.Type()) + " "
		if basic, ok := object.Type().(*types.Basic); ok && basic.Info()&types.IsUntyped != 0 {
			kind = ""
		}
		d.add("const %s %s= %s", object.Name(), kind, object.Val().ExactString())
	case *types.Var:
		d.add("var %s %s", object.Name(), d.typ(object.Type()))
	case *types.Func:
		d.add("func %s%s", object.Name(), d.signature(object))
	case *types.TypeName:
		d.typeDeclaration(object)
	}
}

func (d *describer) typeDeclaration(name *types.TypeName) {
	if name.IsAlias() {
		target := types.Unalias(name.Type())
		d.add("type %s = %s", name.Name(), d.typ(target))
		if named, ok := target.(*types.Named); ok && d.ours(named.Obj()) {
			d.members(name.Name(), target)
		}
		return
	}
	parameters := ""
	if named, ok := name.Type().(*types.Named); ok && named.TypeParams().Len() > 0 {
		parameters = d.typeParameters(named.TypeParams())
	}
	switch underlying := name.Type().Underlying().(type) {
	case *types.Struct:
		d.add("type %s%s struct", name.Name(), parameters)
	case *types.Interface:
		d.add("type %s%s interface", name.Name(), parameters)
	default:
		d.add("type %s%s %s", name.Name(), parameters, d.typ(underlying))
	}
	d.members(name.Name(), name.Type())
}

// members lists the exported fields and methods of a type. What it gets from an embedded type of this module is listed,
// because that type may be one that nobody else can name; an embedded type of another module is named only.
func (d *describer) members(name string, typ types.Type) {
	switch underlying := typ.Underlying().(type) {
	case *types.Struct:
		d.fields(name, underlying)
	case *types.Interface:
		d.interfaceMembers(name, underlying)
		return
	}
	byValue := types.NewMethodSet(typ)
	for selection := range types.NewMethodSet(types.NewPointer(typ)).Methods() {
		method, _ := selection.Obj().(*types.Func)
		if method == nil || !method.Exported() || !d.ours(method) {
			continue
		}
		receiver := "*" + name
		if byValue.Lookup(method.Pkg(), method.Name()) != nil {
			receiver = name
		}
		d.add("method (%s) %s%s", receiver, method.Name(), d.signature(method))
	}
}

func (d *describer) fields(name string, typ *types.Struct) {
	for field := range typ.Fields() {
		if field.Exported() {
			d.add("type %s struct, %s %s", name, field.Name(), d.typ(field.Type()))
			continue
		}
		if embedded, ok := field.Type().Underlying().(*types.Struct); ok && field.Embedded() {
			d.fields(name, embedded)
		}
	}
}

func (d *describer) interfaceMembers(name string, typ *types.Interface) {
	for embedded := range typ.EmbeddedTypes() {
		if named, ok := embedded.(*types.Named); !ok || !d.ours(named.Obj()) {
			d.add("type %s interface, embeds %s", name, d.typ(embedded))
		}
	}
	for method := range typ.Methods() {
		switch {
		case !d.ours(method):
		case method.Exported():
			d.add("type %s interface, %s%s", name, method.Name(), d.signature(method))
		default:
			d.add("type %s interface, only this module can implement it", name)
		}
	}
}

func (d *describer) ours(object types.Object) bool {
	return object.Pkg() != nil && (object.Pkg().Path() == d.module || strings.HasPrefix(object.Pkg().Path(), d.module+"/"))
}

func (d *describer) typ(t types.Type) string {
	return types.TypeString(t, func(other *types.Package) string {
		if other == d.pkg {
			return ""
		}
		return other.Name()
	})
}

func (d *describer) signature(f *types.Func) string {
	return strings.TrimPrefix(d.typ(f.Type()), "func")
}

func (d *describer) typeParameters(list *types.TypeParamList) string {
	var parameters []string
	for parameter := range list.TypeParams() {
		parameters = append(parameters, parameter.Obj().Name()+" "+d.typ(parameter.Constraint()))
	}
	return "[" + strings.Join(parameters, ", ") + "]"
}
