// Package storetest is what every store of the gateway must pass.
package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/gateway/store"
)

// Run runs the suite; open opens the same store again after it was closed.
func Run(t *testing.T, open func(t testing.TB, name string) store.Store) {
	t.Run("like a map, across restarts", func(t *testing.T) { likeMap(t, open) })
	t.Run("one of many creates", func(t *testing.T) { oneCreates(t, open(t, "creates")) })
	t.Run("values are copies", func(t *testing.T) { copies(t, open(t, "copies")) })
	t.Run("visits end", func(t *testing.T) { visitsEnd(t, open(t, "visits")) })
}

func likeMap(t *testing.T, open func(t testing.TB, name string) store.Store) {
	ctx, run := t.Context(), 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		name := fmt.Sprintf("map%d", run)
		s, model := open(t, name), map[string]map[string]string{"a": {}, "b": {}}
		table := rapid.SampledFrom([]string{"a", "b"})
		key, value := rapid.StringMatching(`[a-d]{1,2}`), rapid.StringN(0, 8, -1)
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				in, k, v := table.Draw(rt, "table"), key.Draw(rt, "key"), value.Draw(rt, "value")
				require.NoError(rt, s.Put(ctx, in, map[string][]byte{k: []byte(v), k + "x": []byte(v)}))
				model[in][k], model[in][k+"x"] = v, v
			},
			"create": func(rt *rapid.T) {
				in, k, v := table.Draw(rt, "table"), key.Draw(rt, "key"), value.Draw(rt, "value")
				if _, taken := model[in][k]; taken {
					require.ErrorIs(rt, s.Create(ctx, in, k, []byte(v)), store.ErrExists)
					return
				}
				require.NoError(rt, s.Create(ctx, in, k, []byte(v)))
				model[in][k] = v
			},
			"delete": func(rt *rapid.T) {
				in, k := table.Draw(rt, "table"), key.Draw(rt, "key")
				require.NoError(rt, s.Delete(ctx, in, k))
				delete(model[in], k)
			},
			"restart": func(rt *rapid.T) {
				require.NoError(rt, s.Close())
				s = open(t, name)
			},
			"": func(rt *rapid.T) {
				for in, want := range model {
					var keys []string
					require.NoError(rt, s.List(ctx, in, func(k string, v []byte) error {
						keys = append(keys, k)
						require.Equal(rt, want[k], string(v))
						return nil
					}))
					require.Equal(rt, slices.Sorted(maps.Keys(want)), keys)
					k := key.Draw(rt, "look for")
					got, err := s.Get(ctx, in, k)
					if v, held := want[k]; held {
						require.NoError(rt, err)
						require.Equal(rt, v, string(got))
					} else {
						require.ErrorIs(rt, err, store.ErrNotFound)
					}
				}
			},
		})
		require.NoError(rt, s.Close())
	})
}

func oneCreates(t *testing.T, s store.Store) {
	var created atomic.Int32
	var g sync.WaitGroup
	for range 16 {
		g.Go(func() {
			if err := s.Create(t.Context(), "a", "k", []byte("v")); err == nil {
				created.Add(1)
			} else if !errors.Is(err, store.ErrExists) {
				t.Error(err)
			}
		})
	}
	g.Wait()
	require.EqualValues(t, 1, created.Load())
	require.NoError(t, s.Close())
}

func copies(t *testing.T, s store.Store) {
	require.NoError(t, s.Create(t.Context(), "a", "k", []byte("value")))
	for range 2 {
		got, err := s.Get(t.Context(), "a", "k")
		require.NoError(t, err)
		require.Equal(t, "value", string(got))
		clear(got)
	}
	require.NoError(t, s.Close())
}

func visitsEnd(t *testing.T, s store.Store) {
	require.NoError(t, s.Put(t.Context(), "a", map[string][]byte{"1": nil, "2": nil}))
	enough, visits := errors.New("enough"), 0
	require.ErrorIs(t, s.List(t.Context(), "a", func(string, []byte) error { visits++; return enough }), enough)
	require.Equal(t, 1, visits)
	require.NoError(t, s.List(t.Context(), "none", func(string, []byte) error { return enough }))
	require.NoError(t, s.Close())
}
