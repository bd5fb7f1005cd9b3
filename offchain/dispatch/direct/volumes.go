package direct

import (
	"context"
	"errors"
	"fmt"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

var _ dispatch.Volumes = (*Dispatcher)(nil)

// replica is what the volumes of the service belong to.
func (s *service) replica() dispatch.Replica {
	return dispatch.Replica{Job: s.assignment.ID.Job, Task: s.assignment.FirstTask}
}

// claim waits until the attempt before has given the replica's volumes up.
func (s *service) claim(ctx context.Context, e engines) (release func(), err error) {
	if e.volumes == nil || len(s.assignment.Service.Volumes) == 0 || s.assignment.Service.InMemory {
		return func() {}, nil
	}
	s.disk = e.volumes
	return s.disk.Claim(ctx, s.replica())
}

// devices makes the volumes ready on disk; nil if they are memory. The kernel's devices are gone after a restart of the machine, so this is done
// before each start.
func (s *service) devices(ctx context.Context) (map[string]string, error) {
	if s.disk == nil {
		return nil, nil
	}
	a := s.assignment
	devices, err := s.disk.Attach(ctx, s.replica(), a.Service.Volumes, uint64(a.StorageMiB))
	switch {
	case err == nil:
		return devices, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, volume.ErrFull):
		return nil, dispatch.Failf(dispatch.ReasonBadImage, "%v; give back their sizes, or submit another service", err)
	}
	return nil, dispatch.NodeFailure("make the volumes", err)
}

// Volumes implements dispatch.Volumes.
func (d *Dispatcher) Volumes() ([]dispatch.Replica, error) {
	if d.volumes == nil {
		return nil, nil
	}
	kept, err := d.volumes.Kept()
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	return kept, nil
}

// Wipe implements dispatch.Volumes.
func (d *Dispatcher) Wipe(ctx context.Context, r dispatch.Replica) error {
	if err := ctx.Err(); err != nil || d.volumes == nil {
		return err
	}
	if err := d.volumes.Wipe(r); err != nil {
		return fmt.Errorf("wipe volumes of %s, task %d: %w", r.Job, r.Task, err)
	}
	return nil
}
