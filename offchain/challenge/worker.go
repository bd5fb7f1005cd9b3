package challenge

import (
	"context"
	"runtime"
)

// Worker does the tasks of one challenge on the agent's machine, one after the other. Not safe for concurrent use.
type Worker struct {
	limits Limits
	held   *Held
	memory []byte
	fill   MemoryFillTask
	disk   *diskFile
}

// NewWorker makes a worker that refuses what is beyond the limits. Close it when the challenge ends.
func NewWorker(limits Limits) *Worker {
	w := &Worker{limits: limits, held: limits.Held}
	if w.held == nil {
		w.held = &Held{}
	}
	return w
}

// Do validates a task, does it, and returns the values that the task asks for.
func (w *Worker) Do(ctx context.Context, task Task) ([][]byte, error) {
	if task == nil {
		return nil, refuse("there is no task")
	}
	if err := task.validate(w.limits); err != nil {
		return nil, err
	}
	switch t := task.(type) {
	case CPUTask:
		return t.run(ctx)
	case MemoryFillTask:
		w.fill, w.memory = t, nil
		var err error
		w.memory, err = w.held.take(ctx, t, w.limits.HoldMiB*memoryBlocksPerMiB, max(1, min(w.limits.Cores, runtime.GOMAXPROCS(0))))
		return nil, err
	case MemoryWalkTask:
		if w.memory == nil {
			return nil, refuse("the memory is walked before it is filled")
		}
		return t.run(ctx, w.fill.Blocks, w.blocks())
	case DiskPrepareTask:
		if err := w.closeDisk(); err != nil {
			return nil, err
		}
		var err error
		w.disk, err = t.run(ctx, w.limits.Dir)
		return nil, err
	case DiskReadTask:
		if w.disk == nil {
			return nil, refuse("the disk is read before it is prepared")
		}
		return t.run(ctx, w.disk)
	case NetworkSendTask:
		return t.run(ctx)
	case NetworkReceiveTask:
		return t.run(), nil
	}
	return nil, refuse("unknown task %T", task)
}

// Close gives the disk back, and the memory, or leaves it to the others that share it for a while.
func (w *Worker) Close() error {
	if w.memory = nil; w.limits.Held != nil {
		w.held.leave(holdTime)
	} else {
		w.held.leave(0)
	}
	return w.closeDisk()
}

// blocks are those of the memory, made anew beyond what is held.
func (w *Worker) blocks() func(i uint64) []byte {
	held, there := blocksOf(w.memory), uint64(len(w.memory))/MemoryBlockSize
	if there == w.fill.Blocks {
		return held
	}
	anew := recompute(w.fill.Seed)
	return func(i uint64) []byte {
		if i < there {
			return held(i)
		}
		return anew(i)
	}
}

func (w *Worker) closeDisk() error {
	if w.disk == nil {
		return nil
	}
	d := w.disk
	w.disk = nil
	return d.Close()
}
