package keeper

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/oracle/types"
)

type msgServer struct{ k Keeper }

var _ types.MsgServer = msgServer{}

// NewMsgServer serves the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k: k} }

func (s msgServer) Bond(ctx context.Context, msg *types.MsgBond) (*types.MsgBondResponse, error) {
	operator, err := s.address("operator", msg.Operator)
	if err != nil {
		return nil, err
	}
	amount, err := types.Amount(msg.Amount)
	if err != nil {
		return nil, err
	}
	bond, err := s.k.bond(ctx, operator, amount)
	return &types.MsgBondResponse{Bond: bond}, err
}

func (s msgServer) Unbond(ctx context.Context, msg *types.MsgUnbond) (*types.MsgUnbondResponse, error) {
	operator, err := s.address("operator", msg.Operator)
	if err != nil {
		return nil, err
	}
	amount, err := types.Amount(msg.Amount)
	if err != nil {
		return nil, err
	}
	completes, err := s.k.unbond(ctx, operator, amount)
	return &types.MsgUnbondResponse{Completes: completes}, err
}

func (s msgServer) SetFeeder(ctx context.Context, msg *types.MsgSetFeeder) (*types.MsgSetFeederResponse, error) {
	operator, err := s.address("operator", msg.Operator)
	if err != nil {
		return nil, err
	}
	feeder, err := s.address("feeder", msg.Feeder)
	if err != nil {
		return nil, err
	}
	if err := msg.Validate(); err != nil {
		return nil, err
	}
	return &types.MsgSetFeederResponse{}, s.k.setFeeder(ctx, operator, feeder, msg.Endpoint, msg.TransportKey)
}

func (s msgServer) Attest(ctx context.Context, msg *types.MsgAttest) (*types.MsgAttestResponse, error) {
	feeder, err := s.address("feeder", msg.Feeder)
	if err != nil {
		return nil, err
	}
	return s.k.attest(ctx, feeder, msg)
}

func (s msgServer) Unjail(ctx context.Context, msg *types.MsgUnjail) (*types.MsgUnjailResponse, error) {
	operator, err := s.address("operator", msg.Operator)
	if err != nil {
		return nil, err
	}
	return &types.MsgUnjailResponse{}, s.k.unjail(ctx, operator)
}

func (s msgServer) AdmitOracle(ctx context.Context, msg *types.MsgAdmitOracle) (*types.MsgAdmitOracleResponse, error) {
	if err := s.authorised(ctx, msg.Authority); err != nil {
		return nil, err
	}
	operator, err := s.address("operator", msg.Operator)
	if err != nil {
		return nil, err
	}
	if err := msg.Validate(); err != nil {
		return nil, err
	}
	return &types.MsgAdmitOracleResponse{}, s.k.admit(ctx, operator, msg.Moniker)
}

func (s msgServer) RemoveOracle(ctx context.Context, msg *types.MsgRemoveOracle) (*types.MsgRemoveOracleResponse, error) {
	if err := s.authorised(ctx, msg.Authority); err != nil {
		return nil, err
	}
	operator, err := s.address("operator", msg.Operator)
	if err != nil {
		return nil, err
	}
	return &types.MsgRemoveOracleResponse{}, s.k.remove(ctx, operator)
}

func (s msgServer) PunishOracle(ctx context.Context, msg *types.MsgPunishOracle) (*types.MsgPunishOracleResponse, error) {
	if err := s.authorised(ctx, msg.Authority); err != nil {
		return nil, err
	}
	operator, err := s.address("operator", msg.Operator)
	if err != nil {
		return nil, err
	}
	if err := msg.Validate(); err != nil {
		return nil, err
	}
	slashed, err := s.k.punish(ctx, operator, msg.RoundId, msg.Reason)
	return &types.MsgPunishOracleResponse{Slashed: slashed}, err
}

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if err := s.authorised(ctx, msg.Authority); err != nil {
		return nil, err
	}
	if err := msg.Params.Validate(); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, s.k.Params.Set(ctx, msg.Params)
}

func (s msgServer) authorised(ctx context.Context, authority string) error {
	return sdk.ValidateAuthority(sdk.UnwrapSDKContext(ctx), s.k.authority, authority)
}

func (s msgServer) address(field, text string) (sdk.AccAddress, error) {
	a, err := s.k.parse(text)
	if err != nil {
		return nil, types.ErrInvalidField.Wrapf("%s %q is not an address: %s", field, text, err)
	}
	return a, nil
}
