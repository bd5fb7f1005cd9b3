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

// MsgBondFactory bonds a part of a wallet.
func MsgBondFactory() simsx.SimMsgFactoryFn[*types.MsgBond] {
	return func(_ context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgBond) {
		from := data.AnyAccount(reporter, simsx.WithDenomBalance(escrowtypes.Denom))
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
		operator := data.AnyAccount(reporter)
		if reporter.IsSkipped() {
			return nil, nil
		}
		o, err := k.Oracle(ctx, operator.Address)
		if err != nil || o.Bond == 0 {
			reporter.Skip("nothing is bonded")
			return nil, nil
		}
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
		operator, feeder := data.AnyAccount(reporter), data.AnyAccount(reporter)
		if reporter.IsSkipped() {
			return nil, nil
		}
		if _, err := k.Oracle(ctx, operator.Address); err != nil {
			reporter.Skip(err.Error())
			return nil, nil
		}
		taken, err := k.Feeders.Has(ctx, feeder.Address)
		if err != nil || taken {
			reporter.Skip("feeder is taken")
			return nil, nil
		}
		return []simsx.SimAccount{operator}, &types.MsgSetFeeder{Operator: operator.AddressBech32, Feeder: feeder.AddressBech32}
	}
}
