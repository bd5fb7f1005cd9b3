package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/direct"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

const (
	testNode = "node1qqq"
	testJob  = "job1qqq"
	soon     = 60 * time.Second // an upper bound for whatever must happen
)

var (
	sharedCache string // compiled modules
	agentKey    = seededKey("agent")
	guestOnce   sync.Once
	guestModule dispatchtest.Module
	guestBytes  []byte
)

func seededKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// TestMain fails if anything of an agent outlives the tests.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childMain(dir)
	}
	dir, err := os.MkdirTemp("", "fog-agent-")
	if err != nil {
		panic(err)
	}
	sharedCache = dir
	code := m.Run()
	left := ""
	for range 100 {
		if left = agentGoroutines(); left == "" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if left != "" && code == 0 {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", left)
		code = 1
	}
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func agentGoroutines() string {
	buf := make([]byte, 1<<20)
	var left []string
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "TestMain") {
			continue
		}
		for _, pkg := range []string{"offchain/agent.", "offchain/link.", "offchain/dispatch/direct.", "google.golang.org/grpc."} {
			if strings.Contains(stack, pkg) {
				left = append(left, stack)
				break
			}
		}
	}
	return strings.Join(left, "\n\n")
}

// world is a chain, a registry and oracles around one node.
type world struct {
	t        *testing.T
	node     *chaintest.Node
	push     *client.Client
	url      string
	registry *gate
	content  string // the registry's folder

	mu       sync.Mutex
	jobs     map[string]jobstypes.Job
	slices   []jobstypes.Slice
	oracles  []oracletypes.Oracle
	status   nodestypes.NodeStatus
	prices   nodestypes.Prices
	labels   []nodestypes.Attribute
	hidden   bool                               // the node is not registered
	decided  map[dispatch.AttemptID]link.Report // what a first valid report said
	progress []link.Progress
}

func newWorld(t *testing.T) *world {
	t.Helper()
	guestOnce.Do(func() {
		guestModule = dispatchtest.BuildGuest(t)
		raw, err := os.ReadFile(guestModule.Path)
		require.NoError(t, err)
		guestBytes = raw
	})
	w := &world{t: t, jobs: map[string]jobstypes.Job{}, status: nodestypes.NODE_STATUS_ACTIVE, decided: map[dispatch.AttemptID]link.Report{}}
	w.node = chaintest.Start(t, func(s *grpc.Server) {
		jobstypes.RegisterQueryServer(s, fakeJobs{w: w})
		nodestypes.RegisterQueryServer(s, fakeNodes{w: w})
		oracletypes.RegisterQueryServer(s, fakeOracles{w: w})
	})
	ended := make(chan struct{})
	blocks := time.NewTicker(30 * time.Millisecond)
	go func() {
		for {
			select {
			case <-blocks.C:
				w.node.Advance()
			case <-ended:
				return
			}
		}
	}()
	t.Cleanup(func() { blocks.Stop(); close(ended) })
	w.content = t.TempDir()
	store, err := registry.Open(w.content, registry.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	w.registry = &gate{next: store}
	server := httptest.NewServer(w.registry)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.push, err = client.New(server.URL)
	require.NoError(t, err)
	return w
}

// gate lets a test break the registry.
type gate struct {
	next http.Handler
	trap atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if trap := g.trap.Load(); trap != nil && (*trap)(w, r) {
		return
	}
	g.next.ServeHTTP(w, r)
}

func (g *gate) set(trap func(http.ResponseWriter, *http.Request) bool) { g.trap.Store(&trap) }
func (g *gate) open()                                                  { g.trap.Store(nil) }

func refuseAll(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	return true
}

// change edits the chain's state in a new block.
func (w *world) change(edit func()) {
	w.mu.Lock()
	edit()
	w.mu.Unlock()
	w.node.Advance()
}

// job pushes a job of the guest with some inputs and puts it on chain.
func (w *world) job(id string, tasks uint32, args ...string) jobstypes.Job {
	w.t.Helper()
	stage := w.t.TempDir()
	require.NoError(w.t, os.WriteFile(filepath.Join(stage, "input.txt"), []byte("input of "+id), 0o600))
	var tar bytes.Buffer
	require.NoError(w.t, artifact.Pack(&tar, stage, artifact.Limits{}))
	spec := jobfile.Spec{
		Version: jobfile.Version, Name: "test", Engine: jobfile.EngineWASM, Module: guestModule.Digest, Inputs: artifact.DigestOf(tar.Bytes()),
		Args: args, Env: map[string]string{"COLOUR": "blue"}, Tasks: tasks, CPU: 500, Memory: 64, Storage: 1, MaxDuration: 60,
	}
	require.NoError(w.t, spec.Validate())
	w.pushTo(client.RepoModules, client.Module(client.BytesBlob("", guestBytes)))
	w.pushTo(client.RepoInputs, client.Inputs(client.BytesBlob("", tar.Bytes())))
	return w.putJob(id, spec)
}

func (w *world) pushTo(repo string, a client.Artifact) {
	w.t.Helper()
	_, err := w.push.PushArtifact(context.Background(), repo, "", a)
	require.NoError(w.t, err)
}

// putJob pushes a spec and puts the job on chain.
func (w *world) putJob(id string, spec jobfile.Spec) jobstypes.Job {
	w.t.Helper()
	w.pushTo(client.RepoSpecs, client.Spec(spec.Canonical()))
	engine, err := jobfile.ParseEngine(spec.Engine)
	require.NoError(w.t, err)
	job := jobstypes.Job{
		Id: id, Engine: engine, SpecDigest: spec.Digest().String(), ImageDigest: spec.Module.String(), Tasks: spec.Tasks,
		Resources:   nodestypes.Resources{CpuMilli: uint64(spec.CPU), MemoryMib: uint64(spec.Memory), StorageMib: uint64(spec.Storage)},
		MaxDuration: uint64(spec.MaxDuration),
	}
	w.change(func() { w.jobs[id] = job })
	return job
}

// match assigns tasks of a job to the node.
func (w *world) match(job jobstypes.Job, number, first, count uint32) dispatch.AttemptID {
	w.change(func() {
		w.slices = append(w.slices, jobstypes.Slice{
			JobId: job.Id, Number: number, FirstTask: first, TaskCount: count, Status: jobstypes.SLICE_STATUS_MATCHED, Attempt: 1,
			NodeId: testNode, MaxDuration: job.MaxDuration, MatchedTime: time.Now().Unix(),
		})
	})
	return dispatch.AttemptID{Job: job.Id, Slice: number, Attempt: 1}
}

// edit changes one slice in a new block.
func (w *world) edit(id dispatch.AttemptID, edit func(*jobstypes.Slice)) {
	w.change(func() { edit(w.slice(id.Job, id.Slice)) })
}

func (w *world) slice(job string, number uint32) *jobstypes.Slice {
	for i := range w.slices {
		if w.slices[i].JobId == job && w.slices[i].Number == number {
			return &w.slices[i]
		}
	}
	return nil
}

// outcome waits for the report that decided an attempt.
func (w *world) outcome(id dispatch.AttemptID) link.Report {
	w.t.Helper()
	var report link.Report
	eventually(w.t, "no outcome of "+id.String(), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		r, ok := w.decided[id]
		report = r
		return ok
	})
	return report
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, 5*time.Millisecond, what)
}

type fakeJobs struct {
	*jobstypes.UnimplementedQueryServer
	w *world
}

func (f fakeJobs) Job(_ context.Context, req *jobstypes.QueryJobRequest) (*jobstypes.QueryJobResponse, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	job, ok := f.w.jobs[req.Id]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no job %s", req.Id)
	}
	return &jobstypes.QueryJobResponse{Job: job}, nil
}

func (f fakeJobs) Slice(_ context.Context, req *jobstypes.QuerySliceRequest) (*jobstypes.QuerySliceResponse, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	s := f.w.slice(req.JobId, req.Number)
	if s == nil {
		return nil, status.Errorf(codes.NotFound, "no slice %d of %s", req.Number, req.JobId)
	}
	return &jobstypes.QuerySliceResponse{Slice: *s}, nil
}

func (f fakeJobs) Slices(_ context.Context, req *jobstypes.QuerySlicesRequest) (*jobstypes.QuerySlicesResponse, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	resp := &jobstypes.QuerySlicesResponse{}
	for _, s := range f.w.slices {
		if s.NodeId == req.NodeId && s.Status == jobstypes.SLICE_STATUS_MATCHED {
			resp.Slices = append(resp.Slices, s)
		}
	}
	return resp, nil
}

type fakeNodes struct {
	*nodestypes.UnimplementedQueryServer
	w *world
}

func (f fakeNodes) Node(_ context.Context, req *nodestypes.QueryNodeRequest) (*nodestypes.QueryNodeResponse, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	key := agentKey.Public().(ed25519.PublicKey)
	if f.w.hidden || (req.Id != testNode && !bytes.Equal(req.AgentKey, key)) {
		return nil, status.Error(codes.NotFound, "no such node")
	}
	return &nodestypes.QueryNodeResponse{Node: nodestypes.Node{
		Id: testNode, Owner: "fog1owner", Status: f.w.status, AgentKey: key, Prices: f.w.prices, Attributes: f.w.labels,
	}}, nil
}

type fakeOracles struct {
	*oracletypes.UnimplementedQueryServer
	w *world
}

func (f fakeOracles) Oracles(context.Context, *oracletypes.QueryOraclesRequest) (*oracletypes.QueryOraclesResponse, error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	return &oracletypes.QueryOraclesResponse{Oracles: slices.Clone(f.w.oracles)}, nil
}

// process is an agent with its dispatcher, as one process has them.
type process struct {
	*Agent
	t          *testing.T
	dir        string
	dispatcher *direct.Dispatcher
	stop       func()
}

// run starts an agent in dir until the test ends or stop is called.
func (w *world) run(dir string, change ...func(*Config)) *process {
	w.t.Helper()
	d, err := direct.New(direct.Options{Dir: filepath.Join(dir, "dispatch"), CacheDir: sharedCache, Disk: dockertest.Disk{}})
	require.NoError(w.t, err)
	reg, err := client.New(w.url, client.WithRetry(1, 0))
	require.NoError(w.t, err)
	cfg := Config{
		Chain: w.node.Client(), NodeID: testNode, AgentKey: agentKey, Registry: reg, Dispatcher: d, Dir: filepath.Join(dir, "agent"),
		Log:     slog.New(slog.NewTextHandler(testWriter{w.t}, nil)),
		Refresh: 20 * time.Millisecond, Heartbeat: 50 * time.Millisecond, Resend: 100 * time.Millisecond, Sweep: 50 * time.Millisecond,
		RetryMin: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond,
	}
	cfg.link = link.ClientOptions{MinBackoff: 10 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, Resend: 100 * time.Millisecond}
	for _, c := range change {
		c(&cfg)
	}
	a, err := New(cfg)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	p := &process{Agent: a, t: w.t, dir: dir, dispatcher: d}
	p.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.ErrorIs(w.t, err, context.Canceled)
		case <-time.After(5 * time.Second):
			w.t.Error("the agent does not stop")
		}
		require.NoError(w.t, d.Close())
	})
	w.t.Cleanup(p.stop)
	return p
}

// release lets the guest's "wait" go on, in the agent's copy of a job's inputs.
func (p *process) release(tree artifact.Digest) {
	p.t.Helper()
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, "agent", "cache", kindTree, tree.Hex(), "release"), nil, 0o600))
}

// testWriter logs through the test while it runs.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}
