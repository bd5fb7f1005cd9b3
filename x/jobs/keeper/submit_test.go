package keeper_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/types"
)

func TestSubmitCutsTasksIntoSlices(t *testing.T) {
	w := newWorld(t)
	job := w.submit(w.jobMsg("dev", "a", 600))
	require.EqualValues(t, 3, job.NextSlice)
	require.EqualValues(t, 3, job.OpenSlices)
	require.EqualValues(t, 600, job.MinSuccess, "all, if it is left out")
	for number, want := range []struct{ first, count uint32 }{{0, 256}, {256, 256}, {512, 88}} {
		s := w.slice(job.Id, uint32(number))
		require.Equal(t, want.first, s.FirstTask)
		require.Equal(t, want.count, s.TaskCount)
		require.EqualValues(t, 301*want.count, s.Budget)
		require.EqualValues(t, 4*want.count, s.FeeBudget)
	}
	w.NextBlock()
	w.check()
}

func TestSubmitRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*types.MsgSubmitJob)
		want   error
		says   string
	}{
		"too many tasks":    {func(m *types.MsgSubmitJob) { m.Tasks = 100_001 }, types.ErrInvalidField, "tasks: 100001; it must be 1 to 100000"},
		"too short":         {func(m *types.MsgSubmitJob) { m.MaxDuration = 59 }, types.ErrInvalidField, "max_duration: 59; it must be 60 to 604800"},
		"too long":          {func(m *types.MsgSubmitJob) { m.MaxDuration = 604_801 }, types.ErrInvalidField, "max_duration"},
		"deadline too late": {func(m *types.MsgSubmitJob) { m.Deadline = 30*24*3600 + 1 }, types.ErrInvalidField, "deadline"},
		"a short service": {func(m *types.MsgSubmitJob) {
			m.Type, m.Tasks, m.MaxDuration, m.Replicas, m.FundedTime = types.JOB_TYPE_SERVICE, 0, 0, 1, 359
		}, types.ErrInvalidField, "funded_time: 359; it must be at least 360 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Fund(addressOf("dev"), 1_000_000)
			msg := w.jobMsg("dev", "a", 1)
			c.change(msg)
			err := w.Tx(func(ctx sdk.Context) error {
				_, err := w.server().SubmitJob(ctx, msg)
				return err
			})
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
			require.EqualValues(t, 1_000_000, w.Wallet(addressOf("dev")))
		})
	}
}

func TestSubmitRefusesABudgetOver64Bits(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *types.Params) { p.MaxTasks = 1_000_000 })
	msg := w.jobMsg("dev", "a", 1_000_000)
	msg.PriceCap, msg.MaxDuration = types.MaxPrice, 604_800
	_, err := w.server().SubmitJob(w.Ctx, msg)
	require.ErrorIs(t, err, escrowtypes.ErrOverflow)
}

func TestSubmitNeedsTheMoneyAndAFreshSalt(t *testing.T) {
	w := newWorld(t)
	msg := w.jobMsg("dev", "a", 1)
	submit := func() error {
		return w.Tx(func(ctx sdk.Context) error {
			_, err := w.server().SubmitJob(ctx, msg)
			return err
		})
	}
	w.Fund(addressOf("dev"), 304)
	require.ErrorContains(t, submit(), "insufficient funds")
	w.Fund(addressOf("dev"), 1)
	require.NoError(t, submit())
	w.Fund(addressOf("dev"), 1000)
	require.ErrorIs(t, submit(), types.ErrJobExists)
	require.EqualValues(t, 1000, w.Wallet(addressOf("dev")))
	msg.Owner = w.Text(addressOf("other"))
	w.Fund(addressOf("other"), 305)
	require.NoError(t, submit(), "the salt is the owner's")
}

func TestSubmitPrepaysTheGasOfItsSlices(t *testing.T) {
	w := newWorld(t)
	gas := func(salt string, tasks uint32) uint64 {
		var used uint64
		w.Fund(addressOf("dev"), 305*uint64(tasks))
		require.NoError(t, w.Tx(func(ctx sdk.Context) error {
			ctx = ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
			_, err := w.server().SubmitJob(ctx, w.jobMsg("dev", salt, tasks))
			used = ctx.GasMeter().GasConsumed()
			return err
		}))
		return used
	}
	one, many := gas("a", 1), gas("b", 1025)
	require.Greater(t, many, one+4*20_000+1024*500)
}
