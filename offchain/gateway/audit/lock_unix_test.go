//go:build unix && !solaris && !illumos && !aix

package audit

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two processes with one log, such as a gateway that lost its database for a while and the one that took its place, would write over each other.
func TestOneProcessHasTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path, clock)
	require.NoError(t, err)
	require.NoError(t, l.Append(event(1), true))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	_, err = Open(link, clock)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, l.Append(event(2), true))
	require.NoError(t, l.Close())
	l, err = Open(link, clock)
	require.NoError(t, err)
	require.EqualValues(t, 2, l.Head().Seq)
	require.NoError(t, l.Close())
}
