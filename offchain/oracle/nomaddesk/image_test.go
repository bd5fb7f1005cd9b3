package nomaddesk

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// pull is a client that gets an image, and notes by whom.
func (w *world) pull(ref, username, password string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pulled = append(w.pulled, username+":"+password+"@"+ref)
	return true
}

// contained is a container of a job's image whose program says what it was called with, and ends well.
func (w *world) contained(ctx context.Context, o runner.Order, shared string) int {
	left := filepath.Join(shared, "fog")
	if err := os.MkdirAll(left, 0o755); err != nil {
		return runner.ExitFailed
	}
	log, err := json.Marshal(o.Image)
	if err != nil {
		return runner.ExitFailed
	}
	now := time.Now().UTC()
	if o.Service != nil {
		return contain(ctx, shared, o)
	}
	outcome, err := json.Marshal(dispatch.TaskOutcome{
		Task: o.FirstTask, Reason: dispatch.ReasonOK, Result: artifact.EmptyDigest, ResultSize: 1024, Started: now, Finished: now,
	})
	if err != nil {
		return runner.ExitFailed
	}
	for name, content := range map[string][]byte{runner.LogFile: log, runner.OutcomeFile: outcome} {
		if err := os.WriteFile(filepath.Join(shared, name), content, 0o644); err != nil {
			return runner.ExitFailed
		}
	}
	return 0
}

// pushProgram pushes an image of one program to the registry.
func (w *world) pushProgram() image.Image {
	img, err := image.BuildBytes(filepath.Join(w.t.TempDir(), "image"), []byte("program"), "amd64")
	require.NoError(w.t, err)
	require.NoError(w.t, w.registry.PushImage(w.t.Context(), w.registry.ContentRepo(w.owner, client.RepoImages, img.Digest), img))
	return img
}

// TestImage: an image is pulled by its digest from the registry, with what this job's pull needs.
func TestImage(t *testing.T) {
	w := newWorld(t)
	img := w.pushProgram()
	s := w.match(w.container("job1x", img.Digest), 0, 0, 1)
	d := w.desk(func(o *Options) {
		o.Pull = func(_ context.Context, id dispatch.AttemptID) (Credentials, error) {
			return Credentials{Username: "of " + id.Job, Password: "secret"}, nil
		}
	})
	r := w.report(d, s, 0)
	w.reasons(r, link.ReasonNone)
	require.NotZero(t, r.ManifestDigest)
	require.Equal(t, []string{"of job1x:secret@" + w.url[len("http://"):] + "/images@" + img.Digest.String()}, w.pulled)
}
