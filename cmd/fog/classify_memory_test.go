//go:build linux && !race

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/classify/gen"
)

// A fit takes at most twice its input and 64 MiB, with all of the program, which was linked a moment ago.
func TestFitIsSmall(t *testing.T) {
	home := t.TempDir()
	rows := filepath.Join(home, "rows.f64")
	writeRows(t, rows, gen.B(100_000, 8, 8, 2))
	info, err := os.Stat(rows)
	require.NoError(t, err)
	for _, algorithm := range []string{"kmeans", "gmm"} {
		cmd := fog(t.Context(), home, "classify", "fit", "--input", rows, "--dim", "8", "--k", "8", "--algorithm", algorithm, "--output", "json")
		out, err := cmd.Output()
		require.NoError(t, err)
		var v struct {
			PeakRSSBytes int64 `json:"peak_rss_bytes"`
		}
		require.NoError(t, json.Unmarshal(out, &v))
		require.Positive(t, v.PeakRSSBytes)
		require.LessOrEqual(t, v.PeakRSSBytes, 2*info.Size()+64<<20, algorithm)
	}
}
