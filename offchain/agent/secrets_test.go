package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
)

type secretFunc func(owner string, paths []string) ([][]byte, error)

func (f secretFunc) JobSecrets(_ context.Context, _ dispatch.AttemptID, owner string, paths []string) ([][]byte, error) {
	return f(owner, paths)
}

func TestFillSecrets(t *testing.T) {
	refs := []jobfile.SecretRef{{Name: "A", Path: "x/a"}, {Name: "B", Path: "b"}}
	fill := func(source SecretSource, refs []jobfile.SecretRef) (dispatch.Assignment, error) {
		out := dispatch.Assignment{Secrets: []dispatch.Secret{{Name: "A"}, {Name: "B"}}}
		key, err := (&Agent{cfg: Config{Secrets: source}}).fillSecrets(t.Context(), &out, "fog1alice", jobfile.Spec{Secrets: refs})
		require.Empty(t, key)
		return out, err
	}
	out, err := fill(secretFunc(func(owner string, paths []string) ([][]byte, error) {
		require.Equal(t, "fog1alice", owner)
		require.Equal(t, []string{"x/a", "b"}, paths)
		return [][]byte{[]byte("of a"), []byte("of b")}, nil
	}), refs)
	require.NoError(t, err)
	require.Equal(t, "of a", string(out.Secrets[0].Value))
	require.Equal(t, "of b", string(out.Secrets[1].Value))

	_, err = fill(nil, nil)
	require.NoError(t, err, "a job without secrets needs no gateway")
	_, err = fill(nil, refs)
	require.ErrorIs(t, err, dispatch.ErrInvalidAssignment)
	require.ErrorContains(t, err, "--gateway")
	failing := func(failure error) error {
		_, err := fill(secretFunc(func(string, []string) ([][]byte, error) { return nil, failure }), refs)
		require.ErrorIs(t, err, failure)
		return err
	}
	require.ErrorIs(t, failing(secrets.ErrNoStore), dispatch.ErrInvalidAssignment, "no waiting helps")
	var fault *handover.JobError
	require.ErrorAs(t, failing(client.ErrNotFound), &fault, "the owner's to set")
	require.False(t, errors.As(failing(secrets.ErrNoLoan), &fault), "it is asked for again")
}

// The owner is told once for each reason why a job waits for its secrets, and of other failures nothing.
func TestOwnerIsToldWhyAJobWaits(t *testing.T) {
	a := &Agent{cfg: Config{Dir: t.TempDir()}}
	r := &run{agent: a, log: slog.New(slog.DiscardHandler), journal: a.journalOf(dispatch.AttemptID{Job: "job1x", Attempt: 1})}
	for _, reason := range []string{"sealed", "sealed", "denied"} {
		r.complain(fmt.Errorf("%w: %s", errSecrets, reason))
	}
	r.complain(errors.New("the registry is away"))
	var told []string
	require.NoError(t, r.journal.follow(t.Context(), 0, true, nil, func(_ uint64, piece []byte) error {
		for line := range bytes.Lines(piece) {
			var e dispatch.Event
			require.NoError(t, json.Unmarshal(line, &e))
			require.Equal(t, "waiting", e.Event)
			told = append(told, e.Message)
		}
		return nil
	}))
	require.Equal(t, []string{"the job's secrets: sealed", "the job's secrets: denied"}, told)
}
