package match

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The vectors of learned.json and golden.json have no containers; these do, with nodes that run them and nodes that do not.
func TestRuntimesGolden(t *testing.T) {
	type vector struct {
		Seed     string
		Snapshot Snapshot
		Lowest   Batch
		Shipped  Batch
	}
	path := filepath.Join("testdata", "runtimes.json")
	shipped := Learned{DefaultConfig()}
	if *update {
		var vectors []vector
		for i, seed := range []string{"a", "b", "c", "d"} {
			v := vector{Seed: seed}
			v.Snapshot = rapid.Custom(generateWishes).Filter(func(s Snapshot) bool {
				b, err := LowestCost{}.Match(s, goldenSeed(seed))
				return err == nil && onContainers(s, b) && slices.ContainsFunc(b.Unmatched, func(u Unmatched) bool {
					return slices.ContainsFunc(u.Reasons, func(r ReasonCount) bool { return r.Reason == ReasonEngine })
				})
			}).Example(i)
			var err error
			v.Lowest, err = LowestCost{}.Match(v.Snapshot, goldenSeed(seed))
			require.NoError(t, err)
			v.Shipped, err = shipped.Match(v.Snapshot, goldenSeed(seed))
			require.NoError(t, err)
			vectors = append(vectors, v)
		}
		raw, err := json.Marshal(vectors)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(raw, '\n'), 0o644))
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.Len(t, vectors, 4)
	for _, v := range vectors {
		got, err := LowestCost{}.Match(v.Snapshot, goldenSeed(v.Seed))
		require.NoError(t, err)
		require.Equal(t, v.Lowest, got)
		require.True(t, onContainers(v.Snapshot, got))
		got, err = shipped.Match(v.Snapshot, goldenSeed(v.Seed))
		require.NoError(t, err)
		require.Equal(t, v.Shipped, got)
	}
}

// onContainers reports whether a batch has an item of a container.
func onContainers(s Snapshot, b Batch) bool {
	return slices.ContainsFunc(b.Items, func(item Item) bool {
		return slices.ContainsFunc(s.Pending, func(p Pending) bool {
			return p.Job == item.Job && p.Slice == item.Slice && p.Runtime == RuntimeDocker
		})
	})
}

func TestAdviceOfRuntimes(t *testing.T) {
	for _, c := range []struct {
		runtime  Runtime
		runtimes Runtimes
		advice   string
	}{
		{RuntimeDocker, 0, "build the program as a WebAssembly module (engine: wasm)"},
		{RuntimeWASM, Runtimes(0).With(RuntimeDocker), "build the program as a container image (engine: docker)"},
	} {
		n, p, s := fitting()
		n.Runtimes, p.Runtime = c.runtimes, c.runtime
		s.Nodes, s.Pending = []Node{n}, []Pending{p}
		why, err := Learned{DefaultConfig()}.Why(s, Seed{}, p.Job, p.Slice)
		require.NoError(t, err)
		require.Equal(t, []ReasonCount{{Reason: ReasonEngine, Nodes: 1}}, why.Waiting.Reasons)
		require.Equal(t, []Change{{Reason: ReasonEngine, Nodes: 1, Advice: c.advice}}, why.Waiting.Changes)
	}
}
