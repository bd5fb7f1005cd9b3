package simulation_test

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/testutil/simsx"
	sdk "github.com/cosmos/cosmos-sdk/types"
	simtypes "github.com/cosmos/cosmos-sdk/types/simulation"

	"github.com/foggrid/fogd/x/escrow/keeper"
	"github.com/foggrid/fogd/x/escrow/simulation"
	"github.com/foggrid/fogd/x/internal/fixture"
)

// What the factories make is accepted, block after block, and they skip where they can make nothing.
func TestFactories(t *testing.T) {
	e := fixture.New(t)
	r := rand.New(rand.NewSource(7))
	accounts := simtypes.RandomAccounts(r, 3)
	for i := range accounts {
		accounts[i].AddressBech32 = e.Text(accounts[i].Address)
		e.Fund(accounts[i].Address, 1_000_000)
	}
	server := keeper.NewMsgServer(e.Escrow)
	data := func(ctx sdk.Context) *simsx.ChainDataSource {
		return simsx.NewChainDataSource(ctx, r, e.Auth, e.Bank, e.Addresses, accounts...)
	}
	made := map[string]int{}
	skipped := 0
	for range 40 {
		for range 5 {
			require.NoError(t, e.Tx(func(ctx sdk.Context) error {
				reporter := simsx.NewBasicSimulationReporter()
				signers, msg := simulation.MsgDepositFactory()(ctx, data(ctx), reporter)
				if reporter.IsSkipped() {
					skipped++
					return nil
				}
				require.Equal(t, signers[0].AddressBech32, msg.Depositor)
				made["deposit"]++
				_, err := server.Deposit(ctx, msg)
				return err
			}))
		}
		e.NextBlock()
		for range 5 {
			require.NoError(t, e.Tx(func(ctx sdk.Context) error {
				reporter := simsx.NewBasicSimulationReporter()
				signers, msg := simulation.MsgWithdrawFactory(e.Escrow)(ctx, data(ctx), reporter)
				if reporter.IsSkipped() {
					skipped++
					return nil
				}
				require.Equal(t, signers[0].AddressBech32, msg.Owner)
				made["withdraw"]++
				_, err := server.Withdraw(ctx, msg)
				return err
			}))
		}
		require.NoError(t, e.Tx(func(ctx sdk.Context) error {
			reporter := simsx.NewBasicSimulationReporter()
			_, msg := simulation.MsgUpdateParamsFactory()(ctx, data(ctx), reporter)
			require.False(t, reporter.IsSkipped())
			made["update"]++
			_, err := server.UpdateParams(ctx, msg)
			return err
		}))
		e.NextBlock()
		e.CheckInvariants()
	}
	require.Greater(t, made["deposit"], 50)
	require.Greater(t, made["withdraw"], 50)
	require.Equal(t, 40, made["update"])
	require.Positive(t, skipped)
}
