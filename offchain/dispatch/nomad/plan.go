package nomad

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Plan is the Nomad job of an attempt, for people to read.
type Plan struct {
	// JSON is the job as Nomad's HTTP API takes it, HCL the same as a job file.
	JSON json.RawMessage `json:"job"`
	HCL  string          `json:"hcl"`
	// Asked is set once a region was asked; then Failures holds, by group, why Nomad would not place it now, and Warnings what it remarks.
	Asked    bool              `json:"asked"`
	Failures map[string]string `json:"failures,omitempty"`
	Warnings string            `json:"warnings,omitempty"`

	job *api.Job
}

// NewPlan makes the job of an attempt without registering it.
func NewPlan(a dispatch.Assignment, p Placement, m Machine, c Content, image Image) (*Plan, error) {
	if err := m.fits(a); err != nil {
		return nil, err
	}
	job, err := Job(a, p, m, c, image)
	if err != nil {
		return nil, err
	}
	plan := &Plan{job: job}
	if plan.JSON, err = json.Marshal(job); err != nil {
		return nil, err
	}
	var hcl bytes.Buffer
	if err := WriteHCL(&hcl, job); err != nil {
		return nil, err
	}
	plan.HCL = hcl.String()
	return plan, nil
}

// Ask has a region say what it would do with the job; nothing is registered.
func (p *Plan) Ask(ctx context.Context, r Region) error {
	c, err := newClient(r)
	if err != nil {
		return err
	}
	resp, _, err := c.api.Jobs().PlanOpts(p.job, &api.PlanOptions{}, c.write(ctx, *p.job.Namespace))
	if err != nil {
		return c.wrap("plan the job", err)
	}
	p.Asked, p.Warnings = true, resp.Warnings
	for _, group := range slices.Sorted(maps.Keys(resp.FailedTGAllocs)) {
		if p.Failures == nil {
			p.Failures = map[string]string{}
		}
		p.Failures[group] = metricText(resp.FailedTGAllocs[group])
	}
	return nil
}

// MachineOf asks a region what the client of a node has.
func MachineOf(ctx context.Context, r Region, node string) (Machine, error) {
	c, err := newClient(r)
	if err != nil {
		return Machine{}, err
	}
	m, err := c.machine(ctx, node)
	if err != nil {
		return Machine{}, fmt.Errorf("the client of node %s: %w", node, err)
	}
	return m, nil
}
