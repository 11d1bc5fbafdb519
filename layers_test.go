package hornwork

import (
	_ "embed"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

//go:embed layers.txt
var layersText string

type place struct{ line, column int }

// layers returns where each package stands.
func layers() map[string]place {
	m := map[string]place{}
	line := 0
	for text := range strings.Lines(layersText) {
		text, _, _ = strings.Cut(text, "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		line++
		for i, f := range fields {
			m[f] = place{line, i}
		}
	}
	return m
}

func find(m map[string]place, pkg string) (place, bool) {
	if p, ok := m[pkg]; ok {
		return p, true
	}
	for dir := pkg; dir != "."; dir = path.Dir(dir) {
		if p, ok := m[dir+"/..."]; ok {
			return p, true
		}
	}
	return place{}, false
}

func TestImportsRunDownward(t *testing.T) {
	m := layers()
	imports := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && file != "." || file == "bench" || file == "conformance") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || path.Dir(file) == "." {
			return nil
		}
		pkg := path.Dir(filepath.ToSlash(file))
		from, ok := find(m, pkg)
		if !ok {
			t.Errorf("%s: package %s has no place in layers.txt", file, pkg)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, s := range f.Imports {
			p, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			dep, ok := strings.CutPrefix(p, "hornwork/")
			if !ok {
				continue
			}
			imports++
			to, ok := find(m, dep)
			if !ok || to.line > from.line || to.line == from.line && to.column >= from.column {
				t.Errorf("%s imports %s, which does not stand below it in layers.txt", file, dep)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if imports == 0 {
		t.Fatal("no import was looked at")
	}
}

// Raw host system calls and unsafe memory are kept where a reviewer looks for them.
func TestUnsafeStaysInItsPlace(t *testing.T) {
	allowed := []string{"host/", "platform/", "container/jail/", "container/launch/"}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_unsafe.go") {
			return err
		}
		file = filepath.ToSlash(file)
		for _, a := range allowed {
			if strings.HasPrefix(file, a) {
				return nil
			}
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, s := range f.Imports {
			if s.Path.Value == `"unsafe"` {
				t.Errorf("%s imports unsafe: only host/, platform/ and files named *_unsafe.go may", file)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
