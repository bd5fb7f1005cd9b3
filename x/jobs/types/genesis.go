package types

import (
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// DefaultGenesis has no jobs.
func DefaultGenesis() *GenesisState { return &GenesisState{Params: DefaultParams()} }

// Validate refuses a state in which records contradict each other; money is compared with the ledger by the invariants.
func (gs GenesisState) Validate() error {
	if err := gs.Params.Validate(); err != nil {
		return err
	}
	jobs := make(map[string]Job, len(gs.Jobs))
	for i, job := range gs.Jobs {
		if _, err := escrowtypes.ParseID(JobHRP, job.Id); err != nil {
			return ErrInvalidGenesis.Wrapf("jobs[%d].id: %s", i, err)
		}
		if _, twice := jobs[job.Id]; twice {
			return ErrInvalidGenesis.Wrapf("jobs[%d]: %s is there twice", i, job.Id)
		}
		if job.Status != JOB_STATUS_OPEN && job.Status != JOB_STATUS_CLOSED {
			return ErrInvalidGenesis.Wrapf("jobs[%d].status: %s", i, job.Status)
		}
		if !job.Engine.Known() {
			return ErrInvalidGenesis.Wrapf("jobs[%d].engine: %s", i, job.Engine)
		}
		if !job.IsService() && job.Counts.Sum() != uint64(job.Tasks) {
			return ErrInvalidGenesis.Wrapf("jobs[%d].counts: %d of %d tasks", i, job.Counts.Sum(), job.Tasks)
		}
		jobs[job.Id] = job
	}
	open, err := validateSlices(gs.Slices, jobs)
	if err != nil {
		return err
	}
	for i, job := range gs.Jobs {
		if job.OpenSlices != open[job.Id] {
			return ErrInvalidGenesis.Wrapf("jobs[%d].open_slices: %d; there are %d", i, job.OpenSlices, open[job.Id])
		}
	}
	if err := validatePeriodicJobs(gs.PeriodicJobs, jobs); err != nil {
		return err
	}
	if err := gs.validateServices(jobs); err != nil {
		return err
	}
	losses := make(map[string]bool, len(gs.NodeLosses))
	for i, loss := range gs.NodeLosses {
		if _, err := nodestypes.ParseNodeID(loss.NodeId); err != nil {
			return ErrInvalidGenesis.Wrapf("node_losses[%d].node_id: %s", i, err)
		}
		if losses[loss.NodeId] {
			return ErrInvalidGenesis.Wrapf("node_losses[%d]: %s is there twice", i, loss.NodeId)
		}
		losses[loss.NodeId] = true
	}
	return nil
}

func validatePeriodicJobs(periodic []PeriodicJob, jobs map[string]Job) error {
	seen := make(map[string]bool, len(periodic))
	for i, job := range periodic {
		if _, err := escrowtypes.ParseID(JobHRP, job.Id); err != nil {
			return ErrInvalidGenesis.Wrapf("periodic_jobs[%d].id: %s", i, err)
		}
		if _, isJob := jobs[job.Id]; isJob || seen[job.Id] {
			return ErrInvalidGenesis.Wrapf("periodic_jobs[%d]: %s is there twice", i, job.Id)
		}
		seen[job.Id] = true
		if job.Status <= PERIODIC_STATUS_UNSPECIFIED || job.Status > PERIODIC_STATUS_ENDED {
			return ErrInvalidGenesis.Wrapf("periodic_jobs[%d].status: %d", i, job.Status)
		}
		if active := job.Status == PERIODIC_STATUS_ACTIVE; active != (job.NextTime > 0) || job.NextTime < 0 {
			return ErrInvalidGenesis.Wrapf("periodic_jobs[%d].next_time: %d; the job is %s", i, job.NextTime, job.Status)
		}
		if job.Submission.Type != JOB_TYPE_PERIODIC || job.Submission.Owner != job.Owner {
			return ErrInvalidGenesis.Wrapf("periodic_jobs[%d].submission: of type %s and owner %s", i, job.Submission.Type, quote(job.Submission.Owner))
		}
		if _, err := ParseSchedule(job.Submission.Schedule, job.Submission.TimeZone); err != nil {
			return ErrInvalidGenesis.Wrapf("periodic_jobs[%d].submission: %s", i, err)
		}
	}
	for _, job := range jobs {
		if job.Parent != "" && !seen[job.Parent] {
			return ErrInvalidGenesis.Wrapf("jobs: %s is a run of %s, which is not there", job.Id, quote(job.Parent))
		}
	}
	return nil
}

// validateSlices returns the number of open slices of each job.
func validateSlices(slices []Slice, jobs map[string]Job) (map[string]uint32, error) {
	type key struct {
		job    string
		number uint32
	}
	seen := make(map[key]bool, len(slices))
	open := make(map[string]uint32, len(jobs))
	for i, s := range slices {
		job, found := jobs[s.JobId]
		if !found {
			return nil, ErrInvalidGenesis.Wrapf("slices[%d].job_id: no job %s", i, quote(s.JobId))
		}
		if seen[key{s.JobId, s.Number}] || s.Number >= job.NextSlice {
			return nil, ErrInvalidGenesis.Wrapf("slices[%d].number: %d of %s is there twice or not below %d", i, s.Number, s.JobId, job.NextSlice)
		}
		seen[key{s.JobId, s.Number}] = true
		if s.Status <= SLICE_STATUS_UNSPECIFIED || s.Status > SLICE_STATUS_EXPIRED {
			return nil, ErrInvalidGenesis.Wrapf("slices[%d].status: %d", i, s.Status)
		}
		if s.Status == SLICE_STATUS_MATCHED {
			if _, err := nodestypes.ParseNodeID(s.NodeId); err != nil {
				return nil, ErrInvalidGenesis.Wrapf("slices[%d].node_id: %s", i, err)
			}
		}
		if s.Status.Final() {
			continue
		}
		if s.Wake <= 0 || s.Wake > s.Due {
			return nil, ErrInvalidGenesis.Wrapf("slices[%d].wake: %d; it must be above zero and at most due, %d", i, s.Wake, s.Due)
		}
		open[s.JobId]++
	}
	return open, nil
}
