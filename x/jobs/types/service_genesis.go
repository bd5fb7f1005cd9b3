package types

// validateServices checks that services and their slices fit together.
func (gs GenesisState) validateServices(jobs map[string]Job) error {
	type key struct {
		job    string
		number uint32
	}
	replicas := make(map[key]uint32)
	for i, job := range gs.Jobs {
		if job.IsService() != (job.Type == JOB_TYPE_SERVICE) {
			return ErrInvalidGenesis.Wrapf("jobs[%d].service: the job is %s", i, job.Type)
		}
		if !job.IsService() {
			continue
		}
		svc := job.Service
		if len(svc.Replicas) > MaxReplicas || svc.Wanted == 0 || svc.Wanted > MaxReplicas {
			return ErrInvalidGenesis.Wrapf("jobs[%d].service: %d replicas, %d wanted; at most %d", i, len(svc.Replicas), svc.Wanted, MaxReplicas)
		}
		if err := validatePorts(svc.Ports); err != nil {
			return ErrInvalidGenesis.Wrapf("jobs[%d].service: %s", i, err)
		}
		if ending := svc.End != CLOSE_REASON_UNSPECIFIED; ending != (job.CancelledTime != 0) {
			return ErrInvalidGenesis.Wrapf("jobs[%d].service.end: %s, but cancelled_time is %d", i, svc.End, job.CancelledTime)
		}
		for n, replica := range svc.Replicas {
			for _, number := range replica.Slices() {
				replicas[key{job.Id, number}] = uint32(n)
			}
		}
	}
	open := make(map[key]bool, len(replicas))
	for i, s := range gs.Slices {
		job := jobs[s.JobId]
		if job.IsService() != (s.Serving != nil) {
			return ErrInvalidGenesis.Wrapf("slices[%d].serving: the job is %s", i, job.Type)
		}
		if s.Serving == nil || s.Status.Final() || job.CancelledTime != 0 {
			continue
		}
		k := key{s.JobId, s.Number}
		if replica, found := replicas[k]; !found || replica != s.FirstTask || s.TaskCount != 1 {
			return ErrInvalidGenesis.Wrapf("slices[%d]: no replica of %s has it as number %d", i, s.JobId, s.FirstTask)
		}
		open[k] = true
	}
	for k := range replicas {
		if jobs[k.job].CancelledTime == 0 && !open[k] {
			return ErrInvalidGenesis.Wrapf("jobs: slice %d of %s is in a replica and not open", k.number, k.job)
		}
	}
	seen := make(map[string]bool, len(gs.Changing))
	for i, id := range gs.Changing {
		if job := jobs[id]; !job.IsService() || seen[id] {
			return ErrInvalidGenesis.Wrapf("changing[%d]: %s is no service, or there twice", i, quote(id))
		}
		seen[id] = true
	}
	return nil
}
