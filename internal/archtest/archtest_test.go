// Package archtest holds the tests of the project's layering: who may depend on whom, and what consensus code may not use.
// The linter (.golangci.yml) gives the reason at the import; these tests follow imports all the way down.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/foggrid/fogd"

// A rule says what the packages under from may not reach, directly or through others. Patterns are of packages below the module
// root ("x/*/keeper") or, when they hold a dot before the first slash, full import paths; "/..." takes what lies below too.
type rule struct {
	name  string
	from  []string
	never []string
	allow []string
}

var pure = []string{"offchain/classify/...", "offchain/match/...", "offchain/pricing/...", "offchain/sim/..."}

var rules = []rule{
	{
		name: "the chain does not depend on anything off chain",
		from: []string{"x/...", "app/...", "cmd/fogd/..."},
		never: []string{
			"offchain/...", "cmd/fog/...", "gonum.org/v1/...", "github.com/hashicorp/nomad/...", "github.com/hashicorp/vault/...",
		},
	},
	{name: "escrow knows no other module", from: []string{"x/escrow/..."}, never: []string{"x/nodes/...", "x/jobs/...", "x/oracle/..."}},
	{name: "nodes stands on escrow", from: []string{"x/nodes/..."}, never: []string{"x/jobs/...", "x/oracle/..."}},
	{name: "jobs stands on nodes and escrow", from: []string{"x/jobs/..."}, never: []string{"x/oracle/..."}},
	{name: "the oracle is generic", from: []string{"x/oracle/..."}, never: []string{"x/nodes/...", "x/jobs/..."}},
	{name: "modules do not depend on the app", from: []string{"x/..."}, never: []string{"app/...", "cmd/..."}},
	{name: "types stand below keepers", from: []string{"x/*/types/..."}, never: []string{"x/*/keeper/...", "x/*"}},
	{name: "keepers stand below module and app", from: []string{"x/*/keeper/..."}, never: []string{"x/*"}},
	{name: "escrow's keeper reaches others through interfaces", from: []string{"x/escrow/keeper/..."}, never: otherKeepers("escrow")},
	{name: "nodes' keeper reaches others through interfaces", from: []string{"x/nodes/keeper/..."}, never: otherKeepers("nodes")},
	{name: "jobs' keeper reaches others through interfaces", from: []string{"x/jobs/keeper/..."}, never: otherKeepers("jobs")},
	{name: "oracle's keeper reaches others through interfaces", from: []string{"x/oracle/keeper/..."}, never: otherKeepers("oracle")},
	{
		name:  "off-chain code reaches the chain through offchain/chain and types",
		from:  []string{"offchain/...", "cmd/fog/..."},
		never: []string{"app/...", "cmd/fogd/...", "x/*", "x/*/keeper/..."},
	},
	{
		name:  "the runner lies in every container, so it is small",
		from:  []string{"cmd/fog-runner/...", "offchain/dispatch/nomad/runner/..."},
		never: []string{"github.com/hashicorp/...", "github.com/cosmos/...", "google.golang.org/grpc/...", "x/..."},
	},
	{name: "nobody imports a command", from: []string{"x/...", "app/...", "offchain/...", "internal/..."}, never: []string{"cmd/..."}},
	{
		name:  "pure packages know no chain, no network and nothing of the project but each other",
		from:  pure,
		allow: pure,
		never: []string{
			module + "/...", "net", "net/...", "github.com/cosmos/...", "cosmossdk.io/...", "github.com/cometbft/...", "google.golang.org/grpc/...",
		},
	},
}

func otherKeepers(own string) []string {
	var others []string
	for _, m := range []string{"escrow", "nodes", "jobs", "oracle"} {
		if m != own {
			others = append(others, "x/"+m+"/keeper/...")
		}
	}
	return others
}

func TestLayering(t *testing.T) {
	deps := dependencies(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, v := range violations(r, deps) {
				t.Errorf("%s; see .golangci.yml for who may import whom", v)
			}
		})
	}
}

// TestRulesBite gives every rule a package that breaks it, so that a pattern with a slip in it does not pass for a layering that holds.
func TestRulesBite(t *testing.T) {
	for _, r := range rules {
		from := module + "/" + example(r.from[0])
		for _, never := range r.never {
			require.Len(t, violations(r, map[string][]string{from: {full(example(never))}}), 1, "%s: %s", r.name, never)
		}
		require.Empty(t, violations(r, map[string][]string{from: {"fmt", from}}), r.name)
	}
}

// example is a package that matches the pattern.
func example(pattern string) string {
	return strings.ReplaceAll(strings.TrimSuffix(pattern, "/..."), "*", "some")
}

func violations(r rule, deps map[string][]string) []string {
	var found []string
	for pkg, all := range deps {
		if !matchAny(r.from, pkg) {
			continue
		}
		for _, dep := range all {
			if dep != pkg && matchAny(r.never, dep) && !matchAny(r.allow, dep) {
				found = append(found, pkg+" depends on "+dep)
			}
		}
	}
	slices.Sort(found)
	return found
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(full(p), pkg) })
}

// full makes a pattern below the module root an import path; the standard library's net is the one name without a dot that is not ours.
func full(pattern string) string {
	first, _, _ := strings.Cut(pattern, "/")
	if strings.Contains(first, ".") || first == "net" {
		return pattern
	}
	return module + "/" + pattern
}

func match(pattern, pkg string) bool {
	prefix, below := strings.CutSuffix(pattern, "/...")
	n := strings.Count(prefix, "/")
	parts := strings.Split(pkg, "/")
	if len(parts) < n+1 || (len(parts) > n+1 && !below) {
		return false
	}
	ok, err := path.Match(prefix, strings.Join(parts[:n+1], "/"))
	if err != nil {
		panic(err) // a malformed pattern in the table above
	}
	return ok
}

// dependencies maps each package of the module to all packages that it depends on without its tests.
func dependencies(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Deps,Module", module+"/...")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %v: %s", err, exit.Stderr)
	}
	require.NoError(t, err)

	deps := make(map[string][]string)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var pkg struct {
			ImportPath string
			Deps       []string
		}
		err := dec.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if strings.HasPrefix(pkg.ImportPath, module+"/") {
			deps[pkg.ImportPath] = pkg.Deps
		}
	}
	require.Contains(t, deps, module+"/x/escrow/types", "go list found too little")
	readTree(t)
	return deps
}

// readTree reads the directories that go list reads. The test cache knows what a test reads, but not what its subprocesses read;
// without this a change would be answered with the result of before.
func readTree(t *testing.T) {
	t.Helper()
	for _, top := range []string{"x", "app", "cmd", "offchain", "internal"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(_ string, _ fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		require.NoError(t, err)
	}
}
