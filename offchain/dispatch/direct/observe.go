package direct

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
)

var (
	_ dispatch.Services = (*Dispatcher)(nil)
	_ dispatch.Observer = (*Dispatcher)(nil)
	_ dispatch.Executor = (*Dispatcher)(nil)
)

// lookAgain is the pause between two looks at a log that is followed.
const lookAgain = 200 * time.Millisecond

// task finds the attempt of a task.
func (d *Dispatcher) task(ctx context.Context, id dispatch.AttemptID, task uint32) (*attempt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := d.find(id)
	if err != nil {
		return nil, err
	}
	if a := t.assignment; task < a.FirstTask || task-a.FirstTask >= a.Tasks {
		return nil, fmt.Errorf("attempt %s has no task %d; it has %d tasks from %d on", id, task, a.Tasks, a.FirstTask)
	}
	return t, nil
}

// Logs implements dispatch.Dispatcher.
func (d *Dispatcher) Logs(ctx context.Context, id dispatch.AttemptID, task uint32) (io.ReadCloser, error) {
	t, err := d.task(ctx, id, task)
	if err != nil {
		return nil, err
	}
	log, err := openLog(taskDir(t.dir, task))
	if err != nil {
		return nil, fmt.Errorf("log of task %d of attempt %s: %w", task, id, err)
	}
	return log, nil
}

// Follow implements dispatch.Observer.
func (d *Dispatcher) Follow(
	ctx context.Context, id dispatch.AttemptID, task uint32, from uint64, emit func(offset uint64, piece []byte) error,
) error {
	t, err := d.task(ctx, id, task)
	if err != nil {
		return err
	}
	buf := make([]byte, dispatch.MaxLogPiece)
	for {
		ended := t.over(task) // before reading, so that nothing is missed
		at, n, err := readLog(taskDir(t.dir, task), from, buf)
		if err != nil {
			return fmt.Errorf("log of task %d of attempt %s: %w", task, id, err)
		}
		switch {
		case n > 0:
			if err := emit(at, buf[:n]); err != nil {
				return err
			}
			from = at + uint64(n)
			if err := ctx.Err(); err != nil {
				return err
			}
		case ended:
			return nil
		case !sleep(ctx, lookAgain):
			return ctx.Err()
		}
	}
}

// over reports whether a task will write nothing more.
func (t *attempt) over(task uint32) bool {
	_, finished := t.tasks.Of(task)
	return finished || t.tasks.Ended()
}

// Stats implements dispatch.Observer.
func (d *Dispatcher) Stats(ctx context.Context, id dispatch.AttemptID, task uint32) (dispatch.Stats, error) {
	t, err := d.task(ctx, id, task)
	if err != nil {
		return dispatch.Stats{}, err
	}
	now := dispatch.Stats{At: time.Now().UTC()}
	if t.over(task) {
		now.Over = true
		out, _ := t.tasks.Of(task)
		now.Started = out.Started
		return now, nil
	}
	if t.assignment.Engine == dispatch.EngineDocker && d.docker != nil {
		return d.docker.Stats(ctx, docker.Task{Assignment: t.assignment, Number: task})
	}
	now.Started, now.Running = t.beganAt(task)
	return now, nil
}

// Exec implements dispatch.Executor.
func (d *Dispatcher) Exec(ctx context.Context, id dispatch.AttemptID, task uint32, c dispatch.Command) (uint32, error) {
	t, err := d.task(ctx, id, task)
	switch {
	case err != nil:
		return 0, err
	case !t.assignment.Exec:
		return 0, fmt.Errorf("attempt %s: %w", id, dispatch.ErrNoExec)
	case d.docker == nil:
		return 0, docker.ErrNone
	}
	return d.docker.Exec(ctx, docker.Task{Assignment: t.assignment, Number: task}, c)
}
