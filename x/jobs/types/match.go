package types

import (
	"slices"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// CheckMatch returns the price per task-hour at which a node may run tasks of a pending slice, or ErrNoMatch with the reason.
// It is the whole rule at a Unix second, but for capacity and collateral, which depend on what else is matched.
func CheckMatch(p Params, job Job, slice Slice, node nodestypes.Node, now int64) (uint64, error) {
	switch {
	case job.Status != JOB_STATUS_OPEN || job.CancelledTime != 0:
		return 0, ErrNoMatch.Wrap("the job has ended")
	case slice.Status != SLICE_STATUS_PENDING:
		return 0, ErrNoMatch.Wrapf("slice is %s", slice.Status)
	case slice.Attempt >= p.MaxAttempts:
		return 0, ErrNoMatch.Wrapf("no attempt is left of %d", p.MaxAttempts)
	case node.Status != nodestypes.NODE_STATUS_ACTIVE:
		return 0, ErrNoMatch.Wrapf("node is %s", node.Status)
	case node.BenchmarkPending:
		return 0, ErrNoMatch.Wrap("node waits for a benchmark")
	case node.Owner == job.Owner:
		return 0, ErrNoMatch.Wrap("node belongs to the job's owner")
	case !node.Runs(job.Engine):
		return 0, ErrNoMatch.Wrapf("node does not run %s", job.Engine)
	case job.IsService() && job.Service.KeepsVolumes && !node.KeepsVolumes():
		return 0, ErrNoMatch.Wrap("node has no disk for volumes")
	case slices.Contains(slice.Excluded, node.Id):
		return 0, ErrNoMatch.Wrap("node had an earlier attempt")
	case slices.Contains(slice.ExcludedOwners, node.Owner):
		return 0, ErrNoMatch.Wrap("the node's owner ran the tasks before")
	}
	if err := job.Constraints.Check(node); err != nil {
		return 0, err
	}
	if want := p.MinGrade(job); node.Grade < want {
		return 0, ErrNoMatch.Wrapf("network grade is %s, not at least %s", node.Grade, want)
	}
	if err := p.checkStay(job, slice, node, now); err != nil {
		return 0, err
	}
	if job.IsService() {
		if _, err := node.AssignPorts(HostPorts(job.Service.Ports), 0); err != nil {
			return 0, ErrNoMatch.Wrap(err.Error())
		}
	}
	price, err := nodestypes.TaskHourPrice(node.Prices, job.Resources)
	if err != nil {
		return 0, ErrNoMatch.Wrapf("price: %s", err)
	}
	if price > job.PriceCap {
		return 0, ErrNoMatch.Wrapf("price %d is over the cap %d", price, job.PriceCap)
	}
	// The budget of a slice that was queued again can be smaller than the cap allows: what was freed may have been withdrawn.
	terms, err := TermsOf(price, slice.MaxDuration, p.Fee)
	if err != nil {
		return 0, err
	}
	need, err := terms.Sum()
	if err != nil {
		return 0, err
	}
	part, err := slice.TaskTerms()
	if err != nil {
		return 0, err
	}
	if have, err := part.Sum(); err != nil || need > have {
		return 0, ErrNoMatch.Wrapf("a task needs %d%s, its budget is %d", need, escrowtypes.Denom, have)
	}
	return price, nil
}
