package inside

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// device is what /proc/net/dev holds.
const device = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    2000       3    0    0    0     0          0         0      300       4    0    0    0     0       0          0
  eth1:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0
`

func TestMeasure(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"version 2": {
			"cpu.stat": "usage_usec 1500\nuser_usec 1\n", "memory.current": "9000\n", "memory.stat": "anon 1\ninactive_file 1000\n", "pids.current": "7\n",
		},
		"version 1": {
			"cpuacct/cpuacct.usage": "1500000\n", "memory/memory.usage_in_bytes": "9000\n",
			"memory/memory.stat": "inactive_file 5\ntotal_inactive_file 1000\n", "pids/pids.current": "7\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			put := func(file, text string) {
				file = filepath.Join(root, file)
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
			}
			_, err := Measure(root)
			require.ErrorIs(t, err, errNoGroups)
			for file, text := range files {
				put("sys/fs/cgroup/"+file, text)
			}
			put("proc/net/dev", device)
			used, err := Measure(root)
			require.NoError(t, err)
			require.EqualValues(t, 1_500_000, used.CPUNanos)
			require.EqualValues(t, 8000, used.Memory)
			require.EqualValues(t, 7, used.Processes)
			require.EqualValues(t, 2005, used.Received)
			require.EqualValues(t, 307, used.Sent)
		})
	}
}
