package link

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/challenge"
)

// A challenge at given instants takes the slot before the first; whose slot is taken then has missed it.
func TestChallengeAtAnInstant(t *testing.T) {
	s, addr := startOracle(t, nil)
	opts := agentOptions(t, addr)
	runAgent(t, opts)
	session := sessionOf(t, s, testNode)
	at := func(first time.Time) challenge.Spec {
		return challenge.Spec{
			Kind: challenge.CPUAll, Declared: challenge.Declared{Cores: 2, CPUAll: 2000},
			Together: &challenge.Together{Tries: []time.Time{first, first.Add(time.Millisecond), first}, Window: 10 * time.Millisecond},
		}
	}
	m, err := session.Challenge(t.Context(), at(time.Now().Add(100*time.Millisecond)))
	require.NoError(t, err)
	require.NotZero(t, m.CPUAll)

	eventually(t, "the slot stays taken", func() bool { return !opts.Slot.Busy() })
	release, err := opts.Slot.Acquire(t.Context())
	require.NoError(t, err)
	_, err = session.Challenge(t.Context(), at(time.Now().Add(-900*time.Millisecond)))
	require.ErrorIs(t, err, ErrNotGranted)
	release()
}
