package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

// Stats implements dispatch.Observer: what a task takes is what its runner measured last.
func (d *Dispatcher) Stats(ctx context.Context, id dispatch.AttemptID, task uint32) (dispatch.Stats, error) {
	t, err := d.task(ctx, id, task)
	if err != nil {
		return dispatch.Stats{}, err
	}
	now := dispatch.Stats{At: time.Now().UTC()}
	if out, finished := t.tasks.Of(task); finished || t.tasks.Ended() {
		now.Over, now.Started = true, out.Started
		return now, nil
	}
	list := t.byTask()[task]
	if len(list) == 0 {
		return now, nil
	}
	state := list[len(list)-1].TaskStates[taskName]
	if state == nil || state.State != "running" {
		return now, nil
	}
	now.Started, now.Running = state.StartedAt.UTC(), true
	raw, err := t.read(ctx, list[len(list)-1], runner.UsageFile, maxStateBytes)
	if errors.Is(err, errNotFound) || errors.Is(err, errResult) { // not measured yet, or just now
		return now, nil
	}
	if err != nil {
		return now, err
	}
	var used dispatch.Stats
	if err := json.Unmarshal(raw, &used); err != nil {
		return now, fmt.Errorf("figures of task %d of %s: %w", task, id, err)
	}
	used.Started, used.Running, used.Over, used.Measured = now.Started, true, false, true
	used.MemoryLimit = uint64(t.assignment.MemoryMiB) << 20
	if used.At.Before(used.Started) || used.At.After(now.At) { // the machine's clock is not this one's
		used.At = now.At
	}
	return used, nil
}
