package keeper

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"cosmossdk.io/collections"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// audit gathers what the records say, to compare it with indexes, ledger and nodes.
type audit struct {
	res types.QueryInvariantsResponse
	// collateral of open slices by provider, what runs by node.
	collateral map[string]uint64
	running    map[string]*load
	pending    uint64
	open       uint64
	openJobs   uint64
	matched    uint64
	serving    uint64
}

type load struct {
	resources nodestypes.Resources
	tasks     uint32
	ports     []uint32
}

func (a *audit) broken(format string, args ...any) {
	a.res.Broken = append(a.res.Broken, fmt.Sprintf(format, args...))
}

// Invariants recomputes counters, queue entries and money from all jobs and slices and names what is broken. Its work grows with the
// number of slices.
func (k Keeper) Invariants(ctx context.Context) (*types.QueryInvariantsResponse, error) {
	a := &audit{collateral: make(map[string]uint64), running: make(map[string]*load)}
	err := k.jobs.Walk(ctx, nil, func(id escrowtypes.ID, job types.Job) (bool, error) {
		a.res.Jobs++
		return false, k.auditJob(ctx, a, id, job)
	})
	if err != nil {
		return nil, err
	}
	if err := k.auditIndexes(ctx, a); err != nil {
		return nil, err
	}
	if err := k.auditProviders(ctx, a); err != nil {
		return nil, err
	}
	if err := k.auditNodes(ctx, a); err != nil {
		return nil, err
	}
	if err := k.auditPeriodic(ctx, a); err != nil {
		return nil, err
	}
	a.res.Holds = len(a.res.Broken) == 0
	return &a.res, nil
}

// sums are what the slices of a job add up to.
type sums struct {
	held     uint64
	open     uint32
	pending  uint32
	matched  uint32
	reported uint32
	paid     uint64
	fees     uint64
	// rate of the slices of a service in ufog an hour.
	rate uint64
}

func (k Keeper) auditJob(ctx context.Context, a *audit, id escrowtypes.ID, job types.Job) error {
	var sum sums
	err := k.slices.Walk(ctx, collections.NewPrefixedPairRange[escrowtypes.ID, uint32](id),
		func(key types.SliceKey, s types.Slice) (bool, error) {
			a.res.Slices++
			return false, k.auditSlice(ctx, a, &sum, job, key, s)
		})
	if err != nil {
		return err
	}
	if job.Id != id.Bech32(types.JobHRP) {
		a.broken("job %s is stored as %s", id.Bech32(types.JobHRP), job.Id)
	}
	var pool, burned uint64
	if job.IsService() {
		pool, burned = job.Service.Pool, job.Service.Burned
		if err := k.auditService(ctx, a, id, job, sum); err != nil {
			return err
		}
	} else if got := job.Counts.Sum(); got != uint64(job.Tasks) {
		a.broken("job %s: counts add up to %d of %d tasks", job.Id, got, job.Tasks)
	}
	if c := job.Counts; c.Pending != sum.pending || c.Matched != sum.matched || c.Reported != sum.reported {
		a.broken("job %s: counts say %d pending, %d matched, %d reported; the slices say %d, %d, %d", job.Id,
			c.Pending, c.Matched, c.Reported, sum.pending, sum.matched, sum.reported)
	}
	if job.OpenSlices != sum.open || (job.Status == types.JOB_STATUS_OPEN) != (sum.open > 0) {
		a.broken("job %s is %s with %d open slices; there are %d", job.Id, job.Status, job.OpenSlices, sum.open)
	}
	if job.Paid != sum.paid || job.Fees != sum.fees {
		a.broken("job %s: paid %d and fees %d; the slices add up to %d and %d", job.Id, job.Paid, job.Fees, sum.paid, sum.fees)
	}
	if job.Funded != job.Paid+job.Fees+job.Refunded+burned+pool+sum.held {
		a.broken("job %s: funded %d is not paid %d + fees %d + refunded %d + burned %d + pool %d + held %d", job.Id,
			job.Funded, job.Paid, job.Fees, job.Refunded, burned, pool, sum.held)
	}
	account, err := k.escrow.Account(ctx, escrowtypes.JobAccountID(id))
	if err != nil {
		a.broken("job %s: %s", job.Id, err)
		return nil
	}
	if account.Locked != sum.held+pool {
		a.broken("job %s: its account has %d locked, its slices hold %d and its pool has %d", job.Id, account.Locked, sum.held, pool)
	}
	if job.Status != types.JOB_STATUS_OPEN {
		return nil
	}
	a.openJobs++
	indexed, err := k.open.Has(ctx, id)
	if err != nil {
		return err
	}
	if !indexed {
		a.broken("job %s is not in the index of open jobs", job.Id)
	}
	return nil
}

func (k Keeper) auditSlice(ctx context.Context, a *audit, sum *sums, job types.Job, key types.SliceKey, s types.Slice) error {
	name := fmt.Sprintf("slice %d of %s", key.K2(), job.Id)
	if s.JobId != job.Id || s.Number != key.K2() || s.Number >= job.NextSlice {
		a.broken("%s: stored as slice %d of %s, next is %d", name, s.Number, s.JobId, job.NextSlice)
	}
	held, err := s.Held()
	if err != nil {
		a.broken("%s: %s", name, err)
	}
	sum.held += held
	sum.paid += s.Paid
	sum.fees += s.Fee
	if s.Rerun != nil {
		sum.paid += s.Rerun.Paid
		sum.fees += s.Rerun.Fee
	}
	if s.Status.Final() {
		a.auditFinal(name, s)
		return nil
	}
	sum.open++
	a.open++
	wakes, err := k.deadlines.Has(ctx, collections.Join(s.Wake, key))
	if err != nil {
		return err
	}
	if !wakes || s.Wake > s.Due {
		a.broken("%s: due at %d, woken at %d, which is later or has no entry", name, s.Due, s.Wake)
	}
	switch s.Status {
	case types.SLICE_STATUS_PENDING:
		sum.rate += job.PriceCap
		return k.auditPending(ctx, a, sum, name, key, s)
	case types.SLICE_STATUS_MATCHED:
		return k.auditMatched(ctx, a, sum, name, job, key, s)
	default:
		sum.reported += s.Succeeded + s.Failed
		a.collateral[s.Provider] += s.Collateral
	}
	return nil
}

func (a *audit) auditFinal(name string, s types.Slice) {
	if s.Due != 0 || s.Wake != 0 {
		a.broken("%s is %s and due at %d, woken at %d", name, s.Status, s.Due, s.Wake)
	}
	if s.Budget+s.FeeBudget != s.Paid+s.Fee+s.Refunded {
		a.broken("%s: budget %d + %d is not paid %d + fee %d + refunded %d", name, s.Budget, s.FeeBudget, s.Paid, s.Fee, s.Refunded)
	}
	if s.Collateral != s.CollateralReturned+s.CollateralBurned {
		a.broken("%s: collateral %d is not returned %d + burned %d", name, s.Collateral, s.CollateralReturned, s.CollateralBurned)
	}
	if s.Rerun != nil && len(s.Rerun.Withheld) != 0 {
		a.broken("%s is %s and withholds pay of %d tasks", name, s.Status, len(s.Rerun.Withheld))
	}
}

func (k Keeper) auditPending(ctx context.Context, a *audit, sum *sums, name string, key types.SliceKey, s types.Slice) error {
	a.pending++
	sum.pending += s.TaskCount
	a.auditParts(name, s)
	queued, err := k.pending.Has(ctx, collections.Join(s.QueuedHeight, key))
	if err != nil {
		return err
	}
	if !queued {
		a.broken("%s: not in the queue at height %d", name, s.QueuedHeight)
	}
	return nil
}

func (k Keeper) auditMatched(
	ctx context.Context, a *audit, sum *sums, name string, job types.Job, key types.SliceKey, s types.Slice,
) error {
	a.matched++
	sum.matched += s.TaskCount
	sum.rate += s.AgreedPrice
	a.collateral[s.Provider] += s.Collateral
	a.auditParts(name, s)
	l := a.running[s.NodeId]
	if l == nil {
		l = &load{}
		a.running[s.NodeId] = l
	}
	resources, err := l.resources.Add(types.TotalResources(job.Resources, s.TaskCount))
	if err != nil {
		return err
	}
	l.resources, l.tasks = resources, l.tasks+s.TaskCount
	node, err := nodestypes.ParseNodeID(s.NodeId)
	if err != nil {
		return err
	}
	indexed, err := k.running.Has(ctx, collections.Join(node, key))
	if err != nil {
		return err
	}
	if !indexed {
		a.broken("%s: not among what runs on %s", name, s.NodeId)
	}
	if s.Serving == nil {
		return nil
	}
	return k.auditServing(ctx, a, name, job, key, s)
}

func (a *audit) auditParts(name string, s types.Slice) {
	if _, err := s.TaskTerms(); err != nil {
		a.broken("%s: %s", name, err)
	}
	if s.Rerun != nil && len(s.Rerun.Withheld) != int(s.TaskCount) {
		a.broken("%s withholds pay of %d tasks and has %d", name, len(s.Rerun.Withheld), s.TaskCount)
	}
}

// auditIndexes compares sizes: every record's own entry was looked up before, so equal sizes mean equal sets.
func (k Keeper) auditIndexes(ctx context.Context, a *audit) error {
	deadlines, err := count(ctx, k.deadlines)
	if err != nil {
		return err
	}
	pending, err := count(ctx, k.pending)
	if err != nil {
		return err
	}
	running, err := count(ctx, k.running)
	if err != nil {
		return err
	}
	owned, err := count(ctx, k.byOwner)
	if err != nil {
		return err
	}
	open, err := count(ctx, k.open)
	if err != nil {
		return err
	}
	serving, err := count(ctx, k.serving)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		index     string
		have, all uint64
	}{
		{"deadlines", deadlines, a.open},
		{"queue", pending, a.pending},
		{"running slices", running, a.matched},
		{"jobs by owner", owned, a.res.Jobs},
		{"open jobs", open, a.openJobs},
		{"what serves", serving, a.serving},
	} {
		if c.have != c.all {
			a.broken("the index of %s has %d entries for %d records", c.index, c.have, c.all)
		}
	}
	return nil
}

func count[K any](ctx context.Context, set collections.KeySet[K]) (uint64, error) {
	var n uint64
	err := set.Walk(ctx, nil, func(K) (bool, error) {
		n++
		return false, nil
	})
	return n, err
}

// auditPeriodic wants an entry in the queue for each periodic job that is ACTIVE, and no other.
func (k Keeper) auditPeriodic(ctx context.Context, a *audit) error {
	var active, all uint64
	err := k.periodic.Walk(ctx, nil, func(id escrowtypes.ID, job types.PeriodicJob) (bool, error) {
		all++
		if job.Id != id.Bech32(types.JobHRP) {
			a.broken("periodic job %s is stored as %s", id.Bech32(types.JobHRP), job.Id)
		}
		if _, err := k.escrow.Account(ctx, escrowtypes.JobAccountID(id)); err != nil {
			a.broken("periodic job %s: %s", job.Id, err)
		}
		if job.Status != types.PERIODIC_STATUS_ACTIVE {
			return false, nil
		}
		active++
		queued, err := k.runQueue.Has(ctx, collections.Join(job.NextTime, id))
		if !queued {
			a.broken("periodic job %s is not in the queue at %d", job.Id, job.NextTime)
		}
		return false, err
	})
	if err != nil {
		return err
	}
	queue, err := count(ctx, k.runQueue)
	if err != nil {
		return err
	}
	owned, err := count(ctx, k.periodicByOwner)
	if err != nil {
		return err
	}
	if queue != active || owned != all {
		a.broken("%d periodic jobs, %d of them active; the indexes have %d and %d entries", all, active, owned, queue)
	}
	return nil
}

func (k Keeper) auditProviders(ctx context.Context, a *audit) error {
	for _, provider := range slices.Sorted(maps.Keys(a.collateral)) {
		id, err := providerAccount(provider)
		if err != nil {
			return err
		}
		account, err := k.escrow.Account(ctx, id)
		if err != nil {
			a.broken("provider %s: %s", provider, err)
			continue
		}
		if account.Locked < a.collateral[provider] {
			a.broken("provider %s has %d locked, its slices' collateral is %d", provider, account.Locked, a.collateral[provider])
		}
	}
	return nil
}

func (k Keeper) auditNodes(ctx context.Context, a *audit) error {
	for _, id := range slices.Sorted(maps.Keys(a.running)) {
		nodeID, err := nodestypes.ParseNodeID(id)
		if err != nil {
			return err
		}
		node, err := k.nodes.Node(ctx, nodeID)
		if err != nil {
			a.broken("node %s: %s", id, err)
			continue
		}
		if l := a.running[id]; node.Reserved != l.resources || node.RunningTasks != l.tasks {
			a.broken("node %s has %v reserved for %d tasks; its slices take %v for %d", id, node.Reserved, node.RunningTasks,
				l.resources, l.tasks)
		}
		ports := slices.Sorted(slices.Values(a.running[id].ports))
		if !slices.Equal(ports, node.PortsInUse) {
			a.broken("node %s has ports %v in use; its slices hold %v", id, node.PortsInUse, ports)
		}
	}
	return nil
}
