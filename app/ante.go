package app

import (
	"context"


	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
)

// newAnteHandler returns the checks that every transaction passes before its messages run.
func (app *App) newAnteHandler() (sdk.AnteHandler, error) {
	fees := ante.NewDeductFeeDecorator(app.AccountKeeper, virtualFeeBank{app.BankKeeper}, app.FeeGrantKeeper, nil)

	return sdk.ChainAnteDecorators(
		ante.NewSetUpContextDecorator(),
		ante.NewExtensionOptionsDecorator(nil),
		ante.NewValidateBasicDecorator(),
		ante.NewTxTimeoutHeightDecorator(),
		ante.NewValidateMemoDecorator(app.AccountKeeper),
		ante.NewConsumeGasForTxSizeDecorator(app.AccountKeeper),
		fees,
		ante.NewSetPubKeyDecorator(app.AccountKeeper),
		ante.NewValidateSigCountDecorator(app.AccountKeeper),
		ante.NewSigGasConsumeDecorator(app.AccountKeeper, ante.DefaultSigVerificationGasConsumer),
		ante.NewSigVerificationDecorator(app.AccountKeeper, app.txConfig.SignModeHandler()),
		ante.NewIncrementSequenceDecorator(app.AccountKeeper),
	), nil
}

// virtualFeeBank pays fees virtually: they reach the fee collector when the block ends. Otherwise every transaction would write
// the collector's one balance, and no two of them could run in parallel.
type virtualFeeBank struct {
	bankkeeper.BaseKeeper
}

// SendCoinsFromAccountToModule takes the coins at once and credits the module when the block ends.
func (b virtualFeeBank) SendCoinsFromAccountToModule(ctx context.Context, sender sdk.AccAddress, module string, coins sdk.Coins) error {
	return b.SendCoinsFromAccountToModuleVirtual(ctx, sender, module, coins)
}
