package keeper

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

type msgServer struct{ k Keeper }

// NewMsgServer answers the module's messages.
func NewMsgServer(k Keeper) types.MsgServer { return msgServer{k} }

func (s msgServer) SubmitJob(ctx context.Context, msg *types.MsgSubmitJob) (*types.MsgSubmitJobResponse, error) {
	return s.k.SubmitJob(ctx, msg)
}

func (s msgServer) TopUpJob(ctx context.Context, msg *types.MsgTopUpJob) (*types.MsgTopUpJobResponse, error) {
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	id, err := escrowtypes.ParseID(types.JobHRP, msg.JobId)
	if err != nil {
		return nil, err
	}
	return s.k.TopUpJob(ctx, msg.Owner, id, msg.Amount)
}

func (s msgServer) CancelJob(ctx context.Context, msg *types.MsgCancelJob) (*types.MsgCancelJobResponse, error) {
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	id, err := escrowtypes.ParseID(types.JobHRP, msg.JobId)
	if err != nil {
		return nil, err
	}
	open, err := s.k.CancelJob(ctx, msg.Owner, id)
	if err != nil {
		return nil, err
	}
	return &types.MsgCancelJobResponse{OpenSlices: open}, nil
}

func (s msgServer) AcceptResult(ctx context.Context, msg *types.MsgAcceptResult) (*types.MsgAcceptResultResponse, error) {
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	id, err := escrowtypes.ParseID(types.JobHRP, msg.JobId)
	if err != nil {
		return nil, err
	}
	settled, err := s.k.AcceptResult(ctx, msg.Owner, id, types.SliceNumbers(msg.Slices))
	if err != nil {
		return nil, err
	}
	return &types.MsgAcceptResultResponse{Settled: settled}, nil
}

func (s msgServer) ClaimTimeout(ctx context.Context, msg *types.MsgClaimTimeout) (*types.MsgClaimTimeoutResponse, error) {
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	id, err := escrowtypes.ParseID(types.JobHRP, msg.JobId)
	if err != nil {
		return nil, err
	}
	settled, err := s.k.ClaimTimeout(ctx, msg.Sender, id, types.SliceNumbers(msg.Slices))
	if err != nil {
		return nil, err
	}
	return &types.MsgClaimTimeoutResponse{Settled: settled}, nil
}

func (s msgServer) UpdateParams(ctx context.Context, msg *types.MsgUpdateParams) (*types.MsgUpdateParamsResponse, error) {
	if err := sdk.ValidateAuthority(sdk.UnwrapSDKContext(ctx), s.k.authority, msg.Authority); err != nil {
		return nil, err
	}
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	if err := s.k.params.Set(ctx, msg.Params); err != nil {
		return nil, err
	}
	return &types.MsgUpdateParamsResponse{}, emit(ctx, &types.EventParamsUpdated{Authority: msg.Authority})
}

func (s msgServer) RecordMatches(ctx context.Context, msg *types.MsgRecordMatches) (*types.MsgRecordMatchesResponse, error) {
	if err := s.onlyReporter(msg.Authority); err != nil {
		return nil, err
	}
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	matched, stale, err := s.k.RecordMatches(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgRecordMatchesResponse{Matched: matched, Stale: stale}, nil
}

func (s msgServer) RecordOutcomes(ctx context.Context, msg *types.MsgRecordOutcomes) (*types.MsgRecordOutcomesResponse, error) {
	if err := s.onlyReporter(msg.Authority); err != nil {
		return nil, err
	}
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	if err := s.k.RecordOutcome(ctx, msg); err != nil {
		return nil, err
	}
	return &types.MsgRecordOutcomesResponse{}, nil
}

func (s msgServer) UpdateService(ctx context.Context, msg *types.MsgUpdateService) (*types.MsgUpdateServiceResponse, error) {
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	revision, err := s.k.UpdateService(ctx, msg)
	if err != nil {
		return nil, err
	}
	return &types.MsgUpdateServiceResponse{Revision: revision}, nil
}

func (s msgServer) ScaleService(ctx context.Context, msg *types.MsgScaleService) (*types.MsgScaleServiceResponse, error) {
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	return &types.MsgScaleServiceResponse{}, s.k.ScaleService(ctx, msg)
}

func (s msgServer) RecordServices(ctx context.Context, msg *types.MsgRecordServices) (*types.MsgRecordServicesResponse, error) {
	if err := s.onlyReporter(msg.Authority); err != nil {
		return nil, err
	}
	if err := msg.Validate(s.k.addresses); err != nil {
		return nil, err
	}
	return s.k.RecordServices(ctx, msg)
}

// onlyReporter is the one door by which facts from outside enter: no key signs for the oracle module's address.
func (s msgServer) onlyReporter(authority string) error {
	if authority != s.k.reporter {
		return types.ErrUnauthorized.Wrapf("authority %s; reports are executed for %s", authority, s.k.reporter)
	}
	return nil
}
