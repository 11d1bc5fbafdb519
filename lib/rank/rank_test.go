package rank

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

func TestEveryClassHasAPlace(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "classes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var classes []string
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok {
			classes = append(classes, s.Name.Name)
		}
		return true
	})
	order := Order()
	slices.Sort(classes)
	sorted := slices.Sorted(slices.Values(order))
	if !slices.Equal(classes, sorted) {
		t.Errorf("classes.go has %v\norder.txt has %v", classes, sorted)
	}
}
