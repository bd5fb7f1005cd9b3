package agent

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// releases gives cached content back.
type releases []func()

func (r releases) all() {
	for _, release := range r {
		release()
	}
}

// prepare fetches what a slice needs and builds its assignment. The chain says what runs, for how long and with what limits; the spec
// adds arguments, environment and inputs, and may not contradict it. onSpec is called once the registry has given the spec.
func (a *Agent) prepare(ctx context.Context, slice jobstypes.Slice, onSpec func()) (_ dispatch.Assignment, _ releases, err error) {
	var held releases
	defer func() {
		if err != nil {
			held.all()
		}
	}()
	resp, err := jobstypes.NewQueryClient(a.cfg.Chain.Latest()).Job(ctx, &jobstypes.QueryJobRequest{Id: slice.JobId})
	if err != nil {
		return dispatch.Assignment{}, nil, fmt.Errorf("job %s: %w", slice.JobId, err)
	}
	job := resp.Job
	spec, err := a.spec(ctx, job)
	if err != nil {
		return dispatch.Assignment{}, nil, err
	}
	onSpec()
	out, err := assignment(job, slice, spec)
	if err != nil {
		return dispatch.Assignment{}, nil, err
	}
	var path string
	var release func()
	if out.Engine == dispatch.EngineDocker {
		path, release, err = a.fetch.image(ctx, spec.Module)
	} else {
		path, release, err = a.fetch.blob(ctx, client.RepoModules, spec.Module, 0)
	}
	if err != nil {
		return dispatch.Assignment{}, nil, err
	}
	held, out.ModulePath = append(held, release), path
	if !spec.Inputs.IsZero() {
		dir, release, err := a.fetch.tree(ctx, client.RepoInputs, spec.Inputs)
		if err != nil {
			return dispatch.Assignment{}, nil, err
		}
		held, out.InputsDir = append(held, release), dir
	}
	if err := out.Validate(); err != nil {
		return dispatch.Assignment{}, nil, jobFault("%w", err)
	}
	return out, held, nil
}

// spec fetches and reads the spec that the job on chain names.
func (a *Agent) spec(ctx context.Context, job jobstypes.Job) (jobfile.Spec, error) {
	digest, err := artifact.ParseDigest(job.SpecDigest)
	if err != nil {
		return jobfile.Spec{}, jobFault("spec_digest: %w", err)
	}
	path, release, err := a.fetch.blob(ctx, client.RepoSpecs, digest, jobfile.MaxSpecBytes)
	if err != nil {
		return jobfile.Spec{}, err
	}
	defer release()
	raw, err := os.ReadFile(path)
	if err != nil {
		return jobfile.Spec{}, err
	}
	spec, err := jobfile.ParseSpec(raw)
	if err != nil {
		return jobfile.Spec{}, jobFault("spec %s: %w", digest, err)
	}
	return spec, nil
}

// assignment takes from the chain all that the chain knows, and from the spec the rest. Paths are still to be filled in.
func assignment(job jobstypes.Job, slice jobstypes.Slice, spec jobfile.Spec) (dispatch.Assignment, error) {
	r := job.Resources
	for _, c := range []struct {
		field       string
		spec, chain any
	}{
		{"engine", spec.Engine, jobclient.EngineName(job.Engine)},
		{"module", spec.Module.String(), job.ImageDigest},
		{"tasks", spec.Tasks, job.Tasks},
		{"cpu_milli", uint64(spec.CPU), r.CpuMilli},
		{"memory_mib", uint64(spec.Memory), r.MemoryMib},
		{"storage_mib", uint64(spec.Storage), r.StorageMib},
		{"gpus", uint64(spec.GPUs), r.Gpus},
		{"max_duration", uint64(spec.MaxDuration), job.MaxDuration},
	} {
		if c.spec != c.chain {
			return dispatch.Assignment{}, jobFault("the spec says %s %v, the job on chain %v; push and submit the job again", c.field, c.spec, c.chain)
		}
	}
	if r.CpuMilli > math.MaxUint32 || r.MemoryMib > math.MaxUint32 || r.StorageMib > math.MaxUint32 ||
		slice.MaxDuration > math.MaxInt64/uint64(time.Second) {
		return dispatch.Assignment{}, jobFault("the job asks for more than any machine has: %s, %d s", r.String(), slice.MaxDuration)
	}
	return dispatch.Assignment{
		ID:        dispatch.AttemptID{Job: slice.JobId, Slice: slice.Number, Attempt: slice.Attempt},
		FirstTask: slice.FirstTask, Tasks: slice.TaskCount, JobTasks: job.Tasks,
		Engine: spec.Engine, Module: spec.Module, Inputs: spec.Inputs, Args: spec.Args, Env: spec.Env,
		CPUMilli: uint32(r.CpuMilli), MemoryMiB: uint32(r.MemoryMib), StorageMiB: uint32(r.StorageMib),
		MaxDuration: time.Duration(slice.MaxDuration) * time.Second,
	}, nil
}
