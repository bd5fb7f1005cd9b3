package artifact

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// masked changes every byte on its way.
type masked struct {
	w   io.Writer
	end error
}

func mask(p []byte) []byte {
	out := bytes.Clone(p)
	for i := range out {
		out[i] ^= 0x55
	}
	return out
}

func (m masked) Write(p []byte) (int, error) {
	n, err := m.w.Write(mask(p))
	return n, err
}

func (m masked) Close() error { return m.end }

func TestPackFileVia(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("content"), 0o600))
	var plain bytes.Buffer
	require.NoError(t, Pack(&plain, dir, Limits{}))
	d, size, err := PackFileVia(file, dir, Limits{}, func(w io.Writer) (io.WriteCloser, error) { return masked{w: w}, nil })
	require.NoError(t, err)
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, mask(plain.Bytes()), raw)
	require.Equal(t, DigestOf(raw), d, "of what is in the file")
	require.EqualValues(t, len(raw), size)

	broken := errors.New("broken")
	for _, via := range []func(io.Writer) (io.WriteCloser, error){
		func(io.Writer) (io.WriteCloser, error) { return nil, broken },
		func(w io.Writer) (io.WriteCloser, error) { return masked{w, broken}, nil },
	} {
		other := filepath.Join(t.TempDir(), "out")
		_, _, err := PackFileVia(other, dir, Limits{}, via)
		require.ErrorIs(t, err, broken)
		left, err := os.ReadDir(filepath.Dir(other))
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestUnpackIf(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.WriteFile(filepath.Join(from, "a"), []byte("content"), 0o600))
	var archive bytes.Buffer
	require.NoError(t, Pack(&archive, from, Limits{}))
	refusal := errors.New("not this one")
	err := UnpackIf(bytes.NewReader(archive.Bytes()), to, Limits{}, func(Digest) error {
		require.NoDirExists(t, to)
		return refusal
	})
	require.ErrorIs(t, err, refusal)
	left, err := os.ReadDir(filepath.Dir(to))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, UnpackIf(bytes.NewReader(archive.Bytes()), to, Limits{}, func(got Digest) error {
		require.Equal(t, DigestOf(archive.Bytes()), got)
		return nil
	}))
	require.FileExists(t, filepath.Join(to, "a"))
}
