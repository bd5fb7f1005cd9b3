package nomaddesk

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/hostvolume"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// keeper puts a service with a volume on chain, and a replica of it on the node.
func (w *world) keeper(id string, mib uint32) jobstypes.Slice {
	w.nomad.OfferVolumes()
	img := w.pushProgram()
	job := w.putJob(id, jobfile.Spec{
		Version: jobfile.Version, Name: "test", Engine: jobfile.EngineDocker, Module: img.Digest, Tasks: 1, CPU: 100, Memory: 64, Storage: 8,
		Service: &jobfile.ServiceSpec{
			Health:  jobfile.HealthSpec{Kind: dispatch.HealthNone},
			Volumes: []jobfile.VolumeSpec{{Name: "data", Path: "/data", Size: jobfile.MiB(mib)}},
		},
	})
	job.Service = &jobstypes.Service{KeepsVolumes: true}
	w.edit(func() { w.jobs[id] = job })
	s := w.match(job, 3, 0, 1)
	s.Serving = &jobstypes.Serving{Revision: jobstypes.Revision{SpecDigest: job.SpecDigest, ImageDigest: job.ImageDigest}}
	w.put(s)
	return s
}

// TestVolumesAreWipedOnRelease: a volume stays over an update of its replica and over all that a chain that is behind says, and goes when the replica does.
func TestVolumesAreWipedOnRelease(t *testing.T) {
	w := newWorld(t)
	s := w.keeper("job1x", 4)
	d := w.desk()
	var g errgroup.Group
	serve := func(s jobstypes.Slice) {
		up := make(chan struct{})
		g.Go(func() error {
			err := d.Serve(t.Context(), s, 0, func(p link.ProgressState) {
				if p == link.ProgressRunning && up != nil {
					close(up)
					up = nil
				}
			})
			if errors.Is(err, errOver) {
				return nil
			}
			return err
		})
		select {
		case <-up:
		case <-time.After(patience):
			t.Fatal("it does not come up")
		}
	}
	serve(s)
	want := []string{hostvolume.Volume{Replica: dispatch.Replica{Job: "job1x"}, Name: "data"}.ID()}
	require.Equal(t, want, w.nomad.Volumes())

	next := s
	next.Number++
	w.edit(func() { // as the chain does, in one step
		s.Status = jobstypes.SLICE_STATUS_SETTLED
		w.slices[dispatch.AttemptID{Job: s.JobId, Slice: s.Number}] = s
		w.slices[dispatch.AttemptID{Job: s.JobId, Slice: next.Number}] = next
	})
	d.Kick()
	serve(next)
	require.Equal(t, want, w.nomad.Volumes(), "the next revision has it")

	w.edit(func() { w.height = 6 })
	next.Status = jobstypes.SLICE_STATUS_SETTLED
	w.put(next)
	d.Kick()
	w.eventually("it ends", func() bool { return w.nomad.Running() == 0 })
	require.NoError(t, g.Wait())
	require.NoError(t, d.wipeVolumes(t.Context()))
	require.Equal(t, want, w.nomad.Volumes(), "the chain has not seen the match")
	w.edit(func() { w.height, w.broken = 7, errors.New("behind") })
	require.ErrorContains(t, d.wipeVolumes(t.Context()), "behind")
	require.Equal(t, want, w.nomad.Volumes())
	w.edit(func() { w.broken = nil })
	w.eventually("it is wiped", func() bool { return len(w.nomad.Volumes()) == 0 })
}

// TestVolumesThatDoNotFitAreTheJobs: volumes of a revision that take too much beside those of the one before end it by its own fault.
func TestVolumesThatDoNotFitAreTheJobs(t *testing.T) {
	w := newWorld(t)
	s := w.keeper("job1x", 4)
	d := w.desk()
	work := &work{desk: d, slice: s, times: d.times(s), log: d.opts.Log}
	a, err := work.prepare(t.Context())
	require.NoError(t, err)
	require.NoError(t, work.takeService(t.Context(), a))
	second := a
	second.ID.Slice++
	w.put(func() jobstypes.Slice { s.Number++; return s }())
	service := *a.Service
	service.Volumes = []dispatch.Volume{{Name: "other", Path: "/data", SizeMiB: 8}}
	second.Service = &service
	work.slice = s
	err = work.takeService(t.Context(), second)
	require.ErrorContains(t, err, "12 MiB")
	require.True(t, new(handover.Verdict).IsJobs(err))
}
