package devnet

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/cosmos/gogoproto/proto"

	sdkmath "cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	minttypes "github.com/cosmos/cosmos-sdk/x/mint/types"

	"github.com/foggrid/fogd/offchain/chain"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// What a new devnet hands out, in ufog.
const (
	validatorFunds = 10_000_000_000_000
	operatorFunds  = 100_000_000_000
	feederFunds    = 1_000_000_000
	userFunds      = 100_000_000_000
)

// fund is an account that genesis pays.
type fund struct {
	address string
	amount  int64
}

// devnetBond in ufog is what each oracle bonds.
const devnetBond = 10_000_000_000

// editGenesis funds accounts, admits the oracles and shortens what a developer would otherwise wait for.
func (d *Devnet) editGenesis(file string, codec *chain.Codec, funds []fund, oracles []Oracle) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var doc, state map[string]json.RawMessage
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := json.Unmarshal(doc["app_state"], &state); err != nil {
		return fmt.Errorf("%s: app_state: %w", file, err)
	}
	cdc := codec.Proto()
	if err := edit(cdc, state, authtypes.ModuleName, func(g *authtypes.GenesisState) error {
		accounts := make(authtypes.GenesisAccounts, 0, len(funds))
		for _, f := range funds {
			raw, err := codec.Accounts().StringToBytes(f.address)
			if err != nil {
				return err
			}
			// The SDK's constructor writes the address with the global prefix, which programs off chain do not set.
			account := authtypes.NewBaseAccountWithAddress(sdk.AccAddress(raw))
			account.Address = f.address
			accounts = append(accounts, account)
		}
		packed, err := authtypes.PackAccounts(accounts)
		g.Accounts = append(g.Accounts, packed...)
		return err
	}); err != nil {
		return err
	}
	if err := edit(cdc, state, banktypes.ModuleName, func(g *banktypes.GenesisState) error {
		for _, f := range funds {
			coins := sdk.NewCoins(sdk.NewCoin(escrowtypes.Denom, sdkmath.NewInt(f.amount)))
			g.Balances = append(g.Balances, banktypes.Balance{Address: f.address, Coins: coins})
			g.Supply = g.Supply.Add(coins...)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := edit(cdc, state, oracletypes.ModuleName, func(g *oracletypes.GenesisState) error {
		for i, o := range oracles {
			g.Oracles = append(g.Oracles, oracletypes.Oracle{Operator: o.Operator, Admitted: true, Moniker: fmt.Sprintf("oracle-%d", i)})
		}
		return nil
	}); err != nil {
		return err
	}
	if err := d.tune(cdc, state); err != nil {
		return err
	}
	if doc["app_state"], err = json.Marshal(state); err != nil {
		return err
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, out, 0o600)
}

// tune shortens the clocks and makes no new coins, so that every ufog can be counted. Prices, shares, quorums and penalties are those
// of production.
func (d *Devnet) tune(cdc codec.JSONCodec, state map[string]json.RawMessage) error {
	if err := edit(cdc, state, minttypes.ModuleName, func(g *minttypes.GenesisState) error {
		zero := sdkmath.LegacyZeroDec()
		g.Minter.Inflation, g.Minter.AnnualProvisions = zero, zero
		g.Params.InflationRateChange, g.Params.InflationMax, g.Params.InflationMin = zero, zero, zero
		return nil
	}); err != nil {
		return err
	}
	if err := edit(cdc, state, nodestypes.ModuleName, func(g *nodestypes.GenesisState) error {
		g.Params.LivenessEpoch = 10
		g.Params.LostGrace = 20
		g.Params.HoursLead, g.Params.HoursReturn = 60, 60
		// With a single machine, tasks that come one at a time would make every job a queue.
		g.Params.ProbationTasks = 0
		if d.opts.NodesParams != nil {
			d.opts.NodesParams(&g.Params)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := edit(cdc, state, jobstypes.ModuleName, func(g *jobstypes.GenesisState) error {
		g.Params.AcceptWindow = 60
		g.Params.ServiceEpoch, g.Params.ServiceWindow, g.Params.ServiceStart = 20, 8, 120
		g.Params.AbsenceMargin, g.Params.ServiceHandover, g.Params.ServiceStay = 20, 60, 240
		if d.opts.JobsParams != nil {
			d.opts.JobsParams(&g.Params)
		}
		return g.Params.Validate()
	}); err != nil {
		return err
	}
	if err := edit(cdc, state, oracletypes.ModuleName, func(g *oracletypes.GenesisState) error {
		g.Params.Epoch = 30
		g.Params.MinBond = devnetBond - devnetBond/10 // room for the fees of votes that come too late
		g.Params.UnbondingTime = 60
		g.Params.DowntimeJail = 30
		if d.opts.OracleParams != nil {
			d.opts.OracleParams(&g.Params)
		}
		return nil
	}); err != nil {
		return err
	}
	return edit(cdc, state, "gov", func(g *govv1.GenesisState) error {
		voting, expedited := 30*time.Second, 15*time.Second
		g.Params.VotingPeriod, g.Params.ExpeditedVotingPeriod = &voting, &expedited
		return nil
	})
}

// edit changes the genesis state of one module.
func edit[T any, P interface {
	*T
	proto.Message
}](cdc codec.JSONCodec, state map[string]json.RawMessage, module string, change func(P) error) error {
	raw, ok := state[module]
	if !ok {
		return fmt.Errorf("genesis has no module %s; fog and fogd are of different versions", module)
	}
	g := P(new(T))
	if err := cdc.UnmarshalJSON(raw, g); err != nil {
		return fmt.Errorf("genesis of %s: %w", module, err)
	}
	if err := change(g); err != nil {
		return fmt.Errorf("genesis of %s: %w", module, err)
	}
	raw, err := cdc.MarshalJSON(g)
	if err != nil {
		return fmt.Errorf("genesis of %s: %w", module, err)
	}
	state[module] = raw
	return nil
}
