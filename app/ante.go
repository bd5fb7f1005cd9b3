package app

import (
	"context"

	errorsmod "cosmossdk.io/errors"
	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	"github.com/cosmos/cosmos-sdk/x/auth/ante"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"

	oraclekeeper "github.com/foggrid/fogd/x/oracle/keeper"
)

// maxFreeGas is the most gas that a transaction may ask for without a fee. A block takes several such transactions, so that one
// feeder cannot fill it.
const maxFreeGas = MaxBlockGas / 6

// gasPerFeeUnit is the gas that one ufog buys in a transaction of votes that is not free: the default minimal gas price, as a
// rule of the chain and not of a node's configuration.
const gasPerFeeUnit = 1_000

// newAnteHandler returns the checks that every transaction passes before its messages run.
func (app *App) newAnteHandler() sdk.AnteHandler {
	fees := ante.NewDeductFeeDecorator(app.AccountKeeper, virtualFeeBank{app.BankKeeper}, app.FeeGrantKeeper, nil)

	return sdk.ChainAnteDecorators(
		ante.NewSetUpContextDecorator(),
		ante.NewExtensionOptionsDecorator(nil),
		ante.NewValidateBasicDecorator(),
		ante.NewTxTimeoutHeightDecorator(),
		ante.NewValidateMemoDecorator(app.AccountKeeper),
		ante.NewConsumeGasForTxSizeDecorator(app.AccountKeeper),
		attestFees{free: app.OracleKeeper, fees: fees},
		ante.NewSetPubKeyDecorator(app.AccountKeeper),
		ante.NewValidateSigCountDecorator(app.AccountKeeper),
		ante.NewSigGasConsumeDecorator(app.AccountKeeper, ante.DefaultSigVerificationGasConsumer),
		ante.NewSigVerificationDecorator(app.AccountKeeper, app.txConfig.SignModeHandler()),
		ante.NewIncrementSequenceDecorator(app.AccountKeeper),
	)
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

// feeFreeAttest decides which transactions of votes are free.
type feeFreeAttest interface {
	// CheckFeeFree says whether the transaction pays no fee, and counts it against its feeder's quota if so.
	CheckFeeFree(ctx sdk.Context, tx sdk.Tx) (bool, error)
}

// attestFees lets the votes of oracles through without a fee within their quota, and sends all else to fees.
//
// Votes that are not free pay the chain's own minimal price. What a node asks for binds its mempool only, so a proposer could
// otherwise fill blocks with votes that nobody can take.
type attestFees struct {
	free feeFreeAttest
	fees sdk.AnteDecorator
}

// AnteHandle charges the transaction, or not.
func (d attestFees) AnteHandle(ctx sdk.Context, tx sdk.Tx, simulate bool, next sdk.AnteHandler) (sdk.Context, error) {
	if !oraclekeeper.IsAttest(tx) {
		return d.fees.AnteHandle(ctx, tx, simulate, next)
	}
	feeTx, ok := tx.(sdk.FeeTx)
	if !ok {
		return ctx, sdkerrors.ErrTxDecode.Wrap("the transaction has no fee field; build it with the SDK's transaction type")
	}

	if feeTx.GetGas() <= maxFreeGas {
		free, err := d.free.CheckFeeFree(ctx, tx)
		if err != nil {
			return ctx, err
		}
		if free {
			return next(ctx, tx, simulate)
		}
	}

	if !simulate {
		least := sdk.NewCoin(BondDenom, sdkmath.NewIntFromUint64(feeTx.GetGas()/gasPerFeeUnit+min(feeTx.GetGas()%gasPerFeeUnit, 1)))
		if paid := feeTx.GetFee().AmountOf(BondDenom); paid.LT(least.Amount) {
			return ctx, errorsmod.Wrapf(sdkerrors.ErrInsufficientFee,
				"these votes are not free (no open round takes one of them, the quota of the epoch is used up, the feeder is not that of an active oracle, or the gas limit is over %d) and offer %s%s; offer at least %s",
				maxFreeGas, paid, BondDenom, least)
		}
	}

	return d.fees.AnteHandle(ctx, tx, simulate, next)
}
