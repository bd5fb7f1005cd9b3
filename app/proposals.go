package app

import (
	abci "github.com/cometbft/cometbft/abci/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
)

// processProposal refuses a block whose transactions do not decode or together want more gas than the consensus parameters
// allow. Nothing else bounds a block made by a dishonest proposer: the block gas meter is off, since it would make every
// transaction depend on all before it.
func (app *App) processProposal(ctx sdk.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	reject := &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}

	var left uint64
	bounded := false
	if block := ctx.ConsensusParams().Block; block != nil && block.MaxGas >= 0 {
		left, bounded = uint64(block.MaxGas), true
	}

	for _, raw := range req.Txs {
		tx, err := app.TxDecode(raw)
		if err != nil {
			ctx.Logger().Error("refusing a proposal with a transaction that does not decode", "height", req.Height, "err", err)
			return reject, nil
		}
		if !bounded {
			continue
		}

		feeTx, ok := tx.(sdk.FeeTx)
		if !ok || feeTx.GetGas() > left {
			ctx.Logger().Error("refusing a proposal that wants too much gas", "height", req.Height)
			return reject, nil
		}
		left -= feeTx.GetGas()
	}

	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}
