package simulation

import (
	"context"
	"fmt"
	"strings"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
)

// mostHeld is more seconds than a slice of a service holds money for in a simulation.
const mostHeld = 40 * 3_600

// submitService makes a service of the job that a message asks for.
func submitService(
	from simsx.SimAccount, msg *types.MsgSubmitJob, r *simsx.XRand, reporter simsx.SimulationReporter,
) ([]simsx.SimAccount, *types.MsgSubmitJob) {
	msg.Type, msg.Tasks, msg.MaxDuration = types.JOB_TYPE_SERVICE, 0, 0
	msg.Replicas, msg.FundedTime = r.Uint32InRange(1, 5), mostHeld+r.Uint64InRange(0, 100*3_600)
	msg.KeepsVolumes = r.Intn(2) == 0
	for i := range r.Intn(3) {
		port := types.Port{Name: fmt.Sprintf("p%d", i), ContainerPort: uint32(80 + i), Protocol: types.PROTOCOL_TCP}
		if r.Intn(4) == 0 {
			port.HostPort = uint32(20_000 + i)
		}
		msg.Ports = append(msg.Ports, port)
	}
	p := types.DefaultParams()
	p.Fee = types.BasisPoints // params may have raised the fee
	budget, err := p.ServiceBudget(msg)
	if err != nil {
		reporter.Fail(err)
		return nil, nil
	}
	if !from.LiquidBalance().BlockAmount(escrowtypes.Coin(budget)) {
		reporter.Skip("the wallet cannot pay the service")
		return nil, nil
	}
	return []simsx.SimAccount{from}, msg
}

// MsgUpdateServiceFactory gives a service one of a few revisions.
func MsgUpdateServiceFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgUpdateService] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgUpdateService) {
		spec := "sha256:" + strings.Repeat(simsx.OneOf(data.Rand(), []string{"a", "b"}), 64)
		owner, job := anyJob(ctx, k, data, reporter, func(job types.Job) bool {
			return affords(ctx, k, job, 1) && job.Service.Target.SpecDigest != spec
		})
		if reporter.IsSkipped() {
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgUpdateService{Owner: job.Owner, JobId: job.Id, SpecDigest: spec, ImageDigest: digest}
	}
}

// MsgScaleServiceFactory changes the replicas of a service by one.
func MsgScaleServiceFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgScaleService] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgScaleService) {
		owner, job := anyJob(ctx, k, data, reporter, func(job types.Job) bool { return affords(ctx, k, job, 5) })
		if reporter.IsSkipped() {
			return nil, nil
		}
		replicas := job.Service.Wanted + 1
		if job.Service.Wanted > 1 && data.Rand().Intn(2) == 0 || job.Service.Wanted >= 5 {
			replicas = job.Service.Wanted - 1
		}
		return []simsx.SimAccount{owner}, &types.MsgScaleService{Owner: job.Owner, JobId: job.Id, Replicas: replicas}
	}
}

// affords tells whether a job is a service that goes on and whose pool lets more slices hold money.
func affords(ctx context.Context, k keeper.Keeper, job types.Job, slices uint32) bool {
	if !job.IsService() || job.CancelledTime != 0 {
		return false
	}
	p, err := k.Params(ctx)
	if err != nil {
		return false
	}
	terms, err := types.TermsOf(job.PriceCap, p.HeldSeconds(), p.Fee)
	if err != nil {
		return false
	}
	if terms, err = terms.Times(slices); err != nil {
		return false
	}
	sum, err := terms.Sum()
	return err == nil && sum <= job.Service.Pool
}
