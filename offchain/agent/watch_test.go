package agent

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"

	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// ownerKey is that of all jobs in these tests.
var ownerKey = &secp256k1.PrivKey{Key: bytes.Repeat([]byte{5}, 32)}

// jobsOf answers an oracle's questions from the world.
type jobsOf struct{ w *world }

func (j jobsOf) Owner(context.Context, string) ([]byte, error) {
	return ownerKey.PubKey().Address(), nil
}

func (j jobsOf) Place(_ context.Context, id string, task uint32) (link.Place, error) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	for _, s := range j.w.slices {
		if s.JobId == id && task >= s.FirstTask && task-s.FirstTask < s.TaskCount {
			if s.Status != jobstypes.SLICE_STATUS_MATCHED {
				return link.Place{Over: true}, nil
			}
			return link.Place{NodeID: s.NodeId, Slice: s.Number, Attempt: s.Attempt}, nil
		}
	}
	return link.Place{}, link.ErrNoJob
}

type ownerSigner struct{ key *secp256k1.PrivKey }

func (s ownerSigner) PubKey() cryptotypes.PubKey      { return s.key.PubKey() }
func (s ownerSigner) Sign(msg []byte) ([]byte, error) { return s.key.Sign(msg) }
func (w *world) developer() *jobclient.Client         { return &jobclient.Client{Chain: w.node.Client()} }
func owns(key *secp256k1.PrivKey) ownerSigner         { return ownerSigner{key} }
func watchOf(id string, kind link.WatchKind) jobclient.Watch {
	return jobclient.Watch{JobID: id, Task: 1, Kind: kind, Owner: owns(ownerKey)}
}

// TestOwnersWatch follows a task from its first line to its end over two oracles, of which one goes away in the middle.
func TestOwnersWatch(t *testing.T) {
	w := newWorld(t)
	first := w.oracle("first", func(o *oracle) { o.jobs = jobsOf{w} })
	second := w.oracle("second", func(o *oracle) { o.jobs = jobsOf{w} })
	job := w.job(testJob, 2, "wait", "0")
	w.match(job, 1, 0, 2)
	p := w.run(t.TempDir())

	enough := errors.New("enough")
	stats := watchOf(testJob, link.WatchStats)
	stats.Piece = func(p link.Piece) error {
		if p.Stats.Running {
			require.False(t, p.Stats.Measured, "of a module")
			require.False(t, p.Stats.Started.IsZero())
			return enough
		}
		return nil
	}
	require.ErrorIs(t, w.developer().Follow(t.Context(), stats), enough)

	stranger := watchOf(testJob, link.WatchLog)
	stranger.Owner = owns(&secp256k1.PrivKey{Key: bytes.Repeat([]byte{6}, 32)})
	stranger.Piece = func(link.Piece) error { return nil }
	require.ErrorIs(t, w.developer().Follow(t.Context(), stranger), link.ErrMayNotWatch)

	log := watchOf(testJob, link.WatchLog)
	var text string
	began := make(chan struct{})
	say := sync.OnceFunc(func() { close(began) })
	log.Piece = func(p link.Piece) error {
		require.EqualValues(t, len(text), p.Offset)
		text += string(p.Log)
		say()
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- w.developer().Follow(t.Context(), log) }()
	<-began
	first.stop()
	p.release(w.inputs(job))
	require.NoError(t, <-ended)
	require.Equal(t, "task 1 began\n", text)
	second.stop()
}
