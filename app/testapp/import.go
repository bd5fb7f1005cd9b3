package testapp

import (
	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/stretchr/testify/require"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"
	simtestutil "github.com/cosmos/cosmos-sdk/testutil/sims"

	"github.com/foggrid/fogd/app"
)

// Imported starts another chain from the exported state of this one, at the next height. Transactions signed for one chain are
// good for both. It has no accounts of its own: a sequence would have to be counted twice.
func (c *Chain) Imported() *Chain {
	c.tb.Helper()

	exported, err := c.App.ExportAppStateAndValidators(false, nil, nil)
	require.NoError(c.tb, err)

	out := &Chain{
		App:       app.New(log.NewNopLogger(), dbm.NewMemDB(), true, simtestutil.AppOptionsMap{}, baseapp.SetChainID(ChainID)),
		tb:        c.tb,
		validator: c.validator,
		time:      c.time,
		last:      &Block{Height: c.last.Height, Time: c.last.Time},
	}
	_, err = out.App.InitChain(&abci.RequestInitChain{
		ChainId:         ChainID,
		Time:            c.time,
		InitialHeight:   exported.Height,
		ConsensusParams: &exported.ConsensusParams,
		AppStateBytes:   exported.AppState,
	})
	require.NoError(c.tb, err)

	return out
}
