package cmd

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vbauerster/mpb/v8"
)

// A command that fails half-way must give the terminal back.
func TestBarsEndWhereverTheyAre(t *testing.T) {
	var out bytes.Buffer
	screen := newBars(&out, mpb.WithAutoRefresh())
	half, full := screen.bytes("half"), screen.count("full")
	screen.count("untouched")
	half(1<<20, 2<<20)
	full(3, 3)
	ended := make(chan struct{})
	go func() {
		screen.end()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the bars are waited for")
	}
	require.Contains(t, out.String(), "1.0 MiB / 2.0 MiB")
	require.Contains(t, out.String(), "3 / 3")
}

func TestNoBarsWhereNoOneWatches(t *testing.T) {
	screen := &bars{}
	require.Nil(t, screen.bytes("any"))
	screen.end()
}

func TestAmountsAreExact(t *testing.T) {
	for ufog, want := range map[uint64]string{
		0: "0 FOG", 1: "0.000001 FOG", 500_000: "0.5 FOG", 1_000_000: "1 FOG", 100_000_001: "100.000001 FOG",
		1<<64 - 1: "18446744073709.551615 FOG",
	} {
		require.Equal(t, want, fog(ufog))
	}
}
