package keeper

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/x/nodes/types"
)

type msgServer struct{ k Keeper }

var _ types.MsgServer = msgServer{}

// NewMsgServer serves the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k: k} }

func (s msgServer) RegisterNode(ctx context.Context, msg *types.MsgRegisterNode) (*types.MsgRegisterNodeResponse, error) {
	owner, err := s.k.addresses.StringToBytes(msg.Owner)
	if err != nil {
		return nil, types.ErrInvalidField.Wrapf("owner %q is not an address: %s", msg.Owner, err)
	}
	id, err := s.k.register(ctx, owner, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgRegisterNodeResponse{NodeId: id.Bech32(types.NodeHRP)}, nil
}

func (s msgServer) UpdateNode(ctx context.Context, msg *types.MsgUpdateNode) (*types.MsgUpdateNodeResponse, error) {
	pending, err := s.k.update(ctx, msg)
	return &types.MsgUpdateNodeResponse{BenchmarkPending: pending}, err
}

func (s msgServer) DrainNode(ctx context.Context, msg *types.MsgDrainNode) (*types.MsgDrainNodeResponse, error) {
	return &types.MsgDrainNodeResponse{}, s.k.drain(ctx, msg)
}

func (s msgServer) ResumeNode(ctx context.Context, msg *types.MsgResumeNode) (*types.MsgResumeNodeResponse, error) {
	return &types.MsgResumeNodeResponse{}, s.k.resume(ctx, msg)
}

func (s msgServer) RetireNode(ctx context.Context, msg *types.MsgRetireNode) (*types.MsgRetireNodeResponse, error) {
	released, err := s.k.retire(ctx, msg)
	return &types.MsgRetireNodeResponse{Released: released}, err
}

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if err := sdk.ValidateAuthority(sdk.UnwrapSDKContext(ctx), s.k.authority, msg.Authority); err != nil {
		return nil, err
	}
	if err := msg.Params.Validate(); err != nil {
		return nil, err
	}
	if err := s.k.Params.Set(ctx, msg.Params); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, emit(ctx, &types.EventParamsUpdated{Params: msg.Params})
}

func (s msgServer) RecordBenchmark(ctx context.Context, msg *types.MsgRecordBenchmark) (*types.MsgRecordBenchmarkResponse, error) {
	if err := s.reported(msg.Authority); err != nil {
		return nil, err
	}
	return &types.MsgRecordBenchmarkResponse{}, s.k.recordBenchmark(ctx, msg)
}

func (s msgServer) RecordLiveness(ctx context.Context, msg *types.MsgRecordLiveness) (*types.MsgRecordLivenessResponse, error) {
	if err := s.reported(msg.Authority); err != nil {
		return nil, err
	}
	return &types.MsgRecordLivenessResponse{}, s.k.recordLiveness(ctx, msg)
}

func (s msgServer) RecordModel(ctx context.Context, msg *types.MsgRecordModel) (*types.MsgRecordModelResponse, error) {
	if err := s.reported(msg.Authority); err != nil {
		return nil, err
	}
	moved, err := s.k.recordModel(ctx, msg.Report)
	return &types.MsgRecordModelResponse{Moved: moved}, err
}

// reported checks that a quorum of oracles says so.
func (s msgServer) reported(authority string) error {
	if authority != s.k.reporter {
		return sdkerrors.ErrUnauthorized.Wrapf("authority %s; reports are executed by x/oracle (%s) only", authority, s.k.reporter)
	}
	return nil
}
