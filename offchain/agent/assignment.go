package agent

import (
	"context"
	"fmt"
	"os"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
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
	job := handover.Revised(resp.Job, slice)
	spec, err := a.spec(ctx, job)
	if err != nil {
		return dispatch.Assignment{}, nil, err
	}
	onSpec()
	out, err := handover.Assignment(job, slice, spec)
	if err != nil {
		return dispatch.Assignment{}, nil, err
	}
	var path string
	var release func()
	if out.Engine == dispatch.EngineDocker {
		path, release, err = a.fetch.image(ctx, a.cfg.Registry.ContentRepo(job.Owner, client.RepoImages, spec.Module), spec.Module)
	} else {
		path, release, err = a.fetch.blob(ctx, a.cfg.Registry.ContentRepo(job.Owner, client.RepoModules, spec.Module), spec.Module, 0)
	}
	if err != nil {
		return dispatch.Assignment{}, nil, err
	}
	held, out.ModulePath = append(held, release), path
	key, err := a.fillSecrets(ctx, &out, job.Owner, spec)
	if err != nil {
		return dispatch.Assignment{}, nil, err
	}
	switch {
	case spec.SealedInputs():
		if out.InputsDir, err = a.sealedInputs(ctx, out.ID, job.Owner, spec, key); err != nil {
			return dispatch.Assignment{}, nil, err
		}
	case !spec.Inputs.IsZero():
		dir, release, err := a.fetch.tree(ctx, a.cfg.Registry.ContentRepo(job.Owner, client.RepoInputs, spec.Inputs), spec.Inputs)
		if err != nil {
			return dispatch.Assignment{}, nil, err
		}
		held, out.InputsDir = append(held, release), dir
	}
	if err := out.Validate(); err != nil {
		return dispatch.Assignment{}, nil, handover.JobFault("%w", err)
	}
	return out, held, nil
}

// spec fetches and reads the spec that the job on chain names.
func (a *Agent) spec(ctx context.Context, job jobstypes.Job) (jobfile.Spec, error) {
	digest, err := handover.SpecDigest(job)
	if err != nil {
		return jobfile.Spec{}, err
	}
	path, release, err := a.fetch.blob(ctx, a.cfg.Registry.ContentRepo(job.Owner, client.RepoSpecs, digest), digest, jobfile.MaxSpecBytes)
	if err != nil {
		return jobfile.Spec{}, err
	}
	defer release()
	raw, err := os.ReadFile(path)
	if err != nil {
		return jobfile.Spec{}, err
	}
	return handover.Spec(digest, raw)
}
