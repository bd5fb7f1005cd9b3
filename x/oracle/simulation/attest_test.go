package simulation

import (
	"errors"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/codec/address"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	simtypes "github.com/cosmos/cosmos-sdk/types/simulation"

	"github.com/foggrid/fogd/x/oracle/types"
)

// What must be refused fails the simulation if it is taken or refused for another reason.
func TestRefusalsAreWanted(t *testing.T) {
	a := attesting{attested: &Attested{}}
	handler := a.mustFail(types.ErrJailed)

	require.Error(t, handler(nil))
	other := errors.New("another")
	require.ErrorIs(t, handler(other), other)
	require.Error(t, handler(types.ErrRoundOver))
	require.Zero(t, a.attested.Failed)

	require.NoError(t, handler(types.ErrJailed.Wrap("until tomorrow")))
	require.NoError(t, handler(sdkerrors.ErrInsufficientFee))
	require.Equal(t, 2, a.attested.Failed)
}

// What must be taken counts only if it is.
func TestVotesAreCounted(t *testing.T) {
	a := attesting{attested: &Attested{}}
	handler := a.mustPass(5, 2, 1)

	require.ErrorIs(t, handler(types.ErrJailed), types.ErrJailed)
	require.Equal(t, Attested{}, *a.attested)
	require.NoError(t, handler(nil))
	require.Equal(t, Attested{Votes: 5, False: 2, Refused: 1}, *a.attested)
}

func TestRandomGenesis(t *testing.T) {
	addresses := address.NewBech32Codec("cosmos")
	for seed := range int64(50) {
		r := rand.New(rand.NewSource(seed))
		accounts := simtypes.RandomAccounts(r, simtypes.RandIntBetween(r, 1, 40))
		for i := range accounts {
			text, err := addresses.BytesToString(accounts[i].Address)
			require.NoError(t, err)
			accounts[i].AddressBech32 = text
		}
		genesis := RandomGenesis(r, accounts)
		require.NoError(t, genesis.Validate(addresses))
		if len(accounts) >= 2*maxOracles {
			require.GreaterOrEqual(t, len(genesis.Oracles), minOracles)
		}
		for _, o := range genesis.Oracles {
			require.True(t, o.Admitted)
			require.NotEqual(t, o.Operator, o.Feeder)
			require.GreaterOrEqual(t, o.Bond, genesis.Params.MinBond)
		}
	}
}
