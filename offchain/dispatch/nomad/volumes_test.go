package nomad_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/hostvolume"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
	"github.com/foggrid/fogd/offchain/image"
)

// keeper is a stand-in whose client has the plugin, and a service with a volume.
func keeper(t *testing.T) (*scene, dispatch.Assignment) {
	s := newScene(t, func(o *nomad.Options) {
		o.LookEvery = 20 * time.Millisecond
		o.Locate = func(context.Context, dispatch.Assignment) (nomad.Content, error) {
			return nomad.Content{Image: nomad.Picture{Ref: "registry/images@" + artifact.EmptyDigest.String(), Defaults: image.Defaults{Cmd: []string{"/x"}}}}, nil
		}
	})
	s.container = func(ctx context.Context, _ runner.Order, _ string) int { <-ctx.Done(); return 0 }
	s.server.OfferVolumes()
	a := dispatchtest.ServiceAssignment(t, dispatchtest.Module{Path: "/image", Digest: artifact.EmptyDigest, Engine: dispatch.EngineDocker})
	a.StorageMiB = 16
	return s, a
}

// revision is the next attempt at a replica, with other volumes.
func revision(a dispatch.Assignment, volumes ...dispatch.Volume) dispatch.Assignment {
	a.ID.Slice++
	service := *a.Service
	service.Volumes = volumes
	a.Service = &service
	return a
}

func one(t *testing.T, d *nomad.Dispatcher) nomad.KeptVolume {
	t.Helper()
	kept, err := d.KeptVolumes(t.Context())
	require.NoError(t, err)
	require.Len(t, kept, 1)
	return kept[0]
}

// TestVolumesAreTheReplicas: whoever registers an attempt makes what is not there, and the next attempt has it with its own size.
func TestVolumesAreTheReplicas(t *testing.T) {
	s, a := keeper(t)
	require.NoError(t, s.d.Start(t.Context(), a))
	s.running(t, 1)
	v := one(t, s.d)
	require.Equal(t, hostvolume.Volume{Replica: dispatch.Replica{Job: a.ID.Job}, Name: "data", Node: testNode, MiB: 4, LimitMiB: 16}, v.Volume)
	second := s.second(t)
	require.NoError(t, second.Start(t.Context(), a))
	require.Equal(t, v, one(t, second))
	require.ErrorContains(t, s.d.WipeVolume(t.Context(), v), "in use")
	larger := revision(a, dispatch.Volume{Name: "data", Path: "/data", SizeMiB: 8})
	require.ErrorContains(t, s.d.Start(t.Context(), larger), "in use", "the attempt before has it")

	require.NoError(t, s.d.Stop(t.Context(), a.ID))
	require.NoError(t, s.d.Start(t.Context(), larger))
	s.running(t, 1)
	grown := one(t, s.d)
	require.Equal(t, v.ID, grown.ID)
	require.EqualValues(t, 8, grown.MiB)
	require.NoError(t, s.d.Stop(t.Context(), larger.ID))
	require.NoError(t, s.d.Remove(t.Context(), larger.ID))
	require.Len(t, s.server.Volumes(), 1, "that an attempt is forgotten wipes nothing")
	require.NoError(t, s.d.WipeVolume(t.Context(), grown))
	require.NoError(t, s.d.WipeVolume(t.Context(), grown), "somebody else was first")
	require.Empty(t, s.server.Volumes())
}

// TestVolumesOfEarlierRevisionsCount: they are kept, since the revision before may come back.
func TestVolumesOfEarlierRevisionsCount(t *testing.T) {
	s, a := keeper(t)
	require.NoError(t, s.d.Start(t.Context(), a))
	require.NoError(t, s.d.Stop(t.Context(), a.ID))
	tooMuch := revision(a, dispatch.Volume{Name: "other", Path: "/data", SizeMiB: 13})
	require.ErrorIs(t, s.d.Start(t.Context(), tooMuch), nomad.ErrVolumesFull)
	require.Len(t, s.server.Volumes(), 1)
	another := tooMuch
	another.FirstTask, another.JobTasks = 1, 2
	require.NoError(t, s.d.Start(t.Context(), another), "another replica's do not")
	fits := revision(a, dispatch.Volume{Name: "other", Path: "/data", SizeMiB: 12})
	fits.ID.Slice = 9
	require.NoError(t, s.d.Start(t.Context(), fits))
	require.Len(t, s.server.Volumes(), 3)
}

// TestVolumesInMemory: without the plugin nothing of Nomad's is asked for.
func TestVolumesInMemory(t *testing.T) {
	w, server := standIn(t)
	s := &scene{world: w, server: server, opts: w.options(t, t.TempDir())}
	with, a := keeper(t)
	s.opts.Locate, s.container = with.opts.Locate, with.container
	s.d = openNomad(t, s.opts)
	require.NoError(t, s.d.Start(t.Context(), a))
	s.running(t, 1)
	require.Empty(t, server.Volumes())
	kept, err := s.d.KeptVolumes(t.Context())
	require.NoError(t, err)
	require.Empty(t, kept)
}

// TestVolumesOfAnAttempt: those that nobody keeps are memory, also where there is the plugin.
func TestVolumesOfAnAttempt(t *testing.T) {
	s, a := keeper(t)
	service := *a.Service
	service.InMemory = true
	a.Service = &service
	require.NoError(t, s.d.Start(t.Context(), a))
	s.running(t, 1)
	require.Empty(t, s.server.Volumes())
}

// TestVolumesOfOthersAreLeft: what was not asked for by a dispatcher is none of the grid's, whatever it is called.
func TestVolumesOfOthersAreLeft(t *testing.T) {
	s, a := keeper(t)
	require.NoError(t, s.d.Start(t.Context(), a))
	other, err := api.NewClient(&api.Config{Address: s.region.Address})
	require.NoError(t, err)
	for name, plugin := range map[string]string{"fog-job1x-t0-data": hostvolume.Name, "fog-job1y-t0-data": "mkdir"} {
		_, _, err := other.HostVolumes().Create(&api.HostVolumeCreateRequest{Volume: &api.HostVolume{
			Namespace: s.place(t).Namespace, Name: name, PluginID: plugin, NodeID: "00000000-0000-4000-8000-000000000001",
			Parameters: map[string]string{"mib": "1", "job": "job1x"},
		}}, nil)
		require.NoError(t, err)
	}
	require.Equal(t, a.ID.Job, one(t, s.d).Replica.Job)
}
