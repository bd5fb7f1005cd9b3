package gateway

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// facts are what the chain says, which decisions rest on. What never changes is remembered.
type facts struct {
	chain jobclient.Chain
	jobs  *jobclient.Client
	now   func() time.Time

	mu     sync.Mutex
	owners map[string]string                   // of jobs
	inputs map[artifact.Digest]artifact.Digest // by spec
	// oracles are the addresses that may attest, as of read.
	oracles map[string]bool
	read    time.Time
}

const (
	maxRemembered = 1 << 16
	// oraclesFor is how long one who is no oracle any more may still act as one.
	oraclesFor = 30 * time.Second
)

func newFacts(c jobclient.Chain, reg *client.Client, now func() time.Time) *facts {
	return &facts{
		chain: c, jobs: &jobclient.Client{Chain: c, Registry: reg}, now: now,
		owners: map[string]string{}, inputs: map[artifact.Digest]artifact.Digest{},
	}
}

// jobOwner is "" for a job that there is not.
func (f *facts) jobOwner(ctx context.Context, id string) (string, error) {
	f.mu.Lock()
	owner, known := f.owners[id]
	f.mu.Unlock()
	if known {
		return owner, nil
	}
	owner, err := f.readOwner(ctx, id)
	if err != nil || owner == "" {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.owners) >= maxRemembered {
		clear(f.owners)
	}
	f.owners[id] = owner
	return owner, nil
}

func (f *facts) readOwner(ctx context.Context, id string) (string, error) {
	job, err := f.jobs.Job(ctx, id)
	if err == nil {
		return job.Owner, nil
	}
	if errors.Is(err, jobclient.ErrNoSuchJob) || isMalformed(err) {
		return "", nil
	}
	return "", err
}

// isMalformed tells an id that cannot be one from a chain that fails.
func isMalformed(err error) bool {
	var query *chain.QueryError
	return !errors.As(err, &query) && !errors.Is(err, chain.ErrUnavailable) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

func (f *facts) node(ctx context.Context, id string) (nodestypes.Node, error) {
	resp, err := nodestypes.NewQueryClient(f.chain.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: id})
	if err != nil {
		return nodestypes.Node{}, err
	}
	return resp.Node, nil
}

// isOracle tells whether an address is an active oracle's operator or feeder.
func (f *facts) isOracle(ctx context.Context, address string) (bool, error) {
	f.mu.Lock()
	fresh, found := f.now().Sub(f.read) < oraclesFor && f.oracles != nil, f.oracles[address]
	f.mu.Unlock()
	if fresh {
		return found, nil
	}
	queries := oracletypes.NewQueryClient(f.chain.Latest())
	list, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*oracletypes.QueryOraclesResponse, error) {
		return queries.Oracles(ctx, &oracletypes.QueryOraclesRequest{ActiveOnly: true, Pagination: page})
	}, func(r *oracletypes.QueryOraclesResponse) []oracletypes.Oracle { return r.Oracles })
	if err != nil {
		return false, err
	}
	oracles := map[string]bool{}
	for _, o := range list {
		oracles[o.Operator] = true
		if o.Feeder != "" {
			oracles[o.Feeder] = true
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.oracles, f.read = oracles, f.now()
	return oracles[address], nil
}

// place is what the name of a repository says.
type place struct {
	// owner and kind of dev/OWNER/KIND/DIGEST; kind is empty if the rest of the name has another form.
	owner, kind string
	digest      artifact.Digest
	// job, slice and attempt of results/JOB/s0-a1.
	job            string
	slice, attempt uint32
}

var resultName = regexp.MustCompile(`^results/(job1[a-z0-9]+)/s(0|[1-9][0-9]{0,9})-a(0|[1-9][0-9]{0,9})$`)

// parsePlace reads a repository's name, which has passed ref.CheckRepo.
func parsePlace(name string) place {
	if m := resultName.FindStringSubmatch(name); m != nil {
		slice, err1 := strconv.ParseUint(m[2], 10, 32)
		attempt, err2 := strconv.ParseUint(m[3], 10, 32)
		if err1 != nil || err2 != nil {
			return place{}
		}
		return place{job: m[1], slice: uint32(slice), attempt: uint32(attempt)}
	}
	parts := strings.Split(name, "/")
	if parts[0] != "dev" || len(parts) < 3 {
		return place{}
	}
	p := place{owner: parts[1]}
	if len(parts) == 4 {
		if d, err := artifact.ParseDigest("sha256:" + parts[3]); err == nil {
			p.kind, p.digest = parts[2], d
		}
	}
	return p
}

// ownerOf is the address to which a repository belongs, "" if to none.
func (f *facts) ownerOf(ctx context.Context, p place) (string, error) {
	switch {
	case p.job != "":
		return f.jobOwner(ctx, p.job)
	case p.owner != "":
		if _, err := f.chain.Codec().Accounts().StringToBytes(p.owner); err != nil {
			return "", nil
		}
	}
	return p.owner, nil
}

// view is what one request has asked of the chain about a node, so that asking for many repositories costs no more than for one.
type view struct {
	*facts
	read bool
	open []jobstypes.Slice
	jobs map[string]jobstypes.Job
}

func (f *facts) view() *view { return &view{facts: f, jobs: map[string]jobstypes.Job{}} }

func (v *view) job(ctx context.Context, id string) (jobstypes.Job, error) {
	job, known := v.jobs[id]
	if known {
		return job, nil
	}
	job, err := v.facts.jobs.Job(ctx, id)
	if err == nil {
		v.jobs[id] = job
	}
	return job, err
}

// assigned tells whether the chain has given an action on a repository to a subject now, and until when (zero: no end is known).
func (v *view) assigned(ctx context.Context, who access.Subject, p place, action string) (bool, time.Time, error) {
	if p.job != "" {
		return v.resultAssigned(ctx, who, p)
	}
	if who.Node == "" || p.kind == "" || action != registry.ActionPull {
		return false, time.Time{}, nil
	}
	if !v.read {
		open, err := v.running(ctx, who.Node)
		if err != nil {
			return false, time.Time{}, err
		}
		v.open, v.read = open, true
	}
	for _, s := range v.open {
		job, err := v.job(ctx, s.JobId)
		if err != nil {
			return false, time.Time{}, err
		}
		if job.Owner != p.owner {
			continue
		}
		has, err := v.contains(ctx, handover.Revised(job, s), p)
		if err != nil {
			return false, time.Time{}, err
		}
		if has {
			return true, dueOf(s), nil
		}
	}
	return false, time.Time{}, nil
}

// running are the slices that a node runs now.
func (f *facts) running(ctx context.Context, node string) ([]jobstypes.Slice, error) {
	queries := jobstypes.NewQueryClient(f.chain.Latest())
	all, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QuerySlicesResponse, error) {
		return queries.Slices(ctx, &jobstypes.QuerySlicesRequest{NodeId: node, Pagination: page})
	}, func(r *jobstypes.QuerySlicesResponse) []jobstypes.Slice { return r.Slices })
	if errors.Is(err, chain.ErrNotFound) {
		return nil, nil
	}
	var open []jobstypes.Slice
	for _, s := range all {
		if s.NodeId == node && f.runs(s) {
			open = append(open, s)
		}
	}
	return open, err
}

func (f *facts) runs(s jobstypes.Slice) bool {
	return s.Status == jobstypes.SLICE_STATUS_MATCHED && (s.Due == 0 || f.now().Before(dueOf(s)))
}

func dueOf(s jobstypes.Slice) time.Time {
	if s.Due == 0 {
		return time.Time{}
	}
	return time.Unix(s.Due, 0)
}

// contains tells whether a job's content is what a place names.
func (f *facts) contains(ctx context.Context, job jobstypes.Job, p place) (bool, error) {
	spec, program, name := job.SpecDigest, job.ImageDigest, p.digest.String()
	switch p.kind {
	case client.RepoSpecs:
		return name == spec, nil
	case client.RepoModules, client.RepoImages:
		return name == program, nil
	case client.RepoInputs:
		inputs, err := f.inputsOf(ctx, job.Owner, spec)
		return err == nil && !inputs.IsZero() && inputs == p.digest, err
	}
	return false, nil
}

// inputsOf reads the digest of a job's inputs out of its spec, zero if it has none or the registry has no such spec.
func (f *facts) inputsOf(ctx context.Context, owner, spec string) (artifact.Digest, error) {
	d, err := artifact.ParseDigest(spec)
	if err != nil {
		return artifact.Digest{}, nil
	}
	f.mu.Lock()
	inputs, known := f.inputs[d]
	f.mu.Unlock()
	if known {
		return inputs, nil
	}
	raw, err := f.jobs.Registry.ReadBlob(ctx, client.OwnedRepo(owner, client.RepoSpecs, d), d, jobfile.MaxSpecBytes)
	if errors.Is(err, client.ErrNotFound) || errors.Is(err, client.ErrTooLarge) {
		return artifact.Digest{}, nil
	}
	if err != nil {
		return artifact.Digest{}, fmt.Errorf("spec %s: %w", d, err)
	}
	s, err := jobfile.ParseSpec(raw)
	if err != nil {
		return artifact.Digest{}, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.inputs) >= maxRemembered {
		clear(f.inputs)
	}
	f.inputs[d] = s.Inputs
	return s.Inputs, nil
}

// spec reads the spec of a job of an owner.
func (f *facts) spec(ctx context.Context, owner, spec string) (jobfile.Spec, error) {
	d, err := artifact.ParseDigest(spec)
	if err != nil {
		return jobfile.Spec{}, err
	}
	raw, err := f.jobs.Registry.ReadBlob(ctx, client.OwnedRepo(owner, client.RepoSpecs, d), d, jobfile.MaxSpecBytes)
	if err != nil {
		return jobfile.Spec{}, err
	}
	return jobfile.ParseSpec(raw)
}

// resultAssigned tells whether this attempt runs now, on the node that asks; an oracle pushes results of nodes that Nomad serves.
func (f *facts) resultAssigned(ctx context.Context, who access.Subject, p place) (bool, time.Time, error) {
	s, assigned, err := f.attempt(ctx, who, p)
	if !assigned || err != nil {
		return false, time.Time{}, err
	}
	return true, dueOf(s), nil
}

// attempt finds the slice of an attempt that runs now, if the asker is not another node than its.
func (f *facts) attempt(ctx context.Context, who access.Subject, p place) (jobstypes.Slice, bool, error) {
	resp, err := jobstypes.NewQueryClient(f.chain.Latest()).Slice(ctx, &jobstypes.QuerySliceRequest{JobId: p.job, Number: p.slice})
	if errors.Is(err, chain.ErrNotFound) || errors.Is(err, chain.ErrInvalidRequest) {
		return jobstypes.Slice{}, false, nil
	}
	if err != nil {
		return jobstypes.Slice{}, false, err
	}
	s := resp.Slice
	return s, s.Attempt == p.attempt && f.runs(s) && (who.Node == "" || who.Node == s.NodeId), nil
}

// maxLogBytes of a task are kept beside its output, and maxManifestBytes for the manifest.
const (
	maxLogBytes      = 64 << 20
	maxManifestBytes = 4 << 20
)

// resultBytes is the most that the result of a slice takes: what each of its tasks may write, with names and padding, and its log.
func (f *facts) resultBytes(ctx context.Context, p place) (int64, error) {
	job, err := f.jobs.Job(ctx, p.job)
	if err != nil {
		return 0, err
	}
	resp, err := jobstypes.NewQueryClient(f.chain.Latest()).Slice(ctx, &jobstypes.QuerySliceRequest{JobId: p.job, Number: p.slice})
	if err != nil {
		return 0, err
	}
	const most = 1 << 30 // MiB of storage: no machine has more, and the sum stays in 64 bits
	output := int64(min(job.Resources.StorageMib, most)+1) << 21
	return int64(resp.Slice.TaskCount)*(output+maxLogBytes) + maxManifestBytes, nil
}
