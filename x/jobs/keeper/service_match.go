package keeper

import (
	"context"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// place gives a replica to a node: its resources and host ports are reserved, the collateral is locked, and what the agreed price leaves of what
// the slice holds goes back to the pool. No outcome is asked for: the oracles judge services each epoch.
func (k Keeper) place(ctx context.Context, j *openJob, s *types.Slice, node nodestypes.Node, price uint64) error {
	nodeID, err := nodestypes.ParseNodeID(node.Id)
	if err != nil {
		return err
	}
	height := sdk.UnwrapSDKContext(ctx).BlockHeight()
	// Other ports each time: one that was freed just now may still be held by a program that is stopping.
	ports, err := node.AssignPorts(types.HostPorts(j.Service.Ports), uint64(height)) //nolint:gosec // a height
	if err != nil {
		return err
	}
	if err := k.nodes.Reserve(ctx, nodeID, node, j.Resources, 1, ports); err != nil {
		return err
	}
	s.Serving.Ports = nil
	for i, p := range j.Service.Ports {
		p.HostPort = ports[i]
		s.Serving.Ports = append(s.Serving.Ports, p)
	}
	terms, err := types.TermsOf(price, j.p.ServiceCollateral, 0)
	if err != nil {
		return err
	}
	collateral, err := types.PartUp(terms.Budget, j.p.Collateral)
	if err != nil {
		return err
	}
	s.AgreedPrice = price
	if err := k.engage(ctx, j, s, node, collateral); err != nil {
		return err
	}
	if err := k.hold(ctx, j, s, 0); err != nil {
		return err
	}
	rate, err := escrowtypes.SubChecked(j.Service.Rate, j.PriceCap)
	if err != nil {
		return err
	}
	if j.Service.Rate, err = escrowtypes.AddChecked(rate, price); err != nil {
		return err
	}
	due, err := k.nextJudgement(ctx, j)
	if err != nil {
		return err
	}
	if err := k.move(ctx, j, s, types.SLICE_STATUS_MATCHED, due); err != nil {
		return err
	}
	return emitMatched(ctx, j, s)
}
