package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cosmossdk.io/collections"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/nodes/keeper"
	"github.com/foggrid/fogd/x/nodes/types"
)

// modelled is a world with three nodes in which the first model was asked for.
func modelled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.setParams(func(p *types.Params) { p.ModelMinNodes, p.ModelPeriod, p.ModelWindow = 3, 1000, 100 })
	alice := w.rich("alice", 50*fog, 900*fog)
	for _, salt := range []string{"one", "two", "three"} {
		w.active(alice, salt)
	}
	w.end(1)
	require.EqualValues(t, 1, w.schedule().ModelVersion)
	return w
}

func (w *world) schedule() types.RoundSchedule {
	s, err := w.k.Schedule.Get(w.Ctx)
	require.NoError(w.tb, err)
	return s
}

// model is a report on the last version that was asked for, with two classes.
func (w *world) model(moves ...types.ClassMove) types.ModelReport {
	return types.ModelReport{
		Version: w.schedule().ModelVersion, Height: w.schedule().ModelHeight, Model: []byte("model"), NextClass: 3,
		Classes: []types.Class{{Id: 1, Profile: "fast"}, {Id: 2, Profile: "slow"}}, Moves: moves,
	}
}

func (w *world) recordModel(r types.ModelReport) report {
	body, err := r.Marshal()
	require.NoError(w.tb, err)
	msg, err := types.NewMsgRecordModel(w.Text(reporter), body)
	require.NoError(w.tb, err)
	return report{types.RoundKindModel, types.EncodeModelSubject(r.Version, r.Height), func(ctx sdk.Context) error {
		_, err := w.msgs.RecordModel(ctx, msg)
		return err
	}}
}

func (w *world) at(index uint32) types.Node {
	n, err := w.k.NodeByIndex(w.Ctx, index)
	require.NoError(w.tb, err)
	return n
}

func TestModelIsAskedForByTheClock(t *testing.T) {
	w := modelled(t)
	first := w.schedule()
	subject := types.EncodeModelSubject(first.ModelVersion, first.ModelHeight)
	open, err := w.rounds.open.Has(w.Ctx, collections.Join(types.RoundKindModel, subject))
	require.NoError(t, err)
	require.True(t, open)
	w.end(998)
	require.Equal(t, first.ModelVersion, w.schedule().ModelVersion, "not yet")
	w.end(2)
	require.Equal(t, first.ModelVersion+1, w.schedule().ModelVersion)
	require.Greater(t, w.schedule().ModelHeight, first.ModelHeight)
}

func TestModelMovesNodes(t *testing.T) {
	w := modelled(t)
	server := keeper.NewQueryServer(w.k)
	_, err := server.Model(w.Ctx, &types.QueryModelRequest{})
	require.Equal(t, codes.NotFound, status.Code(err))

	w.end(1, w.recordModel(w.model(types.ClassMove{Class: 1, Nodes: []uint32{1, 2}}, types.ClassMove{Class: 2, Nodes: []uint32{3}})))
	require.EqualValues(t, 1, w.at(2).Class)
	require.EqualValues(t, 2, w.at(3).Class)
	res, err := server.Model(w.Ctx, &types.QueryModelRequest{})
	require.NoError(t, err)
	require.Equal(t, []byte("model"), res.Model.Encoded)
	require.Equal(t, res.Model.Hash(), res.Hash)
	require.EqualValues(t, 2, eventsOf[*types.EventModelRecorded](w)[0].Classes)
	slow, err := server.Nodes(w.Ctx, &types.QueryNodesRequest{Class: 2})
	require.NoError(t, err)
	require.Len(t, slow.Nodes, 1)
	require.Equal(t, w.at(3).Id, slow.Nodes[0].Id)

	w.end(1000)
	w.end(1)
	w.end(1, w.recordModel(w.model(types.ClassMove{Class: 1, Candidate: 2, Nodes: []uint32{2}})))
	require.Equal(t, []uint32{1, 2}, []uint32{w.at(2).Class, w.at(2).ClassCandidate})
	gs, err := w.k.ExportGenesis(w.Ctx)
	require.NoError(t, err)
	require.NoError(t, gs.Validate(w.Addresses))
	require.EqualValues(t, 2, gs.Model.Version)
	gs.Model = nil
	require.ErrorContains(t, gs.Validate(w.Addresses), "class")
	w.check()
}

func TestModelsThatAreRefused(t *testing.T) {
	w := modelled(t)
	old := w.model()
	w.end(1, w.recordModel(w.model()))
	w.end(1000)
	w.end(1)
	fewer := w.model()
	fewer.NextClass, fewer.Classes = 2, fewer.Classes[:1]
	for want, r := range map[string]types.ModelReport{
		"version 1 at height":         old,
		"ids below 3 were used":       fewer,
		"no node has index 4":         w.model(types.ClassMove{Class: 1, Nodes: []uint32{1, 4}}),
		"classes[0].id 0 must be pos": {Version: 2, Height: w.schedule().ModelHeight, Model: []byte{1}, NextClass: 3, Classes: []types.Class{{}}},
	} {
		_, err := w.msgs.RecordModel(w.Ctx, &types.MsgRecordModel{Authority: w.Text(reporter), Report: r})
		require.ErrorContains(t, err, want)
	}
	_, err := w.msgs.RecordModel(w.Ctx, &types.MsgRecordModel{Authority: w.Authority, Report: w.model()})
	require.ErrorContains(t, err, "executed by x/oracle")
}

// What does not fit in the gas is left for the next model.
func TestModelMovesAsFarAsItsGasGoes(t *testing.T) {
	w := modelled(t)
	r := w.model(types.ClassMove{Class: 1, Nodes: []uint32{1, 2, 3}})
	ctx := w.Ctx.WithGasMeter(storetypes.NewGasMeter(230_000))
	res, err := w.msgs.RecordModel(ctx, &types.MsgRecordModel{Authority: w.Text(reporter), Report: r})
	require.NoError(t, err)
	require.NotZero(t, res.Moved)
	require.Less(t, res.Moved, uint32(3))
	require.EqualValues(t, 1, w.at(1).Class)
	require.Zero(t, w.at(3).Class)
}
