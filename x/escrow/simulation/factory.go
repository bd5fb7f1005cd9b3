// Package simulation makes random messages of x/escrow for simulations of the whole chain.
package simulation

import (
	"context"

	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/keeper"
	"github.com/foggrid/fogd/x/escrow/types"
)

// MsgDepositFactory deposits a part of a wallet into its provider account.
func MsgDepositFactory() simsx.SimMsgFactoryFn[*types.MsgDeposit] {
	return func(_ context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgDeposit) {
		from := data.AnyAccount(reporter, simsx.WithDenomBalance(types.Denom))
		amount := from.LiquidBalance().RandSubsetCoin(reporter, types.Denom)
		if reporter.IsSkipped() {
			return nil, nil
		}
		if !amount.Amount.IsUint64() {
			reporter.Skip("amount is over 64 bits")
			return nil, nil
		}
		return []simsx.SimAccount{from}, &types.MsgDeposit{Depositor: from.AddressBech32, Amount: amount}
	}
}

// MsgWithdrawFactory withdraws a part of what is free in a provider account.
func MsgWithdrawFactory(k keeper.Keeper) simsx.SimMsgFactoryFn[*types.MsgWithdraw] {
	return func(ctx context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgWithdraw) {
		owner := data.AnyAccount(reporter)
		if reporter.IsSkipped() {
			return nil, nil
		}
		params, err := k.Params(ctx)
		if err != nil || params.OutflowsPaused {
			reporter.Skipf("outflows are paused (%v)", err)
			return nil, nil
		}
		account, err := k.Account(ctx, types.ProviderAccountID(owner.Address))
		if err != nil {
			reporter.Skip(err.Error())
			return nil, nil
		}
		if account.Free() == 0 {
			reporter.Skip("nothing is free")
			return nil, nil
		}
		part, err := data.Rand().PositiveSDKIntn(math.NewIntFromUint64(account.Free()))
		if err != nil {
			reporter.Skip(err.Error())
			return nil, nil
		}
		return []simsx.SimAccount{owner}, &types.MsgWithdraw{Owner: owner.AddressBech32, Amount: sdk.NewCoin(types.Denom, part)}
	}
}

// MsgUpdateParamsFactory lets governance pause outflows now and then.
func MsgUpdateParamsFactory() simsx.SimMsgFactoryFn[*types.MsgUpdateParams] {
	return func(_ context.Context, data *simsx.ChainDataSource, reporter simsx.SimulationReporter) ([]simsx.SimAccount, *types.MsgUpdateParams) {
		return nil, &types.MsgUpdateParams{
			Authority: data.ModuleAccountAddress(reporter, "gov"),
			Params:    types.Params{OutflowsPaused: data.Rand().Intn(4) == 0},
		}
	}
}
