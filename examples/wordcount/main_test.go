package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCount(t *testing.T) {
	text := []byte("It's 'Light', light and LIGHT; Phænomena x")
	require.Equal(t, map[string]int{"it's": 1, "light": 3, "and": 1, "phænomena": 1, "x": 1}, count(text, 0, len(text)))
	require.Empty(t, count(nil, 0, 0))
	require.Empty(t, count([]byte("''' 12"), 0, 6))
}

// TestCuts cuts a text at every place: the parts together have the words of the whole.
func TestCuts(t *testing.T) {
	text := []byte("“Où est l'été?” – Là-bas; 'tis Phænomena.")
	want := count(text, 0, len(text))
	for a := 0; a <= len(text); a++ {
		for b := a; b <= len(text); b++ {
			got := count(text, 0, a)
			for _, part := range []map[string]int{count(text, a, b), count(text, b, len(text))} {
				for word, n := range part {
					got[word] += n
				}
			}
			require.Equal(t, want, got, "cut at %d and %d", a, b)
		}
	}
}

func TestOpticks(t *testing.T) {
	text, err := os.ReadFile("text/opticks.txt")
	require.NoError(t, err)
	require.Equal(t, 823, count(text, 0, len(text))["light"])
}
