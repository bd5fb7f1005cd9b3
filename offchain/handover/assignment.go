package handover

import (
	"math"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/jobfile"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// ID names the attempt that a slice is in.
func ID(slice jobstypes.Slice) dispatch.AttemptID {
	return dispatch.AttemptID{Job: slice.JobId, Slice: slice.Number, Attempt: slice.Attempt}
}

// Spec reads the spec of a job from its bytes.
func Spec(digest artifact.Digest, raw []byte) (jobfile.Spec, error) {
	spec, err := jobfile.ParseSpec(raw)
	if err != nil {
		return jobfile.Spec{}, JobFault("spec %s: %w", digest, err)
	}
	return spec, nil
}

// SpecDigest is the digest of a job's spec.
func SpecDigest(job jobstypes.Job) (artifact.Digest, error) {
	digest, err := artifact.ParseDigest(job.SpecDigest)
	if err != nil {
		return digest, JobFault("spec_digest: %w", err)
	}
	return digest, nil
}

// Assignment takes from the chain all that the chain knows, and from the spec the rest: arguments, environment and inputs. The spec may not
// contradict the chain. Paths are still to be filled in.
func Assignment(job jobstypes.Job, slice jobstypes.Slice, spec jobfile.Spec) (dispatch.Assignment, error) {
	r := job.Resources
	for _, c := range []struct {
		field       string
		spec, chain any
	}{
		{"engine", spec.Engine, jobfile.EngineName(job.Engine)},
		{"module", spec.Module.String(), job.ImageDigest},
		{"tasks", spec.Tasks, job.Tasks},
		{"cpu_milli", uint64(spec.CPU), r.CpuMilli},
		{"memory_mib", uint64(spec.Memory), r.MemoryMib},
		{"storage_mib", uint64(spec.Storage), r.StorageMib},
		{"gpus", uint64(spec.GPUs), r.Gpus},
		{"max_duration", uint64(spec.MaxDuration), job.MaxDuration},
	} {
		if c.spec != c.chain {
			return dispatch.Assignment{}, JobFault("the spec says %s %v, the job on chain %v; push and submit the job again", c.field, c.spec, c.chain)
		}
	}
	if r.CpuMilli > math.MaxUint32 || r.MemoryMib > math.MaxUint32 || r.StorageMib > math.MaxUint32 ||
		slice.MaxDuration > math.MaxInt64/uint64(time.Second) {
		return dispatch.Assignment{}, JobFault("the job asks for more than any machine has: %s, %d s", r.String(), slice.MaxDuration)
	}
	return dispatch.Assignment{
		ID:        ID(slice),
		FirstTask: slice.FirstTask, Tasks: slice.TaskCount, JobTasks: job.Tasks,
		Engine: spec.Engine, Module: spec.Module, Inputs: spec.Inputs, Args: spec.Args, Env: spec.Env,
		CPUMilli: uint32(r.CpuMilli), MemoryMiB: uint32(r.MemoryMib), StorageMiB: uint32(r.StorageMib),
		MaxDuration: time.Duration(slice.MaxDuration) * time.Second,
	}, nil
}
