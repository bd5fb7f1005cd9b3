package nomad_test

import (
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// networks makes those of services for the test, unless the machine has them.
func networks(t testing.TB) {
	if exec.Command("docker", "info").Run() != nil {
		return // realNomad says so
	}
	e, err := docker.New(docker.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	for name, outbound := range map[string]bool{nomad.ClosedNetwork: false, nomad.OpenNetwork: true} {
		if exec.Command("docker", "network", "inspect", name).Run() == nil {
			continue
		}
		for range 2 {
			require.NoError(t, e.ShareNetwork(t.Context(), name, outbound))
		}
		t.Cleanup(func() {
			if out, err := exec.Command("docker", "network", "rm", name).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestRealServices: the same promises as under an agent, but for what only an agent decides.
func TestRealServices(t *testing.T) {
	networks(t)
	c := realNomad(t)
	open := func(t testing.TB, dir string) (dispatch.Dispatcher, func()) {
		o := c.options(t, dir)
		o.LookEvery = 500 * time.Millisecond
		d := openNomad(t, o)
		return d, func() { require.NoError(t, d.Close()) }
	}
	dispatchtest.RunServices(t, open, dispatchtest.ServiceOptions{Confined: true, GoesOn: true})
}

// TestRealDiscovery: others in the namespace find a service by Nomad, and the stand-in tells checks as Nomad does.
func TestRealDiscovery(t *testing.T) {
	networks(t)
	c := realNomad(t)
	o := c.options(t, t.TempDir())
	o.LookEvery = 500 * time.Millisecond
	d := openNomad(t, o)
	place, err := o.Place(t.Context(), dispatch.AttemptID{})
	require.NoError(t, err)
	a := dispatchtest.ServiceAssignment(t, dispatchtest.BuildGuestImage(t))
	require.NoError(t, d.Start(t.Context(), a))
	dispatchtest.WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
	found := func(name string) []*api.ServiceRegistration {
		list, _, err := c.api.Services().Get(a.ID.Job+"-"+name, c.query(place.Namespace))
		require.NoError(t, err)
		return list
	}
	for _, p := range a.Service.Ports {
		list := found(p.Name)
		require.Len(t, list, 1)
		require.Equal(t, dispatchtest.Endpoint(p), net.JoinHostPort(list[0].Address, strconv.Itoa(list[0].Port)))
		require.Equal(t, []string{a.ID.Job, p.Name, p.Protocol}, list[0].Tags)
	}
	allocs, _, err := c.api.Jobs().Allocations(nomad.JobID(a.ID, place.Node), false, c.query(place.Namespace))
	require.NoError(t, err)
	require.Len(t, allocs, 1)
	c.record(t, "checks", "/v1/client/allocation/"+allocs[0].ID+"/checks", place.Namespace)

	// A container that is killed is started again by Nomad, whatever the runner could do.
	kill := exec.Command("sh", "-c", "docker kill $(docker ps -q --filter name=run-"+allocs[0].ID+")")
	out, err := kill.CombinedOutput()
	require.NoError(t, err, "%s", out)
	w := dispatchtest.WatchService(t, d, a.ID)
	require.Equal(t, dispatch.ReasonNode, w.Until(dispatch.ServiceRestarting).Reason)
	w.Until(dispatch.ServiceHealthy)
	require.NoError(t, d.Stop(t.Context(), a.ID))
	c.eventually(t, "the entry to go", func() bool { return len(found("web")) == 0 })
}
