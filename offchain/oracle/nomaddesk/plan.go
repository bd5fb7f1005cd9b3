package nomaddesk

import (
	"fmt"
	"math"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// plannedJob stands for the id that a job gets when it is submitted.
const plannedJob = "job1planned"

// Planned is the Nomad job that the first slice of a job would become on a node. The real one differs in the job's id and has a deadline.
func Planned(spec jobfile.Spec, node nodestypes.Node, m nomad.Machine, contentURL string, runner nomad.Image) (*nomad.Plan, error) {
	if spec.Engine != jobfile.EngineWASM {
		return nil, fmt.Errorf("%w: engine %q does not run under Nomad; use %q", dispatch.ErrInvalidAssignment, spec.Engine, jobfile.EngineWASM)
	}
	place, err := placement(node, time.Time{})
	if err != nil {
		return nil, err
	}
	content, err := client.New(contentURL)
	if err != nil {
		return nil, err
	}
	if uint64(spec.Memory) > math.MaxUint32 || uint64(spec.Storage) > math.MaxUint32 || uint64(spec.CPU) > math.MaxUint32 {
		return nil, fmt.Errorf("%w: the job asks for more than any machine has", dispatch.ErrInvalidAssignment)
	}
	a := dispatch.Assignment{
		ID: dispatch.AttemptID{Job: plannedJob, Attempt: 1}, Tasks: min(spec.Tasks, dispatch.MaxTasks), JobTasks: spec.Tasks,
		Engine: spec.Engine, Module: spec.Module, ModulePath: content.BlobURL(client.RepoModules, spec.Module),
		Inputs: spec.Inputs, Args: spec.Args, Env: spec.Env,
		CPUMilli: uint32(spec.CPU), MemoryMiB: uint32(spec.Memory), StorageMiB: uint32(spec.Storage),
		MaxDuration: time.Duration(spec.MaxDuration) * time.Second,
	}
	where := nomad.Content{Module: nomad.Source{URL: a.ModulePath}}
	if !a.Inputs.IsZero() {
		a.InputsDir = content.BlobURL(client.RepoInputs, a.Inputs)
		where.Inputs = nomad.Source{URL: a.InputsDir}
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	return nomad.NewPlan(a, place, m, where, runner)
}
