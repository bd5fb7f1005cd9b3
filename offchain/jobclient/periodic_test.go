package jobclient

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/chain"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const periodicText = jobText + `type: periodic
schedule:
  cron: 30 2 * * 1-5
  time_zone: Asia/Kathmandu
  overlap: replace
  runs: 7
`

func TestSubmitPeriodicJob(t *testing.T) {
	w := newWorld(t)
	f := jobFile(t, periodicText, "\x00asm1234")
	p, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	out, err := w.client.Submit(t.Context(), f, p, "salt")
	require.NoError(t, err)
	msg := w.sent[0].(*jobstypes.MsgSubmitJob)
	require.NoError(t, msg.Validate(w.client.Chain.Codec().Accounts()))
	require.Equal(t, jobstypes.JOB_TYPE_PERIODIC, msg.Type)
	require.Equal(t, []string{"30 2 * * 1-5", "<+0545>-5:45"}, []string{msg.Schedule, msg.TimeZone})
	require.Equal(t, jobstypes.OVERLAP_REPLACE, msg.Overlap)
	require.EqualValues(t, 7, msg.Runs)
	// Three tasks of ten minutes at 0.5 FOG an hour, 1 % and the run fee, seven times.
	require.EqualValues(t, 7*(3*(83_334+834)+5_000), out.Funded)
	require.EqualValues(t, 77, out.NextTime)

	w.refuse = &chain.TxError{Codespace: jobstypes.ModuleName, Code: jobstypes.ErrJobExists.ABCICode()}
	again, err := w.client.Submit(t.Context(), f, p, "salt")
	require.NoError(t, err)
	require.True(t, again.Existed)
	f.Schedule.Runs = 8
	_, err = w.client.Submit(t.Context(), f, p, "salt")
	require.ErrorIs(t, err, ErrSaltTaken)
	batch := jobFile(t, jobText, "\x00asm1234")
	_, err = w.client.Submit(t.Context(), batch, p, "salt")
	require.ErrorIs(t, err, ErrSaltTaken)
}

func TestPeriodicJobIsReadToppedUpAndCancelled(t *testing.T) {
	w := newWorld(t)
	f := jobFile(t, strings.Replace(periodicText, "Asia/Kathmandu", "UTC", 1), "\x00asm1234")
	p, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	out, err := w.client.Submit(t.Context(), f, p, "salt")
	require.NoError(t, err)

	parent, err := escrowtypes.ParseID(jobstypes.JobHRP, out.JobID)
	require.NoError(t, err)
	job := w.periodic[out.JobID]
	job.Runs = 3
	w.periodic[out.JobID] = job
	for n := uint64(1); n <= 3; n++ {
		id := jobstypes.RunID(parent, n).Bech32(jobstypes.JobHRP)
		w.jobs[id] = jobstypes.Job{Id: id, Parent: out.JobID, Run: n}
	}
	job, err = w.client.PeriodicJob(t.Context(), out.JobID)
	require.NoError(t, err)
	runs, err := w.client.LastRuns(t.Context(), job, 2)
	require.NoError(t, err)
	require.Equal(t, []uint64{3, 2}, []uint64{runs[0].Run, runs[1].Run})

	next, err := w.client.TopUp(t.Context(), out.JobID, 5)
	require.NoError(t, err)
	require.EqualValues(t, 77, next)
	_, err = w.client.Cancel(t.Context(), out.JobID)
	require.NoError(t, err)
	require.Equal(t, &jobstypes.MsgTopUpJob{Owner: w.owner, JobId: out.JobID, Amount: 5}, w.sent[1])
	require.Equal(t, &jobstypes.MsgCancelJob{Owner: w.owner, JobId: out.JobID}, w.sent[2])

	none := jobstypes.RunID(parent, 4).Bech32(jobstypes.JobHRP)
	_, err = w.client.TopUp(t.Context(), none, 5)
	require.ErrorIs(t, err, ErrNoSuchJob)
	_, err = w.client.Cancel(t.Context(), none)
	require.ErrorIs(t, err, ErrNoSuchJob)
	_, err = w.client.Withdraw(t.Context(), none)
	require.ErrorIs(t, err, ErrNoSuchJob)
}
