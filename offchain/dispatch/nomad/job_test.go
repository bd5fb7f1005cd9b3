package nomad_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
	"github.com/foggrid/fogd/offchain/image"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run the test with -update if the change is meant")
}

func goldenAssignment() dispatch.Assignment {
	return dispatch.Assignment{
		ID: dispatch.AttemptID{Job: "job1golden", Slice: 3, Attempt: 2}, FirstTask: 64, Tasks: 32, JobTasks: 256, Engine: dispatch.EngineWASM,
		Module: artifact.DigestOf([]byte("module")), ModulePath: "/module", Inputs: artifact.DigestOf([]byte("inputs")), InputsDir: "/in",
		Args: []string{"--seed", "${NOMAD_ALLOC_ID}", `a "quoted" %{word}`}, Env: map[string]string{"B": "2", "A": "$1"},
		CPUMilli: 1500, MemoryMiB: 512, StorageMiB: 64, MaxDuration: 10 * time.Minute,
	}
}

// TestJobGolden: the job that is sent, and how it is printed.
func TestJobGolden(t *testing.T) {
	a := goldenAssignment()
	place := nomad.Placement{
		Node: "node1golden", Region: "eu", Namespace: "fog-dev1", Datacenter: "fra1", Pool: "fog", Class: "c7",
		Deadline: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
	}
	content := nomad.Content{
		Module: nomad.Source{URL: "https://registry/v2/modules/blobs/" + a.Module.String(), Headers: map[string]string{"Authorization": "Bearer m"}},
		Inputs: nomad.Source{URL: "https://registry/v2/inputs/blobs/" + a.Inputs.String(), Headers: map[string]string{"Authorization": "Bearer i"}},
	}
	image := nomad.Image{Ref: "registry/fog-runner@" + artifact.EmptyDigest.String(), Username: "job", Password: "token", CacheVolume: "fog-cache"}
	job, err := nomad.Job(a, place, nomad.Machine{MHz: 10_000, Cores: 4, MemoryMiB: 8192}, content, image)
	require.NoError(t, err)
	raw, err := json.MarshalIndent(job, "", "  ")
	require.NoError(t, err)
	golden(t, "job.json", append(raw, '\n'))

	var hcl bytes.Buffer
	require.NoError(t, nomad.WriteHCL(&hcl, job))
	golden(t, "job.hcl", hcl.Bytes())

	// What the container gets is the assignment, whatever it holds; nothing in it looks like a variable to Nomad.
	args := job.TaskGroups[0].Tasks[0].Config["args"].([]string)
	got, err := runner.ParseArgs(args)
	require.NoError(t, err)
	a.ModulePath, a.InputsDir = "", ""
	require.Equal(t, runner.Order{Assignment: a}, got)
	require.NotContains(t, args[0], "$")
}

// goldenService is a service with all that one can have.
func goldenService() (dispatch.Assignment, nomad.Content) {
	a := goldenAssignment()
	a.Engine, a.FirstTask, a.Tasks, a.JobTasks, a.MaxDuration = dispatch.EngineDocker, 0, 1, 1, 0
	a.Service = &dispatch.Service{
		Ports: []dispatch.Port{
			{Name: "web", Protocol: dispatch.TCP, Container: 8080, Host: 20001}, {Name: "game", Protocol: dispatch.UDP, Container: 9000, Host: 20002},
			{Name: "web-quic", Protocol: dispatch.UDP, Container: 8080, Host: 20001},
		},
		Health:  dispatch.Health{Kind: dispatch.HealthHTTP, Port: "web", Path: "/health?deep=1", Interval: 10 * time.Second, Timeout: 200 * time.Millisecond, Grace: time.Minute},
		Volumes: []dispatch.Volume{{Name: "data", Path: "/data", SizeMiB: 16}}, Outbound: true,
	}
	return a, nomad.Content{
		Image: nomad.Picture{
			Ref: "registry/images@" + a.Module.String(), Username: "job", Password: "token",
			Defaults: image.Defaults{Entrypoint: []string{"/bin/server"}, Env: []string{"MODE=fast"}, Volumes: map[string]struct{}{"/cache": {}}},
		},
		Inputs: nomad.Source{URL: "https://registry/v2/inputs/blobs/" + a.Inputs.String()},
	}
}

// TestServiceGolden: the same for a container of the job's image, with volumes in memory and on disk.
func TestServiceGolden(t *testing.T) {
	a, content := goldenService()
	place := nomad.Placement{Node: "node1golden", Region: "eu"}
	for name, disk := range map[string]bool{"service": false, "service_disk": true} {
		m := nomad.Machine{MHz: 10_000, Cores: 4, MemoryMiB: 8192, Disk: disk}
		job, err := nomad.Job(a, place, m, content, nomad.Image{Ref: "registry/fog-runner@" + artifact.EmptyDigest.String()})
		require.NoError(t, err)
		raw, err := json.MarshalIndent(job, "", "  ")
		require.NoError(t, err)
		golden(t, name+".json", append(raw, '\n'))
		var hcl bytes.Buffer
		require.NoError(t, nomad.WriteHCL(&hcl, job))
		golden(t, name+".hcl", hcl.Bytes())
	}

	a.Service.Ports[2].Container = 1
	_, err := nomad.Job(a, place, nomad.Machine{}, content, nomad.Image{})
	require.ErrorIs(t, err, dispatch.ErrInvalidAssignment, "Docker publishes a number of the node to one of the container")
}

func TestJobIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []dispatch.AttemptID{{Job: "job1a"}, {Job: "job1a", Slice: 1}, {Job: "job1a", Attempt: 1}, {Job: "job1b"}} {
		for _, node := range []string{"node1a", "node1b"} {
			job := nomad.JobID(id, node)
			require.False(t, seen[job], job)
			seen[job] = true
		}
	}
}

// A task's GPUs are asked for by its container, and not by the one that fetches.
func TestJobAsksForGPUs(t *testing.T) {
	a, content := goldenService()
	a.GPUs = 2
	job, err := nomad.Job(a, nomad.Placement{Node: "node1golden"}, nomad.Machine{MHz: 10_000, Cores: 4, MemoryMiB: 8192}, content, nomad.Image{})
	require.NoError(t, err)
	var asked []string
	for _, task := range job.TaskGroups[0].Tasks {
		for _, d := range task.Resources.Devices {
			asked = append(asked, fmt.Sprint(task.Name, " ", d.Name, " ", *d.Count))
		}
	}
	require.Equal(t, []string{"run nvidia/gpu 2"}, asked)
	var hcl bytes.Buffer
	require.NoError(t, nomad.WriteHCL(&hcl, job))
	require.Regexp(t, `device "nvidia/gpu" \{\s+count += 2\s+\}`, hcl.String())
}
