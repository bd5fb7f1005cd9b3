package nomad

import (
	"context"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Probe is a bare client of one region, by which it is measured what the grid adds to it.
type Probe struct{ client *client }

// NewProbe prepares a client; nothing is sent yet.
func NewProbe(r Region) (*Probe, error) {
	c, err := newClient(r)
	return &Probe{c}, err
}

// Register creates the planned job under another id, which no dispatcher takes for an attempt's.
func (p *Probe) Register(ctx context.Context, plan *Plan, id string) error {
	job := *plan.job
	job.ID, job.Name = &id, &id
	_, err := p.client.register(ctx, &job)
	return err
}

// Began is when each task of a job began that has, by Nomad's account of its containers.
func (p *Probe) Began(ctx context.Context, namespace, job string) ([]time.Time, error) {
	list, _, err := p.client.allocations(ctx, namespace, job)
	if err != nil {
		return nil, err
	}
	var began []time.Time
	for _, a := range list {
		if state := a.TaskStates[taskName]; state != nil && !state.StartedAt.IsZero() {
			began = append(began, state.StartedAt)
		}
	}
	return began, nil
}

// AttemptBegan is Began of an attempt's job, if Nomad has it.
func (p *Probe) AttemptBegan(ctx context.Context, place Placement, id dispatch.AttemptID) ([]time.Time, error) {
	return p.Began(ctx, namespaceOf(place), JobID(id, place.Node))
}

// Purge removes a job with all that Nomad knows of it.
func (p *Probe) Purge(ctx context.Context, namespace, job string) error {
	if namespace == "" {
		namespace = api.DefaultNamespace
	}
	return p.client.deregister(ctx, namespace, job, true)
}
