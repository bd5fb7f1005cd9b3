package hostvolume

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMount(t *testing.T) {
	at, source, ok := parseMount("40 32 7:3 / /srv/a\\040b rw,nosuid,nodev,noatime shared:9 master:1 - ext4 /dev/loop3 rw\n")
	require.True(t, ok)
	require.Equal(t, "/srv/a b", at)
	require.Equal(t, "/dev/loop3", source)
	for _, line := range []string{"", "40 32 7:3 / /srv", "40 - ext4 /dev/loop3", "40 32 7:3 / /srv rw - ext4"} {
		_, _, ok := parseMount(line)
		require.False(t, ok, line)
	}
}

func FuzzParseMount(f *testing.F) {
	f.Add("40 32 7:3 / /srv rw - ext4 /dev/loop3 rw")
	f.Fuzz(func(t *testing.T, line string) {
		at, source, ok := parseMount(line)
		require.Equal(t, ok, at != "" && source != "")
	})
}
