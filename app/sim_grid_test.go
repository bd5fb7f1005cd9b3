package app_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand"
	"slices"

	"github.com/cosmos/gogoproto/proto"

	sdkmath "cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/query"
	simtypes "github.com/cosmos/cosmos-sdk/types/simulation"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/app"
	"github.com/foggrid/fogd/app/testapp/grid"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobskeeper "github.com/foggrid/fogd/x/jobs/keeper"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	"github.com/foggrid/fogd/x/oracle/simulation"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// simGrid is the part of the simulation that no module can do alone: oracles whose bonds escrow holds, and votes on what other
// modules ask. To the simulator it is one module more, the last.
type simGrid struct {
	app      *app.App
	attested simulation.Attested
}

var (
	_ module.AppModuleSimulation   = (*simGrid)(nil)
	_ simsx.HasWeightedOperationsX = (*simGrid)(nil)
)

// RegisterStoreDecoder has nothing to add to those of the modules.
func (*simGrid) RegisterStoreDecoder(simtypes.StoreDecoderRegistry) {}

// WeightedOperations is empty; see WeightedOperationsX.
func (*simGrid) WeightedOperations(module.SimulationState) []simtypes.WeightedOperation { return nil }

// WeightedOperationsX are attestations. All oracles should get to vote in each block, since hours pass until the next.
func (s *simGrid) WeightedOperationsX(weights simsx.WeightSource, reg simsx.Registry) {
	reg.Add(weights.Get("msg_oracle_attest", 800), simulation.MsgAttestFactory(s.app.OracleKeeper, s.observe, &s.attested))
}

// GenerateGenesisState bonds oracles, lets some providers have deposits, and stretches what happens within seconds over the hours
// between two blocks.
func (s *simGrid) GenerateGenesisState(state *module.SimulationState) {
	r := state.Rand
	oracle := simulation.RandomGenesis(r, state.Accounts)
	state.GenState[oracletypes.ModuleName] = state.Cdc.MustMarshalJSON(&oracle)

	total := sdkmath.ZeroInt()
	change(state, escrowtypes.ModuleName, func(escrow *escrowtypes.GenesisState) {
		escrow.Accounts = append(bonds(oracle.Oracles), deposits(r, state.Accounts)...)
		for _, account := range escrow.Accounts {
			total = total.Add(sdkmath.NewIntFromUint64(account.Balance))
		}
	})
	change(state, banktypes.ModuleName, func(bank *banktypes.GenesisState) {
		coins := sdk.NewCoins(sdk.NewCoin(escrowtypes.Denom, total))
		bank.Balances = append(bank.Balances, banktypes.Balance{
			Address: authtypes.NewModuleAddress(escrowtypes.ModuleName).String(), Coins: coins,
		})
		bank.Supply = bank.Supply.Add(coins...)
	})
	change(state, nodestypes.ModuleName, func(nodes *nodestypes.GenesisState) {
		nodes.Params.MinDeposit = uint64(simtypes.RandIntBetween(r, 1, 1_000_000))
		nodes.Params.BenchmarkWindow = seconds(r, 24)
		nodes.Params.LivenessEpoch = seconds(r, 6)
		nodes.Params.LostGrace = seconds(r, 6)
		nodes.Params.ModelWindow = seconds(r, 24)
		nodes.Params.ModelMinNodes = uint32(simtypes.RandIntBetween(r, 2, 16))
		nodes.Params.ProbationTasks = uint32(r.Intn(3))
	})
	change(state, jobstypes.ModuleName, func(jobs *jobstypes.GenesisState) {
		jobs.Params.MatchWindow = seconds(r, 24)
		jobs.Params.AcceptWindow = seconds(r, 12)
		jobs.Params.MaxSlicesPerBlock = uint32(simtypes.RandIntBetween(r, 5, 100))
		jobs.Params.ProfileGrades = nil
		jobs.Params.ServiceEpoch = 4*3_600 + seconds(r, 4)
		jobs.Params.ServiceWindow = jobs.Params.ServiceEpoch
		jobs.Params.ServiceStart = jobs.Params.HeldSeconds() + seconds(r, 24)
		jobs.Params.ServiceHandover = jobs.Params.HeldSeconds()
		jobs.Params.ServiceStay = jobs.Params.ServiceHandover + jobs.Params.ServiceStart
	})
}

func seconds(r *rand.Rand, hours int) uint64 {
	return uint64(simtypes.RandIntBetween(r, 1, hours*3_600))
}

// change edits a module's genesis state.
func change[T any, P interface {
	*T
	proto.Message
}](state *module.SimulationState, name string, edit func(P)) {
	genesis := P(new(T))
	state.Cdc.MustUnmarshalJSON(state.GenState[name], genesis)
	edit(genesis)
	state.GenState[name] = state.Cdc.MustMarshalJSON(genesis)
}

// bonds are the oracles' accounts in escrow.
func bonds(oracles []oracletypes.Oracle) []escrowtypes.Account {
	var accounts []escrowtypes.Account
	for _, o := range oracles {
		id := escrowtypes.OracleAccountID(sdk.MustAccAddressFromBech32(o.Operator))
		accounts = append(accounts, escrowtypes.Account{
			Id: id.Bech32(escrowtypes.AccountHRP), Owner: o.Operator, Kind: escrowtypes.ACCOUNT_KIND_ORACLE, Balance: o.Bond, Locked: o.Bond,
		})
	}

	return accounts
}

// deposits are those of some providers, in escrow.
func deposits(r *rand.Rand, owners []simtypes.Account) []escrowtypes.Account {
	var accounts []escrowtypes.Account
	for _, i := range r.Perm(len(owners))[:min(10, len(owners))] {
		id := escrowtypes.ProviderAccountID(owners[i].Address)
		accounts = append(accounts, escrowtypes.Account{
			Id: id.Bech32(escrowtypes.AccountHRP), Owner: owners[i].AddressBech32, Kind: escrowtypes.ACCOUNT_KIND_PROVIDER,
			Balance: uint64(simtypes.RandIntBetween(r, 1_000_000, 1_000_000_000)),
		})
	}

	return accounts
}

// observe is what the oracles see of a round's subject.
func (s *simGrid) observe(ctx context.Context, r *simsx.XRand, round oracletypes.Round, untrue bool) ([]byte, uint64, error) {
	var (
		seen  interface{ Marshal() ([]byte, error) }
		meter uint64
		err   error
	)
	switch round.Kind {
	case nodestypes.RoundKindBenchmark:
		seen, err = s.benchmark(ctx, round, untrue)
	case nodestypes.RoundKindLiveness:
		seen, err = s.liveness(ctx, round, untrue)
	case nodestypes.RoundKindModel:
		seen, err = s.model(ctx, round, untrue)
	case jobstypes.RoundKindMatches:
		seen, err = s.matches(ctx, r, round, untrue)
	case jobstypes.RoundKindServices:
		seen, err = s.services(ctx, round, untrue)
	case jobstypes.RoundKindOutcome:
		seen, meter, err = s.outcome(ctx, r, round, untrue)
	default:
		err = fmt.Errorf("rounds of kind %s are not simulated", round.Kind)
	}
	if err != nil {
		return nil, 0, err
	}
	body, err := seen.Marshal()

	return body, meter, err
}

// chance out of 100 that all oracles take alike.
func chance(round uint64, item uint32) int {
	sum := sha256.Sum256(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, round), item))

	return int(sum[0]) * 100 / 256
}

// benchmark: most machines are what they declare, some a little less, few are not there.
func (s *simGrid) benchmark(ctx context.Context, round oracletypes.Round, untrue bool) (*nodestypes.BenchmarkObservation, error) {
	id, _, err := nodestypes.DecodeBenchmarkSubject(round.Subject)
	if err != nil {
		return nil, err
	}
	node, err := s.app.NodesKeeper.Node(ctx, id)
	if err != nil {
		return nil, err
	}
	percent := uint64(100)
	switch c := chance(round.Id, 0); {
	case untrue || c < 4:
		percent = 50
	case c < 8:
		return &nodestypes.BenchmarkObservation{Unreachable: true}, nil
	case c < 20:
		percent = 80
	}
	m := node.Declared
	for _, figure := range []*uint64{&m.CpuSingle, &m.CpuAll, &m.MemoryMib, &m.MemoryBandwidth, &m.DiskRead, &m.StorageMib} {
		*figure = *figure * percent / 100
	}

	return &nodestypes.BenchmarkObservation{Measured: m}, nil
}

// liveness: few machines fail, most of these return, and some were restarted.
func (s *simGrid) liveness(ctx context.Context, round oracletypes.Round, untrue bool) (*nodestypes.LivenessObservation, error) {
	next, err := s.app.NodesKeeper.NextIndex.Get(ctx)
	if err != nil {
		return nil, err
	}
	var seen nodestypes.LivenessObservation
	for index := uint32(1); index < next; index++ {
		node, err := s.app.NodesKeeper.NodeByIndex(ctx, index)
		if err != nil {
			return nil, err
		}
		c := chance(round.Id, index)
		inactive := node.Status == nodestypes.NODE_STATUS_INACTIVE
		switch {
		case !node.Status.Live():
		case inactive && c < 60:
			seen.Up = append(seen.Up, index)
		case !inactive && (untrue || c < 4):
			seen.Down = append(seen.Down, index)
		case c >= 88 && c < 96:
			seen.Network = append(seen.Network, nodestypes.NetworkObservation{Index: index, RttUs: 1 + uint32(c)*uint32(round.Id%5_000), LossPpm: uint32(c)})
		case c >= 96:
			boot := sha256.Sum256(binary.BigEndian.AppendUint32(nil, uint32(round.Id)))
			seen.Restarted = append(seen.Restarted, nodestypes.Restart{Index: index, Boot: hex.EncodeToString(boot[:8])})
		}
	}

	return &seen, nil
}

// model tells two classes apart by chance. Its encoded form is opaque to the chain.
func (s *simGrid) model(ctx context.Context, round oracletypes.Round, untrue bool) (*nodestypes.ModelReport, error) {
	version, height, err := nodestypes.DecodeModelSubject(round.Subject)
	if err != nil {
		return nil, err
	}
	next, err := s.app.NodesKeeper.NextIndex.Get(ctx)
	if err != nil {
		return nil, err
	}
	report := &nodestypes.ModelReport{
		Version: version, Height: height, Model: []byte{1}, NextClass: 3, Classes: []nodestypes.Class{{Id: 1}, {Id: 2}},
	}
	if untrue {
		report.Model = []byte{0}
	}
	for _, class := range report.Classes {
		move := nodestypes.ClassMove{Class: class.Id}
		for index := uint32(1); index < next; index++ {
			if first := chance(round.Id, index) < 50; first == (class.Id == 1) {
				move.Nodes = append(move.Nodes, index)
			}
		}
		if len(move.Nodes) > 0 {
			report.Moves = append(report.Moves, move)
		}
	}

	return report, nil
}

// matches gives what waits to nodes that may run it, in turn from any of them. It keeps no account of what it gave away, so some items
// come too late.
func (s *simGrid) matches(ctx context.Context, r *simsx.XRand, round oracletypes.Round, untrue bool) (*jobstypes.MatchBatch, error) {
	height, err := jobstypes.DecodeMatchSubject(round.Subject)
	if err != nil {
		return nil, err
	}
	params, err := s.app.JobsKeeper.Params(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := s.app.NodesKeeper.Params.Get(ctx)
	if err != nil {
		return nil, err
	}
	next, err := s.app.NodesKeeper.NextIndex.Get(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := jobskeeper.NewQueryServer(s.app.JobsKeeper).Pending(ctx, &jobstypes.QueryPendingRequest{
		Pagination: &query.PageRequest{Limit: jobskeeper.MaxPageLimit},
	})
	if err != nil {
		return nil, err
	}
	batch := &jobstypes.MatchBatch{Height: height}
	for _, p := range waiting.Pending {
		for tried, first := uint32(0), r.Uint32(); next > 1 && tried < next-1 && len(batch.Items) < int(params.MaxBatchItems); tried++ {
			index := 1 + (first+tried)%(next-1)
			node, err := s.app.NodesKeeper.NodeByIndex(ctx, index)
			if err != nil {
				return nil, err
			}
			price, err := jobstypes.CheckMatch(params, p.Job, p.Slice, node, sdk.UnwrapSDKContext(ctx).BlockTime().Unix())
			if err != nil && !untrue {
				continue
			}
			count := min(p.Slice.TaskCount, 1+uint32(r.Intn(jobstypes.MaxSliceTasks)))
			if node.Statistics.Tasks < uint64(nodes.ProbationTasks) {
				count = 1
			}
			batch.Items = append(batch.Items, jobstypes.MatchItem{
				JobId: p.Job.Id, Slice: p.Slice.Number, Count: count, NodeIndex: index, Price: price,
			})

			break
		}
	}

	return batch, nil
}

// services: most slices of services do well.
func (s *simGrid) services(ctx context.Context, round oracletypes.Round, untrue bool) (*jobstypes.ServiceObservation, error) {
	answer, err := jobskeeper.NewQueryServer(s.app.JobsKeeper).Services(ctx, &jobstypes.QueryServicesRequest{})
	if err != nil {
		return nil, err
	}
	seen := &jobstypes.ServiceObservation{}
	for _, running := range answer.Services {
		item := jobstypes.ServiceItem{JobId: running.Job.Id, Slice: running.Slice.Number, Attempt: running.Slice.Attempt}
		switch c := chance(round.Id, running.Slice.Number); {
		case untrue || c < 10:
			seen.NotRunning = append(seen.NotRunning, item)
		case c < 25:
			seen.Unhealthy = append(seen.Unhealthy, item)
		default:
			seen.Started = append(seen.Started, item)
		}
	}
	for _, list := range [][]jobstypes.ServiceItem{seen.NotRunning, seen.Unhealthy, seen.Started} {
		slices.SortFunc(list, jobstypes.CompareServiceItems)
	}

	return seen, nil
}

// outcome: most slices succeed, some fail in any way.
func (s *simGrid) outcome(
	ctx context.Context, r *simsx.XRand, round oracletypes.Round, untrue bool,
) (*jobstypes.Outcome, uint64, error) {
	subject, err := jobstypes.DecodeOutcomeSubject(round.Subject)
	if err != nil {
		return nil, 0, err
	}
	slice, err := s.app.JobsKeeper.Slice(ctx, subject.Job, subject.Slice)
	if err != nil {
		return nil, 0, err
	}
	meter := uint64(r.Intn(int(2_000 * slice.MaxDuration)))
	outcome := grid.Success(slice)
	switch c := r.Intn(10); {
	case untrue:
		outcome.ResultRoot = make([]byte, sha256.Size)
	case c < 3:
		outcome = grid.Failure(slice, jobstypes.FailureReason(1+r.Intn(len(jobstypes.FailureReason_name)-1)))
		outcome.Failures = outcome.Failures[:1+r.Intn(len(outcome.Failures))]
	}

	return &outcome, meter, nil
}
