package nomad

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Sweep ends the jobs of all regions that nobody wants: those whose attempt is not held here and of which wanted says so, and those whose deadline is
// over, held or not. Stopped jobs stay until Nomad collects them, so that their attempts cannot be registered again. It returns how many it ended.
// Errors of one job do not keep it from the others.
func (d *Dispatcher) Sweep(ctx context.Context, wanted func(context.Context, dispatch.AttemptID) (bool, error)) (ended int, err error) {
	for _, name := range slices.Sorted(maps.Keys(d.regions)) {
		r := d.regions[name]
		jobs, listErr := r.client.jobs(ctx, jobPrefix)
		err = errors.Join(err, listErr)
		for _, job := range jobs {
			if job.Stop {
				continue
			}
			orphan, jobErr := d.orphan(ctx, r, job, wanted)
			if jobErr == nil && orphan {
				if jobErr = r.client.deregister(ctx, job.Namespace, job.ID, false); jobErr == nil {
					ended++
					d.opts.Log.Info("ended a job that nobody wants", "region", name, "job", job.ID)
				}
			}
			err = errors.Join(err, jobErr)
		}
	}
	return ended, err
}

// orphan reports whether a job is to be ended. A job without readable meta is not ours, whatever its name.
func (d *Dispatcher) orphan(
	ctx context.Context, r *region, job *api.JobListStub, wanted func(context.Context, dispatch.AttemptID) (bool, error),
) (bool, error) {
	id, deadline, ok := readMeta(job.Meta)
	if !ok {
		return false, nil
	}
	if !deadline.IsZero() && time.Now().After(deadline) {
		return true, nil
	}
	if r.find(jobKey{job.Namespace, job.ID}) != nil {
		return false, nil
	}
	keep, err := wanted(ctx, id)
	if err != nil {
		return false, fmt.Errorf("is attempt %s wanted: %w", id, err)
	}
	return !keep, nil
}

func readMeta(meta map[string]string) (id dispatch.AttemptID, deadline time.Time, ok bool) {
	slice, sliceErr := strconv.ParseUint(meta[metaSlice], 10, 32)
	attempt, attemptErr := strconv.ParseUint(meta[metaAttempt], 10, 32)
	id = dispatch.AttemptID{Job: meta[metaJob], Slice: uint32(slice), Attempt: uint32(attempt)}
	if text := meta[metaDeadline]; text != "" {
		var err error
		if deadline, err = time.Parse(time.RFC3339, text); err != nil {
			return id, deadline, false
		}
	}
	return id, deadline, sliceErr == nil && attemptErr == nil && id.Validate() == nil
}
