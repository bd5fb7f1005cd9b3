package dispatchtest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// testVolumes hands the volumes of a replica from one attempt to the next, which is started while the first still runs.
func (s *serviceSuite) testVolumes(t *testing.T) {
	dir := t.TempDir()
	d, closeIt := s.start(t, dir)
	a := ServiceAssignment(t, s.guest)
	owner := dispatch.Replica{Job: a.ID.Job, Task: a.FirstTask}
	require.NoError(t, d.Start(context.Background(), a))
	WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
	mustAsk(t, a, "/put", "path", "/data/kept", "text", "kept")

	next := ServiceAssignment(t, s.guest)
	next.ID.Slice, next.Env = a.ID.Slice+1, map[string]string{"COLOUR": "red"}
	require.NoError(t, d.Start(context.Background(), next))
	other := ServiceAssignment(t, s.guest)
	other.ID.Slice, other.FirstTask, other.JobTasks = a.ID.Slice+2, 1, 2
	require.NoError(t, d.Start(context.Background(), other))
	WatchService(t, d, other.ID).Until(dispatch.ServiceHealthy)
	_, err := Ask(other, "/get", "path", "/data/kept")
	require.Error(t, err, "another replica has volumes of its own")
	require.NoError(t, d.Stop(context.Background(), other.ID))

	w := WatchService(t, d, next.ID)
	require.NoError(t, d.Stop(context.Background(), a.ID))
	w.Until(dispatch.ServiceHealthy)
	require.Equal(t, "kept", mustAsk(t, next, "/get", "path", "/data/kept"))
	require.NoError(t, d.Remove(context.Background(), a.ID))
	require.Error(t, d.(dispatch.Volumes).Wipe(context.Background(), owner), "it runs")
	require.Equal(t, "kept", mustAsk(t, next, "/get", "path", "/data/kept"))
	require.NoError(t, d.Stop(context.Background(), next.ID))
	require.NoError(t, d.Remove(context.Background(), next.ID))
	closeIt()

	d, closeIt = s.start(t, dir)
	defer closeIt()
	v := d.(dispatch.Volumes)
	kept, err := v.Volumes()
	require.NoError(t, err)
	require.Equal(t, []dispatch.Replica{owner, {Job: owner.Job, Task: 1}}, kept)
	for _, r := range kept {
		require.NoError(t, v.Wipe(context.Background(), r))
	}
	kept, err = v.Volumes()
	require.NoError(t, err)
	require.Empty(t, kept)
	require.NoError(t, d.Start(context.Background(), a))
	WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
	_, err = Ask(a, "/get", "path", "/data/kept")
	require.Error(t, err, "it was wiped")
	require.NoError(t, d.Stop(context.Background(), a.ID))
	require.NoError(t, v.Wipe(context.Background(), owner))
}

// testVolumesTooLarge: a revision whose volumes do not fit beside those of the one before it ends by its own fault, and takes nothing away.
func (s *serviceSuite) testVolumesTooLarge(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	a := ServiceAssignment(t, s.guest)
	require.NoError(t, d.Start(context.Background(), a))
	WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
	mustAsk(t, a, "/put", "path", "/data/kept", "text", "kept")
	require.NoError(t, d.Stop(context.Background(), a.ID))

	next := ServiceAssignment(t, s.guest)
	next.ID.Slice++
	next.Service.Volumes[0].Name = "another"
	require.NoError(t, d.Start(context.Background(), next))
	last := WatchService(t, d, next.ID).Until(dispatch.ServiceStopped)
	require.Equal(t, dispatch.ReasonBadImage, last.Reason, last.Message)

	back := ServiceAssignment(t, s.guest)
	back.ID.Slice += 2
	require.NoError(t, d.Start(context.Background(), back))
	WatchService(t, d, back.ID).Until(dispatch.ServiceHealthy)
	require.Equal(t, "kept", mustAsk(t, back, "/get", "path", "/data/kept"))
	require.NoError(t, d.Stop(context.Background(), back.ID))
	require.NoError(t, d.(dispatch.Volumes).Wipe(context.Background(), dispatch.Replica{Job: a.ID.Job}))
}

// testDaemonRestarts: what is in a volume on disk outlives the daemon.
func (s *serviceSuite) testDaemonRestarts(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	a := ServiceAssignment(t, s.guest)
	require.NoError(t, d.Start(context.Background(), a))
	w := WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	mustAsk(t, a, "/put", "path", "/data/kept", "text", "kept")
	s.opts.RestartDaemon(t)
	w.Until(dispatch.ServiceRestarting)
	w.Until(dispatch.ServiceHealthy)
	require.Equal(t, "kept", mustAsk(t, a, "/get", "path", "/data/kept"))
	require.NoError(t, d.Stop(context.Background(), a.ID))
	require.NoError(t, d.(dispatch.Volumes).Wipe(context.Background(), dispatch.Replica{Job: a.ID.Job}))
}
