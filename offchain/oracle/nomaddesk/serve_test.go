package nomaddesk

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// contain is a container of a service that runs, and writes one line, until it is ended.
func contain(ctx context.Context, shared string, o runner.Order) int {
	state, err := json.Marshal(dispatch.ServiceState{Phase: dispatch.ServiceRunning, Since: time.Now().UTC()})
	if err != nil {
		return runner.ExitFailed
	}
	for name, content := range map[string][]byte{
		runner.ServiceFile: state, runner.RunningLog(o.ID, o.FirstTask) + ".00000000000000000000": []byte("serving\n"),
	} {
		file := filepath.Join(shared, name)
		if os.MkdirAll(filepath.Dir(file), 0o755) != nil || os.WriteFile(file, content, 0o644) != nil {
			return runner.ExitFailed
		}
	}
	<-ctx.Done()
	return 0
}

// service puts a service of one port without a check on chain, and a replica of it on the node.
func (w *world) service(id string) jobstypes.Slice {
	img := w.pushProgram()
	job := w.putJob(id, jobfile.Spec{
		Version: jobfile.Version, Name: "test", Engine: jobfile.EngineDocker, Module: img.Digest, Tasks: 1, CPU: 100, Memory: 64, Storage: 1,
		Service: &jobfile.ServiceSpec{
			Ports:  []jobfile.PortSpec{{Name: "web", Protocol: "tcp", ContainerPort: 80}},
			Health: jobfile.HealthSpec{Kind: dispatch.HealthTCP, Port: "web", Interval: 10, Timeout: 2, Grace: 1},
		},
	})
	job.Service = &jobstypes.Service{}
	w.edit(func() { w.jobs[id] = job })
	s := w.match(job, 3, 2, 1)
	s.Serving = &jobstypes.Serving{
		Revision: jobstypes.Revision{SpecDigest: job.SpecDigest, ImageDigest: job.ImageDigest},
		Ports:    []jobstypes.Port{{Name: "web", Protocol: jobstypes.PROTOCOL_TCP, ContainerPort: 80, HostPort: 30_000}},
	}
	w.put(s)
	return s
}

// TestServe: a service runs for as long as the chain wants it, whoever registers it, and each oracle sees for itself how it is.
func TestServe(t *testing.T) {
	w := newWorld(t)
	s := w.service("job1x")
	s.MatchedTime -= 600 // long ago: of services nobody says that it is too late
	w.put(s)
	var g errgroup.Group
	told := make([]chan link.ProgressState, 2)
	desks := make([]*Desk, 2)
	for rank := range desks {
		told[rank], desks[rank] = make(chan link.ProgressState, 1000), w.desk()
		g.Go(func() error {
			return desks[rank].Serve(t.Context(), s, rank, func(p link.ProgressState) { told[rank] <- p })
		})
	}
	until := func(rank int, want link.ProgressState) {
		t.Helper()
		w.eventually("the state", func() bool {
			select {
			case got := <-told[rank]:
				return got == want
			default:
				return false
			}
		})
	}
	until(0, link.ProgressRunning)
	w.nomad.SetCheck("default", jobID(s), "pending", time.Now())
	w.nomad.SetCheck("default", jobID(s), "success", time.Now())
	until(0, link.ProgressServing)
	until(0, link.ProgressServing) // again and again

	text := ""
	err := desks[0].Follow(t.Context(), link.TaskRef{JobID: s.JobId, Slice: 3, Attempt: 1, Task: 2}, 0, func(_ uint64, piece []byte) error {
		text += string(piece)
		return context.Canceled
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "serving\n", text)
	stats, over, err := desks[0].Stats(t.Context(), link.TaskRef{JobID: s.JobId, Slice: 3, Attempt: 1, Task: 2})
	require.NoError(t, err)
	require.True(t, stats.Running && !over)
	_, _, err = desks[0].Stats(t.Context(), link.TaskRef{JobID: s.JobId, Slice: 4, Attempt: 1, Task: 2})
	require.ErrorIs(t, err, dispatch.ErrUnknownAttempt, "what this oracle does not watch it does not show")
	require.Equal(t, 1, w.nomad.Registrations())

	s.Status = jobstypes.SLICE_STATUS_SETTLED
	w.put(s)
	for _, d := range desks {
		d.Kick()
	}
	w.eventually("it ends", func() bool { return w.nomad.Running() == 0 })
	require.ErrorIs(t, g.Wait(), errOver)
	w.eventually("it is forgotten", func() bool {
		kept, err := desks[0].nomad.Kept()
		require.NoError(t, err)
		return len(kept) == 0
	})
	require.True(t, w.nomad.Stopped("default", jobID(s)))
	require.Equal(t, dispatch.AttemptID{Job: "job1x", Slice: 3, Attempt: 1}, handover.ID(s))
}

// TestServiceThatTheJobSpoiled: what no node could run is the developer's.
func TestServiceThatTheJobSpoiled(t *testing.T) {
	w := newWorld(t)
	s := w.service("job1x")
	s.Serving.Revision.ImageDigest = s.Serving.Revision.SpecDigest
	ctx, cancel := context.WithCancel(t.Context())
	err := w.desk().Serve(ctx, s, 0, func(p link.ProgressState) {
		if p == link.ProgressUnhealthy {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, w.nomad.Registrations())
}
