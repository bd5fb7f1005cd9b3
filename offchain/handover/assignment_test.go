package handover_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// served is a service whose second replica runs a revision that is not the job's first, on ports that the chain assigned.
func served(t *testing.T) (jobstypes.Job, jobstypes.Slice, jobfile.Spec) {
	t.Helper()
	f, err := jobfile.Load("../jobfile/testdata/good/service.yaml")
	require.NoError(t, err)
	var inputs artifact.Digest
	if len(f.Inputs) > 0 {
		inputs = artifact.DigestOf([]byte("inputs"))
	}
	spec, err := f.Spec(artifact.DigestOf([]byte("second image")), inputs)
	require.NoError(t, err)
	id := escrowtypes.ID{19: 1}.Bech32(jobstypes.JobHRP)
	job := jobstypes.Job{
		Id: id, Engine: nodestypes.ENGINE_DOCKER, SpecDigest: artifact.DigestOf([]byte("first spec")).String(),
		ImageDigest: artifact.DigestOf([]byte("first image")).String(), Tasks: 2, Service: &jobstypes.Service{Wanted: 2},
		Resources: nodestypes.Resources{CpuMilli: uint64(spec.CPU), MemoryMib: uint64(spec.Memory), StorageMib: uint64(spec.Storage)},
	}
	slice := jobstypes.Slice{
		JobId: id, Number: 5, Attempt: 3, FirstTask: 1, TaskCount: 1, MaxDuration: 360,
		Serving: &jobstypes.Serving{Revision: jobstypes.Revision{Number: 2, SpecDigest: spec.Digest().String(), ImageDigest: spec.Module.String()}},
	}
	for i, p := range f.Ports {
		slice.Serving.Ports = append(slice.Serving.Ports, jobstypes.Port{Name: p.Name, HostPort: uint32(30_000 + i)})
	}
	return job, slice, spec
}

func TestAssignmentOfAService(t *testing.T) {
	job, slice, spec := served(t)
	job = handover.Revised(job, slice)
	digest, err := handover.SpecDigest(job)
	require.NoError(t, err)
	require.Equal(t, spec.Digest(), digest, "what the slice runs, not what the job began with")
	a, err := handover.Assignment(job, slice, spec)
	require.NoError(t, err)
	a.ModulePath = os.DevNull
	if !a.Inputs.IsZero() {
		a.InputsDir = os.DevNull
	}
	require.NoError(t, a.Validate())
	require.Equal(t, dispatch.AttemptID{Job: job.Id, Slice: 5, Attempt: 3}, a.ID)
	require.Zero(t, a.MaxDuration, "what a slice holds money for is no limit of its service")
	require.NotEmpty(t, a.Service.Volumes)
	require.True(t, a.Service.InMemory, "the job does not keep its volumes")
	job.Service.KeepsVolumes = true
	kept, err := handover.Assignment(job, slice, spec)
	require.NoError(t, err)
	require.False(t, kept.Service.InMemory)
	require.Len(t, a.Service.Ports, len(slice.Serving.Ports))
	for i, p := range a.Service.Ports {
		require.EqualValues(t, 30_000+i, p.Host)
		require.EqualValues(t, spec.Service.Ports[i].ContainerPort, p.Container)
	}
}

func TestAssignmentOfAServiceThatIsNone(t *testing.T) {
	job, slice, spec := served(t)
	job = handover.Revised(job, slice)
	var fault *handover.JobError
	slice.Serving.Ports = nil
	_, err := handover.Assignment(job, slice, spec)
	require.ErrorAs(t, err, &fault, "a port that the chain did not assign")
	slice.Serving = nil
	_, err = handover.Assignment(job, slice, spec)
	require.ErrorAs(t, err, &fault)
	require.ErrorContains(t, err, "the spec is of a service")
	job.Service, job.Tasks, job.MaxDuration = nil, 1, uint64(time.Hour/time.Second)
	_, err = handover.Assignment(job, slice, spec)
	require.ErrorAs(t, err, &fault)
}
