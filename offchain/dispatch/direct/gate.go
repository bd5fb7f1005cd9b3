package direct

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// gate lets as many tasks run as the node's processors and memory hold, first come, first served.
type gate struct {
	cpuMilli, memoryMiB int64
	cpu, memory         *semaphore.Weighted
	volumesOnDisk       bool
	gpus                *gpus
}

func newGate(cpuMilli, memoryMiB int64) *gate {
	return &gate{
		cpuMilli: cpuMilli, memoryMiB: memoryMiB,
		gpus: &gpus{}, cpu: semaphore.NewWeighted(cpuMilli), memory: semaphore.NewWeighted(memoryMiB),
	}
}

// fits reports whether one task can ever enter.
func (g *gate) fits(a dispatch.Assignment) error {
	if memory := g.memoryOf(a); int64(a.CPUMilli) > g.cpuMilli || memory > g.memoryMiB {
		return fmt.Errorf("%w: a task needs %d cpu_milli and %d MiB of memory; this node gives %d and %d",
			dispatch.ErrInvalidAssignment, a.CPUMilli, memory, g.cpuMilli, g.memoryMiB)
	}
	if have := g.gpus.count(); int(a.GPUs) > have {
		return fmt.Errorf("%w: a task needs %d GPUs; this node gives %d", dispatch.ErrInvalidAssignment, a.GPUs, have)
	}
	return nil
}

// enter waits for room; processors are always taken before memory, so two tasks cannot wait for each other.
func (g *gate) enter(ctx context.Context, a dispatch.Assignment) error {
	if err := g.cpu.Acquire(ctx, int64(a.CPUMilli)); err != nil {
		return err
	}
	if err := g.memory.Acquire(ctx, g.memoryOf(a)); err != nil {
		g.cpu.Release(int64(a.CPUMilli))
		return err
	}
	return nil
}

func (g *gate) leave(a dispatch.Assignment) {
	g.memory.Release(g.memoryOf(a))
	g.cpu.Release(int64(a.CPUMilli))
}

// memoryOf is what a task can take: volumes in memory outlive the container that their memory was counted with.
func (g *gate) memoryOf(a dispatch.Assignment) int64 {
	if a.Service == nil || g.volumesOnDisk && !a.Service.InMemory {
		return int64(a.MemoryMiB)
	}
	return int64(a.MemoryMiB) + int64(a.Service.Volume())
}
