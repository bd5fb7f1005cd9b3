package oracle

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// A vote whose round was over before it could be sent stays here: the chain would refuse it and take a fee from the bond.
func TestLateVotesAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVoter(nil, "fog1operator", slog.New(slog.DiscardHandler)) // without a broadcaster, so sending would panic
		late, end := context.WithCancel(t.Context())
		cast := make(chan error, 1)
		go func() { cast <- v.cast(late, oracletypes.Vote{RoundId: 7}, 0) }()
		synctest.Wait()
		end()
		require.ErrorIs(t, <-cast, context.Canceled)
		require.Len(t, v.queue, 1, "the vote waits, but nobody waits for it")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- v.run(ctx) }()
		time.Sleep(time.Minute)
		require.Empty(t, v.queue)
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}
