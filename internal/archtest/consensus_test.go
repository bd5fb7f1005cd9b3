package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConsensusCode looks in all hand-written code under x/ for what would make two nodes disagree or stop.
func TestConsensusCode(t *testing.T) {
	files := 0
	fset := token.NewFileSet()
	err := filepath.WalkDir("../../x", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "simulation" || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".pb.go") || strings.HasSuffix(name, ".pb.gw.go") {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		for _, finding := range nondeterminism(fset, file) {
			t.Error(finding)
		}
		return nil
	})
	require.NoError(t, err)
	require.Positive(t, files)
}

func TestNondeterminismIsFound(t *testing.T) {
	for _, tc := range []struct{ code, want string }{
		{`var x float64`, "float64"},
		{`func f(x float32) {}`, "float32"},
		{`var x = 0.5`, "0.5"},
		{`func f() { go f() }`, "goroutine"},
		{`func f() { select {} }`, "select"},
		{`func f() { _ = time.Now() }`, "time.Now"},
		{`func f(t time.Time) { _ = time.Since(t) }`, "time.Since"},
		{`func f(t time.Time) int { return t.Now }`, ""},
		{`var x = map[string]int{"float": 1}`, ""},
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", "package x\n"+tc.code, parser.SkipObjectResolution)
		require.NoError(t, err)
		got := nondeterminism(fset, file)
		if tc.want == "" {
			require.Empty(t, got, tc.code)
			continue
		}
		require.Len(t, got, 1, tc.code)
		require.Contains(t, got[0], tc.want)
	}
}

// nondeterminism finds floats, goroutines, select and the machine's clock. Ranges over maps need types and are left to review.
func nondeterminism(fset *token.FileSet, file *ast.File) []string {
	var found []string
	add := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), what))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if n.Name == "float32" || n.Name == "float64" {
				add(n, n.Name+" in consensus code; use integers or fixed point")
			}
		case *ast.BasicLit:
			if n.Kind == token.FLOAT {
				add(n, n.Value+" is a float in consensus code; use integers or fixed point")
			}
		case *ast.GoStmt:
			add(n, "goroutine in consensus code; do the work in order")
		case *ast.SelectStmt:
			add(n, "select in consensus code; its choice is random")
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "time" {
				switch n.Sel.Name {
				case "Now", "Since", "Until", "After", "Tick", "NewTimer", "NewTicker", "Sleep":
					add(n, "time."+n.Sel.Name+" reads the machine's clock; use the block's time")
				}
			}
		}
		return true
	})
	return found
}
