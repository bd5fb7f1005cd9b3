package nomaddesk

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/nomadtest"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const (
	testRegion = "eu"
	testNode   = "node1one"
	testImage  = "registry/fog-runner@sha256:00"
	patience   = 2 * time.Minute
)

// sharedCache spares each test the compiling of the guest.
var sharedCache string

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		childMain()
	}
	dir, err := os.MkdirTemp("", "fog-desk-")
	if err != nil {
		panic(err)
	}
	sharedCache = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// world is a chain, a registry and a stand-in for Nomad around one node.
type world struct {
	t        *testing.T
	nomad    *nomadtest.Server
	registry *client.Client
	url      string
	guest    dispatchtest.Module
	owner    string // of all jobs; empty without a gateway

	mu     sync.Mutex
	jobs   map[string]jobstypes.Job
	slices map[dispatch.AttemptID]jobstypes.Slice // with attempt 0: the newest state of each slice
	labels map[string]string
	pulled []string // images, with who pulled them
	broken error    // what the chain answers in place of facts
	height int64    // which the chain has reached
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, guest: dispatchtest.BuildGuest(t), jobs: map[string]jobstypes.Job{}, slices: map[dispatch.AttemptID]jobstypes.Slice{},
		labels: map[string]string{handover.AttributeRegion: testRegion}, height: 7,
	}
	w.nomad = nomadtest.New(t, nomadtest.Options{
		Region: testRegion, Nodes: []string{testNode}, Image: testImage, MHz: 10_000, Cores: 4, MemoryMiB: 16_384, Cache: sharedCache,
		Pull: w.pull, Container: w.contained,
	})
	store, err := registry.Open(t.TempDir(), registry.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	server := httptest.NewServer(store)
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, store.Close())
	})
	w.url = server.URL
	w.registry, err = client.New(server.URL)
	require.NoError(t, err)
	w.pushGuest()
	return w
}

func (w *world) pushGuest() {
	raw, err := os.ReadFile(w.guest.Path)
	require.NoError(w.t, err)
	w.push(client.RepoModules, client.Module(client.BytesBlob("", raw)))
}

func (w *world) push(kind string, a client.Artifact) {
	repo := w.registry.ContentRepo(w.owner, kind, a.Layers[0].Digest)
	_, err := w.registry.PushArtifact(w.t.Context(), repo, "", a)
	require.NoError(w.t, err)
}

// job puts a job of the guest on chain.
func (w *world) job(id string, tasks uint32, args ...string) jobstypes.Job {
	var tar bytes.Buffer
	stage := w.t.TempDir()
	require.NoError(w.t, os.WriteFile(filepath.Join(stage, "input.txt"), []byte("input of "+id), 0o600))
	require.NoError(w.t, artifact.Pack(&tar, stage, artifact.Limits{}))
	w.push(client.RepoInputs, client.Inputs(client.BytesBlob("", tar.Bytes())))
	return w.putJob(id, jobfile.Spec{
		Version: jobfile.Version, Name: "test", Engine: jobfile.EngineWASM, Module: w.guest.Digest, Inputs: artifact.DigestOf(tar.Bytes()),
		Args: args, Tasks: tasks, CPU: 100, Memory: 64, Storage: 1, MaxDuration: 60,
	})
}

func (w *world) putJob(id string, spec jobfile.Spec) jobstypes.Job {
	w.push(client.RepoSpecs, client.Spec(spec.Canonical()))
	engine, err := jobfile.ParseEngine(spec.Engine)
	require.NoError(w.t, err)
	job := jobstypes.Job{
		Id: id, Owner: w.owner, Engine: engine, SpecDigest: spec.Digest().String(), ImageDigest: spec.Module.String(), Tasks: spec.Tasks,
		Resources:   nodestypes.Resources{CpuMilli: uint64(spec.CPU), MemoryMib: uint64(spec.Memory), StorageMib: uint64(spec.Storage)},
		MaxDuration: uint64(spec.MaxDuration),
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[id] = job
	return job
}

// match assigns tasks of a job to the node.
func (w *world) match(job jobstypes.Job, number, first, count uint32) jobstypes.Slice {
	s := jobstypes.Slice{
		JobId: job.Id, Number: number, FirstTask: first, TaskCount: count, Status: jobstypes.SLICE_STATUS_MATCHED, Attempt: 1,
		NodeId: testNode, MaxDuration: job.MaxDuration, MatchedTime: time.Now().Unix(), MatchedHeight: 7,
	}
	w.put(s)
	return s
}

func (w *world) put(s jobstypes.Slice) {
	w.edit(func() { w.slices[dispatch.AttemptID{Job: s.JobId, Slice: s.Number}] = s })
}

// edit changes the chain's state.
func (w *world) edit(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

var _ Chain = (*world)(nil)

func (w *world) Job(_ context.Context, id string) (jobstypes.Job, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if job, ok := w.jobs[id]; ok || w.broken != nil {
		return job, w.broken
	}
	return jobstypes.Job{}, fmt.Errorf("job %s: %w", id, chain.ErrNotFound)
}

func (w *world) Slice(_ context.Context, job string, number uint32) (jobstypes.Slice, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := w.slices[dispatch.AttemptID{Job: job, Slice: number}]; ok || w.broken != nil {
		return s, w.broken
	}
	return jobstypes.Slice{}, fmt.Errorf("slice %d of %s: %w", number, job, chain.ErrNotFound)
}

func (w *world) NodeAt(_ context.Context, id string, height int64) (nodestypes.Node, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id != testNode || height != 7 {
		return nodestypes.Node{}, fmt.Errorf("node %s at %d: %w", id, height, chain.ErrNotFound)
	}
	n := nodestypes.Node{Id: id}
	for key, value := range w.labels {
		n.Attributes = append(n.Attributes, nodestypes.Attribute{Key: key, Value: value})
	}
	return n, nil
}

func (w *world) OnNode(_ context.Context, id string) (Holding, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return Holding{}, w.broken
	}
	if id != testNode {
		return Holding{}, fmt.Errorf("node %s: %w", id, chain.ErrNotFound)
	}
	held := Holding{Height: w.height, Replicas: map[dispatch.Replica]bool{}}
	for _, s := range w.slices {
		if s.Status == jobstypes.SLICE_STATUS_MATCHED && s.NodeId == id {
			held.Replicas[dispatch.Replica{Job: s.JobId, Task: s.FirstTask}] = true
		}
	}
	return held, nil
}

// options are those of one oracle's desk with short times.
func (w *world) options(dir string) Options {
	return Options{
		Dir: dir, Regions: []nomad.Region{{Name: testRegion, Address: w.nomad.URL}}, Runner: nomad.Image{Ref: testImage}, Chain: w,
		Registry: w.registry, ContentURL: w.url, RankPause: time.Hour, SweepEvery: 100 * time.Millisecond,
		Log:      slog.New(slog.NewTextHandler(testWriter{w.t}, nil)),
		retryMin: 10 * time.Millisecond, retryMax: 50 * time.Millisecond, clockSlack: 100 * time.Millisecond, adoptEvery: 10 * time.Millisecond,
		tellEvery: 50 * time.Millisecond, lookEvery: 20 * time.Millisecond,
	}
}

// desk opens a desk and runs it until the test ends.
func (w *world) desk(change ...func(*Options)) *Desk {
	opts := w.options(w.t.TempDir())
	for _, c := range change {
		c(&opts)
	}
	d, err := New(opts)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Run(ctx); err != nil && ctx.Err() == nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() {
		cancel()
		running.Wait()
		require.NoError(w.t, d.Close())
	})
	return d
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	require.Eventually(w.t, ok, patience, 10*time.Millisecond, what)
}

// jobID is the id of the Nomad job of a slice.
func jobID(s jobstypes.Slice) string { return nomad.JobID(handover.ID(s), s.NodeId) }

// testWriter logs through the test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}
