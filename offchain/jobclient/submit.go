package jobclient

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Submitted is a job that is on chain.
type Submitted struct {
	JobID   string `json:"job_id"`
	Account string `json:"account"`
	// Funded is what was taken from the owner's wallet, in ufog.
	Funded uint64 `json:"funded"`
	// NextTime is the Unix second of a periodic job's next run.
	NextTime int64  `json:"next_time,omitempty"`
	Salt     string `json:"salt"`
	// Existed is true if the job had been submitted before, with this salt.
	Existed bool   `json:"existed"`
	Height  int64  `json:"height,omitempty"`
	TxHash  string `json:"tx_hash,omitempty"`
	GasUsed int64  `json:"gas_used,omitempty"`
}

// ErrSaltTaken is a salt that the owner has used for another job.
var ErrSaltTaken = errors.New("the salt belongs to another job of this owner; choose another one")

// NewSalt makes a salt that nobody has used.
func NewSalt() string {
	b := make([]byte, 12)
	rand.Read(b) // never fails: it ends the program instead
	return hex.EncodeToString(b)
}

// Message is the transaction's message that submits a packed job.
func Message(f *jobfile.File, p Packed, owner, salt string) (*jobstypes.MsgSubmitJob, error) {
	m := &jobstypes.MsgSubmitJob{
		Owner: owner, Salt: salt, Type: jobstypes.JOB_TYPE_BATCH, Engine: nodestypes.ENGINE_WASM,
		SpecDigest: p.SpecDigest.String(), ImageDigest: p.Module.String(), Tasks: f.Tasks,
		Resources: nodestypes.Resources{
			CpuMilli: uint64(f.Resources.CPU), MemoryMib: uint64(f.Resources.Memory), StorageMib: uint64(f.Resources.Storage),
			Gpus: uint64(f.Resources.GPUs),
		},
		Constraints: jobstypes.Constraints{
			Regions: f.Constraints.Regions, Datacenters: f.Constraints.Datacenters, Arch: f.Constraints.Arch, Os: f.Constraints.OS,
			MinCpuSingle: f.Constraints.MinCPUSingle, Nodes: f.Constraints.Nodes, ExcludeNodes: f.Constraints.ExcludeNodes,
			Where: where(f), Profile: f.ChainProfile(), MinGrade: f.Constraints.ChainGrade(),
		},
		PriceCap: uint64(f.Price.CapPerTaskHour), MaxDuration: uint64(f.MaxDuration), Deadline: uint64(f.Deadline), MinSuccess: f.Required(),
		Wishes: wishes(f.Wishes),
	}
	if f.Engine == jobfile.EngineDocker {
		m.Engine, m.Constraints.Arch = nodestypes.ENGINE_DOCKER, []string{p.Arch} // an image runs on one
	}
	for _, a := range f.Constraints.AttributeList() {
		m.Constraints.Attributes = append(m.Constraints.Attributes, nodestypes.Attribute{Key: a.Key, Value: a.Value})
	}
	switch f.Type {
	case jobfile.TypeService:
		asService(m, f)
		return m, nil
	case jobfile.TypeBatch:
		return m, nil
	}
	rule, err := f.Schedule.Rule()
	if err != nil {
		return nil, fmt.Errorf("schedule.time_zone %w", err)
	}
	m.Type, m.Schedule, m.TimeZone = jobstypes.JOB_TYPE_PERIODIC, f.Schedule.Cron, rule
	m.Overlap, m.Runs = overlaps[f.Schedule.Overlap], f.Schedule.Prepaid()
	return m, nil
}

// where is the condition on nodes. Those on Nomad get secrets only if the file says so, and run nothing that is encrypted.
func where(f *jobfile.File) string {
	own := jobfile.OneLine(f.Constraints.Where)
	if (len(f.Secrets) == 0 || f.SecretsOnNomad) && !f.Encrypt {
		return own
	}
	agents := fmt.Sprintf("!has(attr[%q])", handover.AttributeRegion)
	if own == "" {
		return agents
	}
	return "(" + own + ") && " + agents
}

var overlaps = map[string]jobstypes.Overlap{
	jobfile.OverlapForbid: jobstypes.OVERLAP_FORBID, jobfile.OverlapAllow: jobstypes.OVERLAP_ALLOW, jobfile.OverlapReplace: jobstypes.OVERLAP_REPLACE,
}

var spreads = map[string]jobstypes.Spread{
	jobfile.SpreadNode: jobstypes.SPREAD_NODE, jobfile.SpreadOwner: jobstypes.SPREAD_OWNER,
	jobfile.SpreadDatacenter: jobstypes.SPREAD_DATACENTER, jobfile.SpreadRegion: jobstypes.SPREAD_REGION,
}

// wishes in the message's form, nil if there are none.
func wishes(w jobfile.Wishes) *jobstypes.Wishes {
	if !w.Given() {
		return nil
	}
	out := &jobstypes.Wishes{
		Work: w.Work, FailureCost: uint64(w.FailureCost), LatencyPrice: uint64(w.LatencyPrice), Spread: spreads[w.Spread], Pack: uint64(w.Pack),
		PerNode: w.MaxPerNode, PerOwner: w.MaxPerOwner, Gang: w.Gang,
	}
	if w.Place != nil {
		out.Place = &nodestypes.Location{Latitude: w.Place.Latitude, Longitude: w.Place.Longitude}
	}
	for _, p := range w.Prefer {
		out.Prefer = append(out.Prefer, jobstypes.Preference{Where: jobfile.OneLine(p.Where), Weight: uint64(p.Weight)})
	}
	for _, a := range w.Affinity {
		out.Affinity = append(out.Affinity, jobstypes.Affinity{JobId: a.Job, Weight: uint64(a.Weight)})
	}
	for _, a := range w.AntiAffinity {
		out.Affinity = append(out.Affinity, jobstypes.Affinity{JobId: a.Job, Apart: true, Weight: uint64(a.Weight)})
	}
	return out
}

// Budget is what submitting the job takes from the owner's wallet, in ufog: cap × max_duration × tasks and the fee on it; of a periodic
// job that and the run fee for each run that is paid for.
func (c *Client) Budget(ctx context.Context, f *jobfile.File) (uint64, error) {
	params, err := jobstypes.NewQueryClient(c.Chain.Latest()).Params(ctx, &jobstypes.QueryParamsRequest{})
	if err != nil {
		return 0, err
	}
	if f.Type == jobfile.TypeService {
		return params.Params.ServiceBudget(&jobstypes.MsgSubmitJob{
			PriceCap: uint64(f.Price.CapPerTaskHour), FundedTime: uint64(f.FundedTime), Replicas: f.ReplicaCount(),
		})
	}
	one, err := jobstypes.TermsOf(uint64(f.Price.CapPerTaskHour), uint64(f.MaxDuration), params.Params.Fee)
	if err != nil {
		return 0, err
	}
	all, err := one.Times(f.Tasks)
	if err != nil {
		return 0, err
	}
	sum, err := all.Sum()
	if err != nil || f.Type != jobfile.TypePeriodic {
		return sum, err
	}
	if sum, err = escrowtypes.AddChecked(sum, params.Params.RunFee); err != nil {
		return 0, err
	}
	return escrowtypes.MulDiv(sum, uint64(f.Schedule.Prepaid()), 1)
}

// Submit puts a packed job on chain and funds it. The salt makes it idempotent: submitting the same job with the same salt again finds
// the first one.
func (c *Client) Submit(ctx context.Context, f *jobfile.File, p Packed, salt string) (Submitted, error) {
	owner, err := c.Chain.Codec().Accounts().StringToBytes(c.Sender.Address())
	if err != nil {
		return Submitted{}, err
	}
	msg, err := Message(f, p, c.Sender.Address(), salt)
	if err != nil {
		return Submitted{}, err
	}
	if err := msg.Validate(c.Chain.Codec().Accounts()); err != nil {
		return Submitted{}, err
	}
	id := jobstypes.JobID(owner, []byte(salt))
	out := Submitted{JobID: id.Bech32(jobstypes.JobHRP), Salt: salt}
	out.Account = escrowtypes.JobAccountID(id).Bech32(escrowtypes.AccountHRP)

	res, err := c.Sender.Send(ctx, msg)
	switch {
	case errors.Is(err, jobstypes.ErrJobExists):
		out.Existed = true
	case err != nil:
		return Submitted{}, err
	default:
		out.Height, out.TxHash, out.GasUsed = res.Height, res.Hash, res.GasUsed
	}
	equal, err := c.complete(ctx, &out, f, msg)
	if err != nil {
		return out, fmt.Errorf("%s is on chain but cannot be read: %w", out.JobID, err)
	}
	if out.Existed && !equal {
		return Submitted{}, fmt.Errorf("salt %q (%s): %w", salt, out.JobID, ErrSaltTaken)
	}
	return out, nil
}

// complete fills in what the chain says of a job, and tells whether it is what the message would submit.
func (c *Client) complete(ctx context.Context, out *Submitted, f *jobfile.File, msg *jobstypes.MsgSubmitJob) (equal bool, err error) {
	job, err := c.Job(ctx, out.JobID)
	if err == nil {
		out.Funded = job.Funded
		if job.IsService() {
			return msg.Type == jobstypes.JOB_TYPE_SERVICE && sameService(job, msg), nil
		}
		return msg.Type == jobstypes.JOB_TYPE_BATCH && same(job, msg), nil
	}
	if !errors.Is(err, ErrNoSuchJob) {
		return false, err
	}
	periodic, err := c.PeriodicJob(ctx, out.JobID)
	if err != nil {
		return false, err
	}
	if out.Funded, err = c.Budget(ctx, f); err != nil {
		return false, err
	}
	out.NextTime = periodic.NextTime
	return periodic.Submission.String() == msg.String(), nil
}

// same tells whether a job on chain is what a message would submit; deadlines are counted from the submission, so they are left out.
func same(job jobstypes.Job, msg *jobstypes.MsgSubmitJob) bool {
	return job.Engine == msg.Engine && job.SpecDigest == msg.SpecDigest && job.ImageDigest == msg.ImageDigest && job.Tasks == msg.Tasks &&
		job.MinSuccess == msg.MinSuccess && job.PriceCap == msg.PriceCap && job.MaxDuration == msg.MaxDuration &&
		job.Resources == msg.Resources && job.Constraints.String() == msg.Constraints.String() && job.Wishes.Equal(msg.Wishes)
}
