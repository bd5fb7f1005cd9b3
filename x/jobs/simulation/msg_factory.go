// Package simulation makes random messages of x/jobs for simulations of the whole chain.
package simulation

import (
	"context"
	"fmt"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// digest stands for an image that nobody fetches in a simulation.
const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// MsgSubmitJobFactory submits small jobs that the wallet can pay, some of them periodic, some of them services.
func MsgSubmitJobFactory() simsx.SimMsgFactoryFn[*types.MsgSubmitJob] {
	return func(_ context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgSubmitJob) {
		from := data.AnyAccount(reporter, simsx.WithDenomBalance(escrowtypes.Denom))
		if reporter.IsSkipped() {
			return nil, nil
		}
		r := data.Rand()
		tasks := r.Uint32InRange(1, 20)
		if r.Intn(5) == 0 {
			tasks = r.Uint32InRange(1, 600)
		}
		engine := nodestypes.ENGINE_WASM
		if r.Intn(4) == 0 {
			engine = nodestypes.ENGINE_DOCKER
		}
		msg := &types.MsgSubmitJob{
			Owner:       from.AddressBech32,
			Salt:        fmt.Sprintf("sim-%d", r.Int63()),
			Type:        types.JOB_TYPE_BATCH,
			Engine:      engine,
			SpecDigest:  digest,
			ImageDigest: digest,
			Tasks:       tasks,
			Resources:   nodestypes.Resources{CpuMilli: r.Uint64InRange(100, 2000), MemoryMib: r.Uint64InRange(16, 1024)},
			PriceCap:    r.Uint64InRange(1, 20_000),
			MaxDuration: r.Uint64InRange(60, 4000),
			Deadline:    r.Uint64InRange(30, 100_000),
		}
		times := uint64(1)
		if r.Intn(5) == 0 {
			return submitService(from, msg, r, reporter)
		}
		if r.Intn(6) == 0 {
			msg.Type, msg.Tasks, msg.Runs = types.JOB_TYPE_PERIODIC, r.Uint32InRange(1, 5), r.Uint32InRange(1, 4)
			msg.Schedule = simsx.OneOf(r, []string{"*/10 * * * *", "@hourly", "30 2 * * *"})
			msg.TimeZone = simsx.OneOf(r, []string{"", "CET-1CEST,M3.5.0,M10.5.0/3"})
			msg.Overlap = simsx.OneOf(r, []types.Overlap{types.OVERLAP_FORBID, types.OVERLAP_ALLOW, types.OVERLAP_REPLACE})
			times = uint64(msg.Runs)
		}
		part, err := types.TermsOf(msg.PriceCap, msg.MaxDuration, types.BasisPoints) // params may have raised the fee
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		total, err := part.Times(msg.Tasks)
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		if !from.LiquidBalance().BlockAmount(escrowtypes.Coin((total.Budget + total.Fee + types.DefaultParams().RunFee) * times)) {
			reporter.Skip("the wallet cannot pay the job")
			return nil, nil
		}
		return []simsx.SimAccount{from}, msg
	}
}

// MsgCancelJobFactory cancels an open job.
func MsgCancelJobFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgCancelJob] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgCancelJob) {
		owner, job := anyJob(ctx, k, data, reporter, func(job types.Job) bool { return job.CancelledTime == 0 })
		if reporter.IsSkipped() {
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgCancelJob{Owner: job.Owner, JobId: job.Id}
	}
}

// MsgTopUpJobFactory pays for more runs of a periodic job.
func MsgTopUpJobFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgTopUpJob] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgTopUpJob) {
		res, err := keeper.NewQueryServer(k).PeriodicJobs(ctx, &types.QueryPeriodicJobsRequest{})
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		var jobs []types.PeriodicJob
		for _, job := range res.Jobs {
			if job.Status != types.PERIODIC_STATUS_ENDED && data.HasAccount(job.Owner) {
				jobs = append(jobs, job)
			}
		}
		if len(jobs) == 0 {
			reporter.Skip("no periodic job")
			return nil, nil
		}
		job := simsx.OneOf(data.Rand(), jobs)
		owner, amount := data.GetAccount(reporter, job.Owner), data.Rand().Uint64InRange(1, 1_000_000)
		if !owner.LiquidBalance().BlockAmount(escrowtypes.Coin(amount)) {
			reporter.Skip("the wallet cannot pay")
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgTopUpJob{Owner: job.Owner, JobId: job.Id, Amount: amount}
	}
}

// MsgAcceptResultFactory accepts what is reported of a job.
func MsgAcceptResultFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgAcceptResult] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgAcceptResult) {
		owner, job := anyJob(ctx, k, data, reporter, func(job types.Job) bool { return job.Counts.Reported > 0 })
		if reporter.IsSkipped() {
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgAcceptResult{Owner: job.Owner, JobId: job.Id}
	}
}

// MsgClaimTimeoutFactory claims a slice that is due; rare, because EndBlock comes first.
func MsgClaimTimeoutFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgClaimTimeout] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgClaimTimeout) {
		owner, job := anyJob(ctx, k, data, reporter, func(job types.Job) bool { return job.OpenSlices > 0 })
		if reporter.IsSkipped() {
			return nil, nil
		}
		id, err := escrowtypes.ParseID(types.JobHRP, job.Id)
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		now := simsx.BlockTime(ctx).Unix()
		for number := range job.NextSlice {
			s, err := k.Slice(ctx, id, number)
			if err != nil {
				reporter.Fail(err)
				return nil, nil
			}
			if !s.Status.Final() && s.Due <= now {
				return []simsx.SimAccount{owner}, &types.MsgClaimTimeout{Sender: job.Owner, JobId: job.Id, Slices: []uint64{uint64(number)}}
			}
		}
		reporter.Skip("no slice is due")
		return nil, nil
	}
}

// MsgUpdateParamsFactory lets governance change what it may.
func MsgUpdateParamsFactory() simsx.SimMsgFactoryFn[*types.MsgUpdateParams] {
	return func(_ context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgUpdateParams) {
		r := data.Rand()
		params := types.DefaultParams()
		params.Fee = r.Uint32InRange(0, 500)
		params.Collateral = r.Uint32InRange(0, 6000)
		params.AcceptWindow = r.Uint64InRange(0, 7200)
		params.MaxAttempts = r.Uint32InRange(1, 5)
		params.MaxRunsPerBlock = r.Uint32InRange(1, 50)
		params.MaxSlicesPerBlock = r.Uint32InRange(1, 2000)
		params.ServiceEpoch = r.Uint64InRange(4*3600, 8*3600) // hours pass between the blocks of a simulation
		params.ServiceWindow = params.ServiceEpoch
		params.ServiceStart = params.HeldSeconds() + r.Uint64InRange(0, 24*3600)
		params.ServiceHandover = params.HeldSeconds()
		params.ServiceStay = params.ServiceHandover + params.ServiceStart
		params.ProfileGrades = nil
		return nil, &types.MsgUpdateParams{Authority: data.ModuleAccountAddress(reporter, "gov"), Params: params}
	}
}

// anyJob picks an open job that meets a condition, and its owner.
func anyJob(
	ctx context.Context, k keeper.Keeper, data *simsx.ChainDataSource, reporter simsx.SimulationReporter, wanted func(types.Job) bool,
) (simsx.SimAccount, types.Job) {
	res, err := keeper.NewQueryServer(k).Jobs(ctx, &types.QueryJobsRequest{Status: types.JOB_STATUS_OPEN})
	if err != nil {
		reporter.Fail(err)
		return simsx.SimAccount{}, types.Job{}
	}
	var jobs []types.Job
	for _, job := range res.Jobs {
		if wanted(job) && data.HasAccount(job.Owner) {
			jobs = append(jobs, job)
		}
	}
	if len(jobs) == 0 {
		reporter.Skip("no such job")
		return simsx.SimAccount{}, types.Job{}
	}
	job := simsx.OneOf(data.Rand(), jobs)
	return data.GetAccount(reporter, job.Owner), job
}
