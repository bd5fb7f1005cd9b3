package nomad_test

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
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
	"github.com/foggrid/fogd/offchain/image"
)

// stage is a stand-in with a service whose runner says what the test wants.
type stage struct {
	*scene
	a      dispatch.Assignment
	states chan dispatch.ServiceState // to write down
	w      *dispatchtest.Watcher
}

func newStage(t *testing.T) *stage {
	s := &stage{states: make(chan dispatch.ServiceState)}
	s.scene = newScene(t, func(o *nomad.Options) {
		o.LookEvery = 20 * time.Millisecond
		o.Locate = func(context.Context, dispatch.Assignment) (nomad.Content, error) {
			return nomad.Content{Image: nomad.Picture{Ref: "registry/images@" + artifact.EmptyDigest.String(), Defaults: image.Defaults{Cmd: []string{"/x"}}}}, nil
		}
	})
	s.container = func(ctx context.Context, o runner.Order, shared string) int {
		log := filepath.Join(shared, runner.RunningLog(o.ID, o.FirstTask))
		if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
			return runner.ExitFailed
		}
		if err := os.WriteFile(log+".00000000000000000100", []byte("hello\n"), 0o644); err != nil {
			return runner.ExitFailed
		}
		for {
			select {
			case <-ctx.Done():
				return runner.ExitFailed
			case state := <-s.states:
				raw, err := json.Marshal(state)
				if err != nil {
					return runner.ExitFailed
				}
				file := filepath.Join(shared, runner.ServiceFile)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil || os.WriteFile(file+".part", raw, 0o644) != nil || os.Rename(file+".part", file) != nil {
					return runner.ExitFailed
				}
			}
		}
	}
	s.a = dispatchtest.ServiceAssignment(t, dispatchtest.Module{Path: "/image", Digest: artifact.EmptyDigest, Engine: dispatch.EngineDocker})
	s.a.Service.Health.Grace = 10 * time.Second
	require.NoError(t, s.d.Start(t.Context(), s.a))
	s.w = dispatchtest.WatchService(t, s.d, s.a.ID)
	return s
}

// check has Nomad's check end with a status, some seconds after the run of the service began.
func (s *stage) check(t *testing.T, status string, run time.Time, after time.Duration) {
	p := s.place(t)
	s.server.SetCheck(p.Namespace, nomad.JobID(s.a.ID, p.Node), status, run.Add(after))
}

// TestServiceHealth: three checks in a row, after the grace, make a service unhealthy; it is as the runner says otherwise.
func TestServiceHealth(t *testing.T) {
	s := newStage(t)
	run := time.Now().UTC().Truncate(time.Second)
	s.states <- dispatch.ServiceState{Phase: dispatch.ServiceRunning, Since: run}
	s.w.Until(dispatch.ServiceRunning)
	for _, after := range []time.Duration{1, 2, 3, 9} { // within the grace
		s.check(t, "failure", run, after*time.Second)
		time.Sleep(50 * time.Millisecond)
	}
	s.check(t, "success", run, 11*time.Second)
	require.Empty(t, s.w.Until(dispatch.ServiceHealthy).Message)
	for _, after := range []time.Duration{12, 13, 14} {
		s.check(t, "failure", run, after*time.Second)
		time.Sleep(100 * time.Millisecond)
	}
	require.Contains(t, s.w.Until(dispatch.ServiceUnhealthy).Message, "418")
	s.check(t, "success", run, 15*time.Second)
	s.w.Until(dispatch.ServiceHealthy)

	s.states <- dispatch.ServiceState{Phase: dispatch.ServiceRestarting, Reason: dispatch.ReasonExit, ExitCode: 3, Message: "exit code 3", Since: run}
	require.EqualValues(t, 3, s.w.Until(dispatch.ServiceRestarting).ExitCode)
	s.states <- dispatch.ServiceState{Phase: dispatch.ServiceRunning, Restarts: 1, Since: run.Add(time.Minute)}
	require.EqualValues(t, 1, s.w.Until(dispatch.ServiceRunning).Restarts, "checks of the run before do not count")
	require.Equal(t, 1, s.server.Registrations())
}

// TestServiceOfALostClient: Nomad places it again when the client is back.
func TestServiceOfALostClient(t *testing.T) {
	s := newStage(t)
	s.states <- dispatch.ServiceState{Phase: dispatch.ServiceRunning, Since: time.Now().UTC()}
	s.w.Until(dispatch.ServiceRunning)
	s.server.LoseClients()
	require.Equal(t, dispatch.ReasonNode, s.w.Until(dispatch.ServiceRestarting).Reason)
	s.server.ReturnClients()
	s.w.Until(dispatch.ServiceStarting)
	s.states <- dispatch.ServiceState{Phase: dispatch.ServiceRunning, Since: time.Now().UTC()}
	s.w.Until(dispatch.ServiceRunning)
	require.NoError(t, s.d.Stop(t.Context(), s.a.ID))
	require.Equal(t, dispatch.ReasonStopped, s.w.Until(dispatch.ServiceStopped).Reason)
	require.Equal(t, "hello\n", dispatchtest.ReadLog(t, s.d, s.a.ID, 0))
	require.Error(t, s.d.Follow(t.Context(), s.a.ID, 0, 0, func(offset uint64, piece []byte) error {
		require.EqualValues(t, 100, offset, "the place in a log whose beginning is gone")
		require.Equal(t, "hello\n", string(piece))
		return context.Canceled
	}))
}

// TestServiceEndedInNomad: what an operator, or another oracle, has stopped does not come back.
func TestServiceEndedInNomad(t *testing.T) {
	s := newStage(t)
	s.states <- dispatch.ServiceState{Phase: dispatch.ServiceRunning, Since: time.Now().UTC()}
	s.w.Until(dispatch.ServiceRunning)
	second := s.second(t)
	require.NoError(t, second.Start(t.Context(), s.a))
	require.NoError(t, second.Stop(t.Context(), s.a.ID))
	require.Contains(t, s.w.Until(dispatch.ServiceStopped).Message, "Nomad ended the service")
}

// TestServiceThatCannotRun: its runner says so, and the job is taken off.
func TestServiceThatCannotRun(t *testing.T) {
	s := newStage(t)
	s.states <- dispatch.ServiceState{Phase: dispatch.ServiceStopped, Reason: dispatch.ReasonBadImage, Message: "no program", Since: time.Now().UTC()}
	stopped := s.w.Until(dispatch.ServiceStopped)
	require.Equal(t, dispatch.ReasonBadImage, stopped.Reason)
	require.Equal(t, "no program", stopped.Message)
	p := s.place(t)
	require.True(t, s.server.Stopped(p.Namespace, nomad.JobID(s.a.ID, p.Node)))
}
