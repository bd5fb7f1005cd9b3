package nomad_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/nomadtest"
)

const patience = 2 * time.Minute

// never is an interval that no test waits for.
const never = time.Hour

// scene is one dispatcher and the stand-in that it talks to.
type scene struct {
	*world
	server *nomadtest.Server
	guest  dispatchtest.Module
	opts   nomad.Options
	d      *nomad.Dispatcher
}

func newScene(t *testing.T, change func(*nomad.Options)) *scene {
	w, server := standIn(t)
	s := &scene{world: w, server: server, guest: dispatchtest.BuildGuest(t), opts: w.options(t, t.TempDir())}
	s.opts.ReconcileEvery = never
	if change != nil {
		change(&s.opts)
	}
	s.d = openNomad(t, s.opts)
	return s
}

// start begins tasks that wait until they are released.
func (s *scene) start(t *testing.T, tasks uint32) dispatch.Assignment {
	a := dispatchtest.WithInputs(t, dispatchtest.Assignment(s.guest, tasks, "wait", "0"))
	require.NoError(t, s.d.Start(context.Background(), a))
	return a
}

func (s *scene) place(t *testing.T) nomad.Placement {
	p, err := s.opts.Place(context.Background(), dispatch.AttemptID{})
	require.NoError(t, err)
	return p
}

func (s *scene) running(t *testing.T, n int) {
	require.Eventually(t, func() bool { return s.server.Running() == n }, patience, 10*time.Millisecond)
}

func watch(t *testing.T, d dispatch.Dispatcher, a dispatch.Assignment) dispatch.Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := d.Watch(ctx, a.ID, nil)
	require.NoError(t, err)
	require.Len(t, out.Tasks, int(a.Tasks))
	return out
}

func requireReason(t *testing.T, out dispatch.Outcome, want dispatch.Reason, message string) {
	for _, task := range out.Tasks {
		require.Equal(t, want, task.Reason, task.Message)
		require.Contains(t, task.Message, message)
	}
}

func TestSecondOracleAdopts(t *testing.T) {
	s := newScene(t, nil)
	a := s.start(t, 2)
	other := s.opts
	other.Dir = t.TempDir()
	second := openNomad(t, other)
	changed := a
	changed.Args = []string{"wait", "1"}
	require.ErrorIs(t, second.Start(context.Background(), changed), dispatch.ErrConflict)
	require.NoError(t, second.Start(context.Background(), a))
	s.release(t, a)
	requireReason(t, watch(t, s.d, a), dispatch.ReasonOK, "")
	mine, theirs := watch(t, s.d, a), watch(t, second, a)
	require.Equal(t, mine.ResultRoot(), theirs.ResultRoot())
	require.Equal(t, 1, s.server.Registrations())
}

// TestStopReachesEveryOracle: a stopped job stays in Nomad, so that who comes later does not register the attempt again.
func TestStopReachesEveryOracle(t *testing.T) {
	s := newScene(t, nil)
	a := s.start(t, 1)
	s.running(t, 1)
	require.NoError(t, s.d.Stop(context.Background(), a.ID))
	other := s.opts
	other.Dir = t.TempDir()
	second := openNomad(t, other)
	require.NoError(t, second.Start(context.Background(), a))
	requireReason(t, watch(t, second, a), dispatch.ReasonNode, "Nomad ended the task")
	require.Equal(t, 1, s.server.Registrations())
}

func TestNewsGetLost(t *testing.T) {
	for name, lose := range map[string]func(*nomadtest.Server){
		"stream cut":    func(s *nomadtest.Server) { s.CutStreams() },
		"index back":    func(s *nomadtest.Server) { s.Rewind(3) },
		"index forward": func(s *nomadtest.Server) { s.Rewind(-100_000) },
		"errors":        func(s *nomadtest.Server) { s.FailRequests(5); s.CutStreams() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, nil)
			a := s.start(t, 2)
			s.running(t, 2)
			lose(s.server)
			s.release(t, a)
			requireReason(t, watch(t, s.d, a), dispatch.ReasonOK, "")
		})
	}
}

// TestListsReplaceEvents never gets an event.
func TestListsReplaceEvents(t *testing.T) {
	s := newScene(t, func(o *nomad.Options) { o.ReconcileEvery = 100 * time.Millisecond })
	s.server.MuteEvents(true)
	a := s.start(t, 2)
	s.release(t, a)
	requireReason(t, watch(t, s.d, a), dispatch.ReasonOK, "")
}

// TestReconnectLists has its events lost while it is not connected.
func TestReconnectLists(t *testing.T) {
	s := newScene(t, nil)
	a := s.start(t, 1)
	s.running(t, 1)
	s.server.MuteEvents(true)
	s.release(t, a)
	s.running(t, 0)
	s.server.CutStreams()
	requireReason(t, watch(t, s.d, a), dispatch.ReasonOK, "")
}

func TestLeaderChange(t *testing.T) {
	s := newScene(t, func(o *nomad.Options) { o.ReconcileEvery = 2 * time.Second })
	a := s.start(t, 1)
	defer s.release(t, a)
	require.Eventually(t, func() bool { return s.server.Connections() == 1 }, patience, 10*time.Millisecond)
	s.server.SetLeader("127.0.0.2:4647")
	require.Eventually(t, func() bool { return s.server.Connections() == 2 }, patience, 10*time.Millisecond)
}

// TestClientLost: what is lost is not run again when its client comes back, although Nomad would.
func TestClientLost(t *testing.T) {
	s := newScene(t, nil)
	a := s.start(t, 2)
	s.running(t, 2)
	s.server.LoseClients()
	requireReason(t, watch(t, s.d, a), dispatch.ReasonNode, "client was lost")
	p := s.place(t)
	require.True(t, s.server.Stopped(p.Namespace, nomad.JobID(a.ID, p.Node)))
	s.server.ReturnClients()
	s.running(t, 0)
	require.Equal(t, 2, s.server.Placed(p.Namespace, nomad.JobID(a.ID, p.Node)))
}

// TestClientUnknown: a client of which Nomad 1.8 only says that it does not know it is lost after a while, and one that is back before is not.
func TestClientUnknown(t *testing.T) {
	s := newScene(t, func(o *nomad.Options) { o.LostAfter = never })
	a := s.start(t, 2)
	s.running(t, 2)
	s.server.DisconnectClients()
	time.Sleep(200 * time.Millisecond)
	s.server.ReturnClients()
	s.release(t, a)
	requireReason(t, watch(t, s.d, a), dispatch.ReasonOK, "")

	s = newScene(t, func(o *nomad.Options) { o.LostAfter = 100 * time.Millisecond })
	a = s.start(t, 2)
	s.running(t, 2)
	s.server.DisconnectClients()
	requireReason(t, watch(t, s.d, a), dispatch.ReasonNode, "client was lost")
	p := s.place(t)
	require.True(t, s.server.Stopped(p.Namespace, nomad.JobID(a.ID, p.Node)))
	s.server.ReturnClients()
	s.running(t, 0)
	require.Equal(t, 2, s.server.Placed(p.Namespace, nomad.JobID(a.ID, p.Node)))
}

func TestEvicted(t *testing.T) {
	s := newScene(t, nil)
	a := s.start(t, 2)
	s.running(t, 2)
	p := s.place(t)
	s.server.Evict(p.Namespace, nomad.JobID(a.ID, p.Node))
	requireReason(t, watch(t, s.d, a), dispatch.ReasonNode, "Preempted by alloc")
	require.True(t, s.server.Stopped(p.Namespace, nomad.JobID(a.ID, p.Node)))
	s.running(t, 0)
}

func TestNoRoom(t *testing.T) {
	s := newScene(t, func(o *nomad.Options) { o.PlacementTimeout = 200 * time.Millisecond })
	first := s.start(t, 4) // takes all processors
	s.running(t, 4)
	second := dispatchtest.Assignment(s.guest, 2, "exit", "0")
	second.ID.Slice = 2
	require.NoError(t, s.d.Start(context.Background(), second))
	requireReason(t, watch(t, s.d, second), dispatch.ReasonNode, "cpu exhausted on 1")
	p := s.place(t)
	require.True(t, s.server.Stopped(p.Namespace, nomad.JobID(second.ID, p.Node)))
	s.release(t, first)
	requireReason(t, watch(t, s.d, first), dispatch.ReasonOK, "")
}

func TestDeadline(t *testing.T) {
	var deadline time.Time
	s := newScene(t, func(o *nomad.Options) {
		place := o.Place
		o.Place = func(ctx context.Context, id dispatch.AttemptID) (nomad.Placement, error) {
			p, err := place(ctx, id)
			p.Deadline = deadline
			return p, err
		}
	})
	deadline = time.Now().Add(-time.Second)
	a := dispatchtest.WithInputs(t, dispatchtest.Assignment(s.guest, 1, "wait", "0"))
	require.ErrorContains(t, s.d.Start(context.Background(), a), "deadline")
	require.Zero(t, s.server.Registrations())

	deadline = time.Now().Add(2 * time.Second)
	require.NoError(t, s.d.Start(context.Background(), a))
	requireReason(t, watch(t, s.d, a), dispatch.ReasonNode, "deadline")
	s.running(t, 0)
}

func TestWhatNodesGetWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*nomad.Options)
		message string
	}{
		"image": {func(o *nomad.Options) { o.Image.Ref = "127.0.0.1:1/none@sha256:00" }, "Driver Failure: Failed to pull"},
		"download": {func(o *nomad.Options) {
			o.Locate = func(context.Context, dispatch.Assignment) (nomad.Content, error) {
				return nomad.Content{Module: nomad.Source{URL: "http://127.0.0.1:1/module"}}, nil
			}
		}, "Failed Artifact Download"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, c.change)
			a := dispatchtest.Assignment(s.guest, 2, "exit", "0")
			require.NoError(t, s.d.Start(context.Background(), a))
			requireReason(t, watch(t, s.d, a), dispatch.ReasonNode, c.message)
		})
	}
}

// TestFilesOutOfReach: a client without a connection is not one whose task left nothing.
func TestFilesOutOfReach(t *testing.T) {
	s := newScene(t, nil)
	a := s.start(t, 1)
	s.running(t, 1)
	s.server.Unreachable(true)
	s.release(t, a)
	s.running(t, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := s.d.Watch(ctx, a.ID, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	s.server.Unreachable(false)
	requireReason(t, watch(t, s.d, a), dispatch.ReasonOK, "")
}

func TestFilesStayOutOfReach(t *testing.T) {
	s := newScene(t, func(o *nomad.Options) { o.CollectTimeout = 500 * time.Millisecond })
	a := s.start(t, 1)
	s.running(t, 1)
	s.server.Unreachable(true)
	s.release(t, a)
	requireReason(t, watch(t, s.d, a), dispatch.ReasonNode, "its result cannot be fetched")
}

func TestKept(t *testing.T) {
	s := newScene(t, nil)
	want := []dispatch.AttemptID{{Job: "job1a", Slice: 2}, {Job: "job1a", Slice: 10, Attempt: 1}}
	for _, id := range slices.Backward(want) {
		a := dispatchtest.Assignment(s.guest, 1, "exit", "0")
		a.ID = id
		dispatchtest.RunToEnd(t, s.d, a)
	}
	kept, err := s.d.Kept()
	require.NoError(t, err)
	require.Equal(t, want, kept)
	require.NoError(t, s.d.Remove(context.Background(), want[0]))
	kept, err = s.d.Kept()
	require.NoError(t, err)
	require.Equal(t, want[1:], kept)
}

func TestUnknownNode(t *testing.T) {
	s := newScene(t, func(o *nomad.Options) {
		o.Place = func(context.Context, dispatch.AttemptID) (nomad.Placement, error) {
			return nomad.Placement{Node: "node1elsewhere", Region: testRegion}, nil
		}
	})
	require.ErrorContains(t, s.d.Start(context.Background(), dispatchtest.Assignment(s.guest, 1, "exit", "0")), "fog_node")
	require.Zero(t, s.server.Registrations())
}

func TestSweep(t *testing.T) {
	s := newScene(t, nil)
	kept, orphan := s.start(t, 1), dispatch.Assignment{}
	other := s.opts
	other.Dir = t.TempDir()
	second := openNomad(t, other)
	for slice := uint32(2); slice <= 3; slice++ {
		orphan = dispatchtest.WithInputs(t, dispatchtest.Assignment(s.guest, 1, "wait", "0"))
		orphan.ID.Slice = slice
		require.NoError(t, second.Start(context.Background(), orphan))
	}
	s.running(t, 3)
	var asked []uint32
	sweep := func() int {
		asked = nil
		ended, err := s.d.Sweep(context.Background(), func(_ context.Context, id dispatch.AttemptID) (bool, error) {
			asked = append(asked, id.Slice)
			return id.Slice != 3, nil
		})
		require.NoError(t, err)
		slices.Sort(asked)
		return ended
	}
	require.Equal(t, 1, sweep())
	require.Equal(t, []uint32{2, 3}, asked, "what is held here needs no question")
	s.running(t, 2)
	requireReason(t, watch(t, second, orphan), dispatch.ReasonNode, "Nomad ended the task")
	require.Zero(t, sweep())
	s.release(t, kept)
	requireReason(t, watch(t, s.d, kept), dispatch.ReasonOK, "")
}

func TestSweepEndsWhatIsOverdue(t *testing.T) {
	s := newScene(t, func(o *nomad.Options) {
		place := o.Place
		o.Place = func(ctx context.Context, id dispatch.AttemptID) (nomad.Placement, error) {
			p, err := place(ctx, id)
			p.Deadline = time.Now().Add(2 * time.Second)
			return p, err
		}
	})
	s.start(t, 1)
	s.running(t, 1)
	require.NoError(t, s.d.Close()) // the one that should have ended it is gone
	other := s.opts
	other.Dir = t.TempDir()
	second := openNomad(t, other)
	require.Eventually(t, func() bool {
		ended, err := second.Sweep(context.Background(), func(context.Context, dispatch.AttemptID) (bool, error) { return true, nil })
		require.NoError(t, err)
		return ended == 1
	}, patience, 100*time.Millisecond)
	s.running(t, 0)
}

func TestCheck(t *testing.T) {
	s := newScene(t, nil)
	versions, err := s.d.Check(context.Background())
	require.NoError(t, err)
	require.Len(t, versions, 1)
	require.Equal(t, testRegion, versions[0].Region)
	require.NotEmpty(t, versions[0].Servers)
	require.NotEmpty(t, versions[0].Clients)
	require.Empty(t, versions[0].Skew)
}
