package project

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	// maxFile and maxFunction are in lines, comments included. A test function may be
	// longer, for the sake of its table.
	maxFile     = 500
	maxFunction = 80
)

// source is one Go file of the project, of either module.
type source struct {
	name string
	set  *token.FileSet
	file *ast.File
}

func (s source) at(node ast.Node) token.Position { return s.set.Position(node.Pos()) }

func (s source) lines(node ast.Node) int {
	return s.set.Position(node.End()).Line - s.set.Position(node.Pos()).Line + 1
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("../..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", "build", "testdata"}, entry.Name()) {
			return fs.SkipDir
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		all = append(all, source{name, set, file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLength(t *testing.T) {
	for _, s := range sources(t) {
		if lines := s.lines(s.file); lines > maxFile {
			t.Errorf("%s has %d lines, more than %d", s.name, lines, maxFile)
		}
		if strings.HasSuffix(s.name, "_test.go") {
			continue
		}
		for _, declaration := range s.file.Decls {
			function, isFunction := declaration.(*ast.FuncDecl)
			if isFunction && s.lines(function) > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", s.at(function), function.Name, s.lines(function), maxFunction)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, s := range sources(t) {
		if slices.Contains([]string{"utils", "util", "common", "types", "helpers", "models"}, s.file.Name.Name) {
			t.Errorf("%s: package %s is not named for what it holds", s.name, s.file.Name)
		}
		for _, declaration := range s.file.Decls {
			if function, isFunction := declaration.(*ast.FuncDecl); isFunction && function.Recv == nil && function.Name.Name == "init" {
				t.Errorf("%s: init runs at every start; call it where it is needed", s.at(function))
			}
		}
	}
}

func TestComments(t *testing.T) {
	commented := map[string]bool{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.name)
		commented[dir] = commented[dir] || s.file.Doc != nil
		if strings.HasSuffix(s.name, "_test.go") {
			continue
		}
		for _, declaration := range s.file.Decls {
			for _, name := range undocumented(declaration) {
				t.Errorf("%s: exported %s has no comment", s.at(declaration), name)
			}
		}
	}
	for dir, has := range commented {
		if !has {
			t.Errorf("%s: the package has no comment", dir)
		}
	}
}

// undocumented are the exported names of a declaration that have no comment. A
// constant or variable may have that of its group.
func undocumented(declaration ast.Decl) []string {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d.Recv)) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		var names []string
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				if spec.Names[0].IsExported() && d.Doc == nil && spec.Doc == nil {
					names = append(names, spec.Names[0].Name)
				}
			}
		}
		return names
	}
	return nil
}

func exportedReceiver(receiver *ast.FieldList) bool {
	kind := receiver.List[0].Type
	if pointer, isPointer := kind.(*ast.StarExpr); isPointer {
		kind = pointer.X
	}
	if generic, isGeneric := kind.(*ast.IndexExpr); isGeneric {
		kind = generic.X
	}
	name, isName := kind.(*ast.Ident)
	return isName && name.IsExported()
}
