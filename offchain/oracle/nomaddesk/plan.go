package nomaddesk

import (
	"fmt"
	"math"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/jobfile"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// plannedJob stands for the id that a job gets when it is submitted.
const plannedJob = "job1planned"

// plannedPort is the first of those that stand for ports of the chain's choice.
const plannedPort = 20_000

// Where is a node's place in Nomad's terms, for a plan.
func Where(node nodestypes.Node) (nomad.Placement, error) { return placement(node, time.Time{}) }

// Planned is the Nomad job that the first slice of a job would become at a place; defaults are what its image says, if it has one. The real one differs in the
// job's id, has a deadline, and at a gateway a ticket.
func Planned(spec jobfile.Spec, defaults image.Defaults, place nomad.Placement, m nomad.Machine, content Shelf, runner nomad.Image) (*nomad.Plan, error) {
	if uint64(spec.Memory) > math.MaxUint32 || uint64(spec.Storage) > math.MaxUint32 || uint64(spec.CPU) > math.MaxUint32 {
		return nil, fmt.Errorf("%w: the job asks for more than any machine has", dispatch.ErrInvalidAssignment)
	}
	a := dispatch.Assignment{
		ID: dispatch.AttemptID{Job: plannedJob, Attempt: 1}, Tasks: min(spec.Tasks, dispatch.MaxTasks), JobTasks: spec.Tasks,
		Engine: spec.Engine, Module: spec.Module, ModulePath: content.at,
		Inputs: spec.Inputs, Args: spec.Args, Env: spec.Env,
		CPUMilli: uint32(spec.CPU), MemoryMiB: uint32(spec.Memory), StorageMiB: uint32(spec.Storage),
		MaxDuration: time.Duration(spec.MaxDuration) * time.Second,
	}
	if spec.Service != nil {
		ports := map[string]uint16{}
		for i, p := range spec.Service.Ports { // those that the chain would assign are not known
			ports[p.Name] = plannedPort + uint16(i)
		}
		service, err := spec.Service.Dispatch(ports)
		if err != nil {
			return nil, err
		}
		a.Service = service
		a.Tasks, a.JobTasks, a.MaxDuration = 1, 1, 0
	}
	if !a.Inputs.IsZero() {
		a.InputsDir = content.at
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	where, err := contents(a, content, defaults, Credentials{})
	if err != nil {
		return nil, err
	}
	return nomad.NewPlan(a, place, m, where, runner)
}
