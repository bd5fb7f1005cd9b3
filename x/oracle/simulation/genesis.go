package simulation

import (
	"fmt"
	"math/rand"

	simtypes "github.com/cosmos/cosmos-sdk/types/simulation"

	"github.com/foggrid/fogd/x/oracle/types"
)

// Oracles of a random genesis, if there are accounts enough.
const (
	minOracles = 4
	maxOracles = 7
)

// RandomGenesis admits and bonds some of the accounts as oracles, with others as their feeders. Escrow must hold the bonds, locked.
func RandomGenesis(r *rand.Rand, accounts []simtypes.Account) types.GenesisState {
	genesis := *types.DefaultGenesis()
	genesis.Params = RandomParams(r)
	n := min(simtypes.RandIntBetween(r, minOracles, maxOracles+1), len(accounts)/2)
	order := r.Perm(len(accounts))
	for i := range n {
		genesis.Oracles = append(genesis.Oracles, types.Oracle{
			Operator: accounts[order[i]].AddressBech32, Feeder: accounts[order[n+i]].AddressBech32, Admitted: true,
			Bond:    genesis.Params.MinBond * uint64(simtypes.RandIntBetween(r, 2, 5)),
			Moniker: fmt.Sprintf("oracle %d", i),
		})
	}
	return genesis
}

// RandomParams suit a simulation, between whose blocks hours pass: oracles that miss some epochs are jailed, and reports have to wait
// for a later block.
func RandomParams(r *rand.Rand) types.Params {
	p := types.DefaultParams()
	p.MinBond = uint64(simtypes.RandIntBetween(r, 1_000_000, 1_000_000_000))
	p.UnbondingTime = uint64(simtypes.RandIntBetween(r, 3_600, 14*24*3_600))
	p.MissWindow = uint32(simtypes.RandIntBetween(r, 30, 100))
	p.MaxMissed = p.MissWindow/2 + 1
	p.RefusedVoteFee = uint64(simtypes.RandIntBetween(r, 1, 1_000))
	p.VoteGrace = uint64(simtypes.RandIntBetween(r, 0, 24*3_600))
	p.ProposerDelay = uint32(simtypes.RandIntBetween(r, 1, 3))
	p.MaxReportsPerBlock = uint32(simtypes.RandIntBetween(r, 5, 100))
	p.RoundRetention = uint64(simtypes.RandIntBetween(r, 3_600, 24*3_600))
	return p
}
