package jobclient

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// world is a chain whose jobs the test writes, a real registry, and a developer.
type world struct {
	t        *testing.T
	node     *chaintest.Node
	registry *client.Client
	client   *Client

	mu       sync.Mutex
	jobs     map[string]jobstypes.Job
	periodic map[string]jobstypes.PeriodicJob
	slices   map[string][]jobstypes.Slice
	accounts map[string]escrowtypes.Account

	owner string
	// refuse is what the chain says to transactions; sent are those that it took.
	refuse error
	sent   []sdk.Msg
	events []abci.Event
}

type jobsServer struct {
	*jobstypes.UnimplementedQueryServer
	w *world
}

func (s jobsServer) Params(context.Context, *jobstypes.QueryParamsRequest) (*jobstypes.QueryParamsResponse, error) {
	return &jobstypes.QueryParamsResponse{Params: jobstypes.DefaultParams()}, nil
}

func (s jobsServer) Job(_ context.Context, req *jobstypes.QueryJobRequest) (*jobstypes.QueryJobResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	job, ok := s.w.jobs[req.Id]
	if !ok {
		return nil, status.Error(codes.NotFound, "job not found")
	}
	return &jobstypes.QueryJobResponse{Job: job}, nil
}

func (s jobsServer) Jobs(_ context.Context, req *jobstypes.QueryJobsRequest) (*jobstypes.QueryJobsResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	out := &jobstypes.QueryJobsResponse{}
	for _, job := range s.w.jobs {
		if job.Owner == req.Owner && job.Status == req.Status {
			out.Jobs = append(out.Jobs, job)
		}
	}
	return out, nil
}

func (s jobsServer) PeriodicJobs(context.Context, *jobstypes.QueryPeriodicJobsRequest) (*jobstypes.QueryPeriodicJobsResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	out := &jobstypes.QueryPeriodicJobsResponse{}
	for _, job := range s.w.periodic {
		out.Jobs = append(out.Jobs, job)
	}
	return out, nil
}

func (s jobsServer) PeriodicJob(_ context.Context, req *jobstypes.QueryPeriodicJobRequest) (*jobstypes.QueryPeriodicJobResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	job, ok := s.w.periodic[req.Id]
	if !ok {
		return nil, status.Error(codes.NotFound, "job not found")
	}
	return &jobstypes.QueryPeriodicJobResponse{Job: job}, nil
}

func (s jobsServer) Slices(_ context.Context, req *jobstypes.QuerySlicesRequest) (*jobstypes.QuerySlicesResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return &jobstypes.QuerySlicesResponse{Slices: s.w.slices[req.JobId]}, nil
}

type escrowServer struct {
	*escrowtypes.UnimplementedQueryServer
	w *world
}

func (s escrowServer) Account(_ context.Context, req *escrowtypes.QueryAccountRequest) (*escrowtypes.QueryAccountResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	account, ok := s.w.accounts[req.Id]
	if !ok {
		return nil, status.Error(codes.NotFound, "escrow account not found")
	}
	return &escrowtypes.QueryAccountResponse{Account: account}, nil
}

func newWorld(t *testing.T, options ...client.Option) *world {
	w := &world{
		t: t, jobs: map[string]jobstypes.Job{}, periodic: map[string]jobstypes.PeriodicJob{}, slices: map[string][]jobstypes.Slice{}, accounts: map[string]escrowtypes.Account{},
	}
	w.node = chaintest.Start(t, func(s *grpc.Server) {
		jobstypes.RegisterQueryServer(s, jobsServer{w: w})
		escrowtypes.RegisterQueryServer(s, escrowServer{w: w})
	})
	r, err := registry.Open(t.TempDir(), registry.Options{})
	require.NoError(t, err)
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, r.Close())
	})
	w.registry, err = client.New(server.URL, append(options, client.WithRetry(2, time.Millisecond))...)
	require.NoError(t, err)
	ch := w.node.Client()
	w.owner, err = ch.Codec().Accounts().BytesToString(bytes.Repeat([]byte{7}, 20))
	require.NoError(t, err)
	w.client = &Client{Chain: ch, Registry: w.registry, Sender: w}
	return w
}

// Address and Send make the world the developer's sender.
func (w *world) Address() string { return w.owner }

func (w *world) Send(_ context.Context, msgs ...sdk.Msg) (*chain.TxResult, error) {
	if w.refuse != nil {
		return nil, w.refuse
	}
	w.sent = append(w.sent, msgs...)
	for _, m := range msgs {
		if m, ok := m.(*jobstypes.MsgSubmitJob); ok {
			w.putSubmitted(m)
		}
	}
	return &chain.TxResult{Height: 5, Hash: "AB", Events: w.events}, nil
}

func (w *world) putSubmitted(m *jobstypes.MsgSubmitJob) {
	id := jobstypes.JobID(bytes.Repeat([]byte{7}, 20), []byte(m.Salt)).Bech32(jobstypes.JobHRP)
	if m.Type == jobstypes.JOB_TYPE_PERIODIC {
		w.periodic[id] = jobstypes.PeriodicJob{
			Id: id, Owner: m.Owner, Account: accountOf(w.t, id), Status: jobstypes.PERIODIC_STATUS_ACTIVE, Submission: *m, NextTime: 77,
		}
		w.accounts[accountOf(w.t, id)] = escrowtypes.Account{Id: accountOf(w.t, id), Balance: 42}
		return
	}
	w.jobs[id] = jobstypes.Job{
		Id: id, Owner: m.Owner, Engine: m.Engine, SpecDigest: m.SpecDigest, ImageDigest: m.ImageDigest, Tasks: m.Tasks, MinSuccess: m.MinSuccess,
		Resources: m.Resources, Constraints: m.Constraints, PriceCap: m.PriceCap, MaxDuration: m.MaxDuration, Wishes: m.Wishes, Funded: 42,
		Status: jobstypes.JOB_STATUS_OPEN, Counts: jobstypes.TaskCounts{Pending: m.Tasks},
	}
}

// job makes a job on chain without slices.
func (w *world) job(salt string, tasks uint32) string {
	id := jobstypes.JobID(bytes.Repeat([]byte{7}, 20), []byte(salt)).Bech32(jobstypes.JobHRP)
	job := jobstypes.Job{Id: id, Owner: w.owner, Tasks: tasks, Status: jobstypes.JOB_STATUS_OPEN, Account: "acct", Counts: jobstypes.TaskCounts{Pending: tasks}}
	job.Resources.StorageMib = 1
	w.jobs[id] = job
	return id
}

// accountOf is the escrow account of a job.
func accountOf(t *testing.T, id string) string {
	job, err := escrowtypes.ParseID(jobstypes.JobHRP, id)
	require.NoError(t, err)
	return escrowtypes.JobAccountID(job).Bech32(escrowtypes.AccountHRP)
}

// output packs a file of a task.
func (w *world) output(text string) client.Blob {
	dir := w.t.TempDir()
	if text != "" {
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, "out.txt"), []byte(text), 0o600))
	}
	path := filepath.Join(w.t.TempDir(), "out.tar")
	_, _, err := artifact.PackFile(path, dir, artifact.Limits{})
	require.NoError(w.t, err)
	blob, err := client.FileBlob("", path)
	require.NoError(w.t, err)
	return blob
}

// run pushes the result of a slice and puts its outcome on chain; texts are the outputs of its tasks.
func (w *world) run(id string, first uint32, texts []string, failures ...jobstypes.TaskFailure) uint32 {
	number := uint32(len(w.slices[id]))
	var outputs []client.TaskOutput
	var leaves [][32]byte
	for i, text := range texts {
		o := client.TaskOutput{Task: first + uint32(i), Result: w.output(text)}
		o.Log = client.BytesBlob("", []byte("log of "+strconv.Itoa(int(o.Task))+" in slice "+strconv.Itoa(int(number))+"\n"))
		outputs, leaves = append(outputs, o), append(leaves, o.Result.Digest)
	}
	_, err := w.registry.PushArtifact(w.t.Context(), w.registry.SliceRepo(id, number, 1), client.ResultTag(number, 1), client.Result(outputs))
	require.NoError(w.t, err)
	root := artifact.MerkleRoot(leaves)
	w.slices[id] = append(w.slices[id], jobstypes.Slice{
		JobId: id, Number: number, FirstTask: first, TaskCount: uint32(len(texts)), Attempt: 1, Status: jobstypes.SLICE_STATUS_REPORTED,
		Outcome: &jobstypes.Outcome{ResultRoot: root[:], Failures: failures},
	})
	return number
}

func (w *world) close(id string, reason jobstypes.CloseReason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	job := w.jobs[id]
	job.Status, job.CloseReason = jobstypes.JOB_STATUS_CLOSED, reason
	w.jobs[id] = job
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(raw)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	slices.Sort(all)
	return all
}
