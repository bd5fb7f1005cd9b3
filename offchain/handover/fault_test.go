package handover_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/registry/client"
)

func TestVerdict(t *testing.T) {
	var v handover.Verdict
	for range 2 * handover.Doubts {
		require.False(t, v.IsJobs(errors.New("the registry does not answer")))
	}
	missing := handover.Blame(client.ErrNotFound)
	for range handover.Doubts - 1 {
		require.False(t, v.IsJobs(missing), "it may come")
	}
	require.True(t, v.IsJobs(missing))
	var fresh handover.Verdict
	require.True(t, fresh.IsJobs(handover.Blame(client.ErrTooLarge)), "beyond doubt")
}
