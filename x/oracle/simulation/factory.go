// Package simulation makes random messages of x/oracle for simulations of the whole chain.
package simulation

import (
	"context"

	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"
	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/oracle/keeper"
	"github.com/foggrid/fogd/x/oracle/types"
)

// MsgBondFactory bonds a part of a wallet, of anybody or of one who is an oracle.
func MsgBondFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgBond] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgBond) {
		known, err := oracles(ctx, k, data, func(o types.Oracle) bool { return !o.Tombstoned })
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		from := data.AnyAccount(reporter, simsx.WithDenomBalance(escrowtypes.Denom))
		if len(known) > 0 && data.Rand().Bool() {
			from = data.GetAccount(reporter, simsx.OneOf(data.Rand(), known).Operator)
		}
		if reporter.IsSkipped() {
			return nil, nil
		}
		amount := from.LiquidBalance().RandSubsetCoin(reporter, escrowtypes.Denom)
		if reporter.IsSkipped() {
			return nil, nil
		}
		if !amount.Amount.IsUint64() {
			reporter.Skip("amount is over 64 bits")
			return nil, nil
		}
		return []simsx.SimAccount{from}, &types.MsgBond{Operator: from.AddressBech32, Amount: amount}
	}
}

// MsgUnbondFactory takes a part of a bond out.
func MsgUnbondFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgUnbond] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgUnbond) {
		bonded, err := oracles(ctx, k, data, func(o types.Oracle) bool { return o.Bond > 0 })
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		if len(bonded) == 0 {
			reporter.Skip("nothing is bonded")
			return nil, nil
		}
		o := simsx.OneOf(data.Rand(), bonded)
		operator := data.GetAccount(reporter, o.Operator)
		under, err := k.UnbondingsOf(ctx, operator.Address)
		if err != nil || len(under) >= types.MaxUnbondings {
			reporter.Skip("enough is unbonding")
			return nil, nil
		}
		part, err := data.Rand().PositiveSDKIntn(math.NewIntFromUint64(o.Bond))
		if err != nil {
			reporter.Skip(err.Error())
			return nil, nil
		}
		return []simsx.SimAccount{operator}, &types.MsgUnbond{
			Operator: operator.AddressBech32, Amount: sdk.NewCoin(escrowtypes.Denom, part),
		}
	}
}

// MsgSetFeederFactory names a hot key that attests for nobody else.
func MsgSetFeederFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgSetFeeder] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgSetFeeder) {
		feeder := data.AnyAccount(reporter)
		if reporter.IsSkipped() {
			return nil, nil
		}
		operators, err := oracles(ctx, k, data, func(types.Oracle) bool { return true })
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		if len(operators) == 0 {
			reporter.Skip("nobody is an oracle")
			return nil, nil
		}
		operator := data.GetAccount(reporter, simsx.OneOf(data.Rand(), operators).Operator)
		taken, err := k.Feeders.Has(ctx, feeder.Address)
		if err != nil || taken {
			reporter.Skip("feeder is taken")
			return nil, nil
		}
		return []simsx.SimAccount{operator}, &types.MsgSetFeeder{Operator: operator.AddressBech32, Feeder: feeder.AddressBech32}
	}
}

// MsgUnjailFactory returns an oracle whose time in jail is over.
func MsgUnjailFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgUnjail] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgUnjail) {
		now := simsx.BlockTime(ctx).Unix()
		jailed, err := oracles(ctx, k, data, func(o types.Oracle) bool { return o.Jailed && !o.Tombstoned && o.JailedUntil <= now })
		if err != nil {
			reporter.Fail(err)
			return nil, nil
		}
		if len(jailed) == 0 {
			reporter.Skip("no oracle can leave jail")
			return nil, nil
		}
		operator := data.GetAccount(reporter, simsx.OneOf(data.Rand(), jailed).Operator)
		return []simsx.SimAccount{operator}, &types.MsgUnjail{Operator: operator.AddressBech32}
	}
}

// MsgUpdateParamsFactory lets governance change what it may.
func MsgUpdateParamsFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgUpdateParams] {
	return func(_ context.Context, data *simsx.ChainDataSource, _ simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgUpdateParams) {
		return nil, &types.MsgUpdateParams{Authority: k.Authority(), Params: RandomParams(data.Rand().Rand)}
	}
}

// MsgAdmitOracleFactory lets governance admit anybody.
func MsgAdmitOracleFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgAdmitOracle] {
	return func(_ context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgAdmitOracle) {
		operator := data.AnyAccount(reporter)
		return nil, &types.MsgAdmitOracle{Authority: k.Authority(), Operator: operator.AddressBech32, Moniker: "admitted"}
	}
}

// oracles whose keys the simulation has and that meet a condition.
func oracles(ctx context.Context, k keeper.Keeper, data *simsx.ChainDataSource, wanted func(types.Oracle) bool) ([]types.Oracle, error) {
	var found []types.Oracle
	err := k.Oracles.Walk(ctx, nil, func(_ sdk.AccAddress, o types.Oracle) (bool, error) {
		if data.HasAccount(o.Operator) && wanted(o) {
			found = append(found, o)
		}
		return false, nil
	})
	return found, err
}
