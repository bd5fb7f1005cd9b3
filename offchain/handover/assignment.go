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

// Revised is the job as a slice runs it: of a service the revision that the slice is of.
func Revised(job jobstypes.Job, slice jobstypes.Slice) jobstypes.Job {
	if slice.Serving != nil {
		job.SpecDigest, job.ImageDigest = slice.Serving.Revision.SpecDigest, slice.Serving.Revision.ImageDigest
	}
	return job
}

// tasksOf is how many tasks the spec of a job has: each replica of a service is one by itself.
func tasksOf(job jobstypes.Job) uint32 {
	if job.IsService() {
		return 1
	}
	return job.Tasks
}

// service is what a slice of a service has beyond a task, with the ports that the chain assigned.
func service(slice jobstypes.Slice, spec jobfile.Spec) (*dispatch.Service, error) {
	if (slice.Serving != nil) != (spec.Service != nil) {
		return nil, JobFault("the spec is of a service and the job on chain is not, or the other way about; push and submit the job again")
	}
	if slice.Serving == nil {
		return nil, nil
	}
	ports := map[string]uint16{}
	for _, p := range slice.Serving.Ports {
		ports[p.Name] = uint16(p.HostPort) //nolint:gosec // the chain gives ports of 16 bits
	}
	out, err := spec.Service.Dispatch(ports)
	if err != nil {
		return nil, JobFault("%w; push and submit the job again", err)
	}
	return out, nil
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
		{"tasks", spec.Tasks, tasksOf(job)},
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
	service, err := service(slice, spec)
	if err != nil {
		return dispatch.Assignment{}, err
	}
	var secrets []dispatch.Secret // their values are whose node it is to get
	for _, ref := range spec.Secrets {
		secrets = append(secrets, dispatch.Secret{Name: ref.Name, Path: ref.Path})
	}
	sealTo := ""
	if spec.Encrypt != nil {
		sealTo = spec.Encrypt.Recipient
	}
	tasks, limit := job.Tasks, time.Duration(slice.MaxDuration)*time.Second
	if service != nil { // replicas come and go, and a slice only says for how long its money lasts
		tasks, limit = slice.FirstTask+1, 0
		service.InMemory = len(service.Volumes) > 0 && !job.Service.KeepsVolumes
	}
	return dispatch.Assignment{
		ID:        ID(slice),
		FirstTask: slice.FirstTask, Tasks: slice.TaskCount, JobTasks: tasks, Service: service,
		Engine: spec.Engine, Module: spec.Module, Inputs: spec.Inputs, Args: spec.Args, Env: spec.Env, Secrets: secrets, SealTo: sealTo,
		CPUMilli: uint32(r.CpuMilli), MemoryMiB: uint32(r.MemoryMib), StorageMiB: uint32(r.StorageMib), GPUs: spec.GPUs, Exec: spec.Exec,
		MaxDuration: limit,
	}, nil
}
