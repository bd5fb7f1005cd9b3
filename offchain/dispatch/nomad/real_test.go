package nomad_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

func TestRealConformance(t *testing.T) {
	c := realNomad(t)
	dispatchtest.Run(t, c.open, dispatchtest.WithRelease(c.release))
}

// waiting begins tasks that wait, and returns once n of them run.
func (c *cluster) waiting(t *testing.T, d dispatch.Dispatcher, tasks uint32) dispatch.Assignment {
	a := dispatchtest.WithInputs(t, dispatchtest.Assignment(dispatchtest.BuildGuest(t), tasks, "wait", "0"))
	require.NoError(t, d.Start(context.Background(), a))
	for task := range tasks {
		c.eventually(t, "a task that runs", func() bool { return dispatchtest.ReadLog(t, d, a.ID, task) != "" })
	}
	return a
}

// TestRealServerRestart: the server is gone for a while; what runs goes on, and its outcome is told.
func TestRealServerRestart(t *testing.T) {
	c := realNomad(t)
	d := openNomad(t, c.options(t, t.TempDir()))
	a := c.waiting(t, d, 2)
	kill(t, c.server)
	c.release(t, a)
	time.Sleep(5 * time.Second)
	c.startServer(t)
	c.api.SetSecretID(c.region.Token)
	requireReason(t, watch(t, d, a), dispatch.ReasonOK, "")
}

// TestRealClientKilled: a client that dies and comes back takes up its containers, if the servers did not give it up meanwhile.
func TestRealClientKilled(t *testing.T) {
	c := realNomad(t)
	d := openNomad(t, c.options(t, t.TempDir()))
	a := c.waiting(t, d, 2)
	kill(t, c.client)
	c.startClient(t)
	c.release(t, a)
	requireReason(t, watch(t, d, a), dispatch.ReasonOK, "")
}

// TestRealClientLost: a client that stays away is lost; its tasks end, and do not run again when it is back.
func TestRealClientLost(t *testing.T) {
	c := realNomad(t)
	o := c.options(t, t.TempDir())
	d := openNomad(t, o)
	a := c.waiting(t, d, 2)
	require.NoError(t, c.client.Process.Signal(syscall.SIGSTOP))
	requireReason(t, watch(t, d, a), dispatch.ReasonNode, "client was lost")
	place, err := o.Place(context.Background(), a.ID)
	require.NoError(t, err)
	job, _, err := c.api.Jobs().Info(nomad.JobID(a.ID, place.Node), c.query(place.Namespace))
	require.NoError(t, err)
	require.True(t, *job.Stop)
	time.Sleep(time.Minute) // as long as the issue asks for; the tasks go on without anybody who looks after them
	require.NoError(t, c.client.Process.Signal(syscall.SIGCONT))
	c.eventually(t, "an end of all containers", func() bool { return len(c.containers(t)) == 0 })
	list, _, err := c.api.Jobs().Allocations(*job.ID, true, c.query(place.Namespace))
	require.NoError(t, err)
	require.Len(t, list, 2, "a lost task was placed again")
}
