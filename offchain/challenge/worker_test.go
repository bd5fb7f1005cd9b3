package challenge

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTasksBeyondTheLimits(t *testing.T) {
	modulus := testExaminer().trapdoor.n.Bytes()
	even := append(append([]byte{}, modulus[:modulusSize-1]...), 2)
	base := [][]byte{{5}}
	w := NewWorker(Limits{Cores: 1, MemoryMiB: 1, DiskMiB: 1, Dir: t.TempDir()})
	for name, task := range map[string]Task{
		"nothing":         nil,
		"even modulus":    CPUTask{even, base, 1},
		"short modulus":   CPUTask{modulus[1:], base, 1},
		"small modulus":   CPUTask{append([]byte{0}, modulus[1:]...), base, 1},
		"no bases":        CPUTask{modulus, nil, 1},
		"too many bases":  CPUTask{modulus, [][]byte{{5}, {5}}, 1},
		"empty base":      CPUTask{modulus, [][]byte{{}}, 1},
		"long base":       CPUTask{modulus, [][]byte{make([]byte, modulusSize+1)}, 1},
		"no squarings":    CPUTask{modulus, base, 0},
		"endless":         CPUTask{modulus, base, maxSquarings + 1},
		"short seed":      MemoryFillTask{seedOf(1)[1:], 1},
		"no blocks":       MemoryFillTask{seedOf(1), 0},
		"too much memory": MemoryFillTask{seedOf(1), memoryBlocksPerMiB + 1},
		"huge memory":     MemoryFillTask{seedOf(1), 1<<64 - 1},
		"too much disk":   DiskPrepareTask{seedOf(1), diskBlocksPerMiB + 1},
		"no disk":         DiskPrepareTask{seedOf(1), 0},
		"disk seed":       DiskPrepareTask{nil, 1},
		"no segments":     MemoryWalkTask{seedOf(1), 0, 1},
		"many segments":   MemoryWalkTask{seedOf(1), maxSegments + 1, 1},
		"many steps":      MemoryWalkTask{seedOf(1), 1, maxSteps + 1},
		"walk start":      MemoryWalkTask{nil, 1, 1},
		"no lanes":        DiskReadTask{seedOf(1), 0, 1},
		"no reads":        DiskReadTask{seedOf(1), 1, 0},
		"many lanes":      DiskReadTask{seedOf(1), maxLanes + 1, 1},
		"many reads":      DiskReadTask{seedOf(1), maxLanes, 1 << 31},
		"read start":      DiskReadTask{nil, 1, 1},
		"send nothing":    NetworkSendTask{seedOf(1), 0},
		"send too much":   NetworkSendTask{seedOf(1), MaxNetworkBytes + 1},
		"send seed":       NetworkSendTask{nil, 1},
		"receive nothing": NetworkReceiveTask{0, nil},
		"receive less":    NetworkReceiveTask{2, []byte{1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Do(t.Context(), task)
			require.ErrorIs(t, err, ErrBadTask)
		})
	}
	require.NoError(t, w.Close())
}

func TestWorkerStops(t *testing.T) {
	w := NewWorker(Limits{Cores: 1, MemoryMiB: 1 << 10})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := w.Do(ctx, MemoryFillTask{seedOf(1), 1 << 10 * memoryBlocksPerMiB})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Nil(t, w.memory, "what was half filled must not be walked")
}

func TestSlotTakesOneAtATimeInOrder(t *testing.T) {
	s := NewSlot()
	require.False(t, s.Busy())
	release, err := s.Acquire(t.Context())
	require.NoError(t, err)
	require.True(t, s.Busy())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Acquire(ctx)
	require.ErrorIs(t, err, context.Canceled)

	got := make(chan func())
	go func() {
		r, err := s.Acquire(context.Background())
		if err == nil {
			got <- r
		}
	}()
	select {
	case <-got:
		t.Fatal("two hold the slot")
	case <-time.After(20 * time.Millisecond):
	}
	release()
	second := <-got
	release() // again: must not free what the second holds
	require.True(t, s.Busy())
	second()
	require.False(t, s.Busy())
}

// FuzzWorker: no task that an oracle can send may crash the agent or make it take more than it lends.
func FuzzWorker(f *testing.F) {
	f.Add(uint8(0), []byte{1}, uint64(1), uint32(1))
	f.Add(uint8(2), seedOf(1), uint64(3), uint32(7))
	f.Add(uint8(3), seedOf(1), uint64(16), uint32(7))
	f.Fuzz(func(t *testing.T, kind uint8, b []byte, n uint64, m uint32) {
		w := NewWorker(Limits{Cores: 1, MemoryMiB: 1, DiskMiB: 1, Dir: t.TempDir()})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		tasks := [][]Task{
			{CPUTask{b, [][]byte{b}, n}},
			{CPUTask{testExaminer().trapdoor.n.Bytes(), [][]byte{b}, n}},
			{MemoryFillTask{b, n}, MemoryWalkTask{b, m, uint32(n)}},
			{DiskPrepareTask{b, n}, DiskReadTask{b, m, uint32(n)}},
			{NetworkSendTask{b, n}, NetworkReceiveTask{n, b}},
		}[kind%5]
		for _, task := range tasks {
			if _, err := w.Do(ctx, task); err != nil {
				break
			}
		}
		if len(w.memory) > 1<<20 {
			t.Fatalf("%d bytes of memory taken", len(w.memory))
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
