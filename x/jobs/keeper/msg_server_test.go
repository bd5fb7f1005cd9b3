package keeper_test

import (
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
)

func jsonUnmarshal(text string, into any) error { return json.Unmarshal([]byte(text), into) }

func TestOnlyTheOracleModuleReports(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 1))
	w.matchAll(job.Id, 0, 1, node)
	root := sha256.Sum256(nil)
	for _, authority := range []string{w.Authority, w.Text(addressOf("dev")), ""} {
		_, err := w.server().RecordMatches(w.Ctx, &types.MsgRecordMatches{
			Authority: authority, Voters: w.oracles, Batch: types.MatchBatch{Height: 1},
		})
		require.ErrorIs(t, err, types.ErrUnauthorized)
		_, err = w.server().RecordOutcomes(w.Ctx, &types.MsgRecordOutcomes{
			Authority: authority, Voters: w.oracles, JobId: job.Id, Attempt: 1, Outcome: types.Outcome{ResultRoot: root[:]},
		})
		require.ErrorIs(t, err, types.ErrUnauthorized)
	}
	_, err := w.server().RecordOutcomes(w.Ctx, &types.MsgRecordOutcomes{
		Authority: w.reporter, JobId: job.Id, Attempt: 1, Outcome: types.Outcome{ResultRoot: root[:]},
	})
	require.ErrorIs(t, err, types.ErrInvalidReport, "a report names its voters")
}

func TestOutcomeMustFitTheSlice(t *testing.T) {
	w := newWorld(t)
	node := w.addNode("prov", 1, 7200)
	job := w.submit(w.jobMsg("dev", "a", 10))
	w.matchAll(job.Id, 0, 4, node)
	w.matchAll(job.Id, 0, 4, node) // slice 2: tasks 4 to 7
	require.ErrorIs(t, w.tryReport(job.Id, 2, 2, 1000), types.ErrSliceState, "another attempt")
	require.ErrorIs(t, w.tryReport(job.Id, 0, 0, 1000), types.ErrSliceState, "not matched")
	require.ErrorIs(t, w.tryReport(job.Id, 9, 1, 1000), types.ErrSliceNotFound)
	require.ErrorIs(t, w.tryReport(job.Id, 2, 1, 1000, exit(3, 1)), types.ErrInvalidReport)
	require.ErrorIs(t, w.tryReport(job.Id, 2, 1, 1000, exit(8, 1)), types.ErrInvalidReport)
	require.NoError(t, w.tryReport(job.Id, 2, 1, 1000, exit(7, 1)))
	require.ErrorIs(t, w.tryReport(job.Id, 2, 1, 1000), types.ErrSliceState, "twice")
}

func TestUpdateParamsIsForGovernance(t *testing.T) {
	w := newWorld(t)
	p := types.DefaultParams()
	p.Fee = 200
	_, err := w.server().UpdateParams(w.Ctx, &types.MsgUpdateParams{Authority: w.Text(addressOf("dev")), Params: p})
	require.Error(t, err)
	p.Fee = 10_001
	_, err = w.server().UpdateParams(w.Ctx, &types.MsgUpdateParams{Authority: w.Authority, Params: p})
	require.ErrorIs(t, err, types.ErrInvalidParams)
	got, err := w.k.Params(w.Ctx)
	require.NoError(t, err)
	require.Equal(t, types.DefaultParams(), got)
	w.setParams(func(p *types.Params) { p.Fee = 200 })
}
