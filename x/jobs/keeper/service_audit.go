package keeper

import (
	"context"
	"slices"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

// auditService compares a service with what its slices add up to, and returns what it holds beside them.
func (k Keeper) auditService(ctx context.Context, a *audit, id escrowtypes.ID, job types.Job, sum sums) error {
	svc := job.Service
	if job.Tasks != svc.Wanted || job.Counts.Sum() != uint64(sum.pending)+uint64(sum.matched) {
		a.broken("service %s: %d tasks of %d wanted replicas, counts add up to %d", job.Id, job.Tasks, svc.Wanted, job.Counts.Sum())
	}
	if svc.Rate != sum.rate {
		a.broken("service %s: its rate is %d, its slices say %d", job.Id, svc.Rate, sum.rate)
	}
	if job.Status != types.JOB_STATUS_OPEN {
		if svc.Pool != 0 || len(svc.Replicas) != 0 || svc.End == types.CLOSE_REASON_UNSPECIFIED {
			a.broken("service %s is closed with %d in its pool, %d replicas and the reason %s", job.Id, svc.Pool, len(svc.Replicas), svc.End)
		}
		return nil
	}
	if (svc.End != types.CLOSE_REASON_UNSPECIFIED) != (job.CancelledTime != 0) {
		a.broken("service %s: ends for %s, since %d", job.Id, svc.End, job.CancelledTime)
	}
	if job.CancelledTime != 0 {
		return nil
	}
	changes, err := k.changing.Has(ctx, id)
	if err != nil {
		return err
	}
	if !changes && len(svc.Replicas) > int(svc.Wanted) {
		a.broken("service %s has %d replicas of %d and is not to change", job.Id, len(svc.Replicas), svc.Wanted)
	}
	var numbers []uint32
	for i, replica := range svc.Replicas {
		for _, number := range replica.Slices() {
			numbers = append(numbers, number)
			s, err := k.Slice(ctx, id, number)
			if err != nil {
				return err
			}
			if s.Status.Final() || s.FirstTask != uint32(i) || s.TaskCount != 1 || s.Serving == nil {
				a.broken("service %s: slice %d, %s, of replica %d is in replica %d", job.Id, number, s.Status, s.FirstTask, i)
			}
		}
	}
	slices.Sort(numbers)
	if len(slices.Compact(numbers)) != int(job.OpenSlices) {
		a.broken("service %s: %d slices in replicas, %d are open", job.Id, len(numbers), job.OpenSlices)
	}
	return nil
}

// auditServing gathers the ports of a running slice of a service.
func (k Keeper) auditServing(ctx context.Context, a *audit, name string, job types.Job, key types.SliceKey, s types.Slice) error {
	a.serving++
	indexed, err := k.serving.Has(ctx, key)
	if err != nil {
		return err
	}
	if !indexed {
		a.broken("%s: not among what serves", name)
	}
	if len(s.Serving.Ports) != len(job.Service.Ports) {
		a.broken("%s: %d ports of %d", name, len(s.Serving.Ports), len(job.Service.Ports))
	}
	ports := types.HostPorts(s.Serving.Ports)
	for i, port := range ports {
		if want := job.Service.Ports[i].HostPort; want != 0 && port != want {
			a.broken("%s: port %d in the place of %d", name, port, want)
		}
	}
	l := a.running[s.NodeId]
	l.ports = append(l.ports, ports...)
	return nil
}
