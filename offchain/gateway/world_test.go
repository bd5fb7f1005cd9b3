package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/adr36"
	"github.com/foggrid/fogd/offchain/registry/auth"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// wallet signs for an address.
type wallet struct {
	key     *secp256k1.PrivKey
	address string
}

func newWallet(t testing.TB) wallet {
	t.Helper()
	key := secp256k1.GenPrivKey()
	address, err := sdk.Bech32ifyAddressBytes(chain.Bech32Prefix, key.PubKey().Address())
	require.NoError(t, err)
	return wallet{key, address}
}

// world is a gateway with an embedded registry over a chain whose state the test holds.
type world struct {
	t      testing.TB
	dir    string
	cfg    Config
	server *Server
	chain  *chaintest.Node
	// hurry makes the gateway wait less for slow clients.
	hurry bool
	url   string
	stop  func()

	operator, alice, bob wallet
	nodeKey              ed25519.PrivateKey
	nodeID               string

	mu      sync.Mutex
	now     time.Time
	jobs    map[string]jobstypes.Job
	slices  map[string][]jobstypes.Slice
	oracles []oracletypes.Oracle
	// nodeStatus is the world's node's, nodeLabels are its attributes.
	nodeStatus nodestypes.NodeStatus
	nodeLabels []nodestypes.Attribute
}

type jobsServer struct {
	*jobstypes.UnimplementedQueryServer
	w *world
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
	resp := &jobstypes.QueryJobsResponse{Pagination: &query.PageResponse{}}
	for _, job := range s.w.jobs {
		if (req.Owner == "" || req.Owner == job.Owner) && (req.Status == 0 || req.Status == job.Status) {
			resp.Jobs = append(resp.Jobs, job)
		}
	}
	return resp, nil
}

func (s jobsServer) PeriodicJobs(context.Context, *jobstypes.QueryPeriodicJobsRequest) (*jobstypes.QueryPeriodicJobsResponse, error) {
	return &jobstypes.QueryPeriodicJobsResponse{}, nil
}

func (s jobsServer) Slices(_ context.Context, req *jobstypes.QuerySlicesRequest) (*jobstypes.QuerySlicesResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if req.JobId != "" {
		return &jobstypes.QuerySlicesResponse{Slices: s.w.slices[req.JobId]}, nil
	}
	resp := &jobstypes.QuerySlicesResponse{}
	for _, list := range s.w.slices {
		for _, slice := range list {
			if slice.NodeId == req.NodeId {
				resp.Slices = append(resp.Slices, slice)
			}
		}
	}
	return resp, nil
}

func (s jobsServer) Slice(_ context.Context, req *jobstypes.QuerySliceRequest) (*jobstypes.QuerySliceResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for _, slice := range s.w.slices[req.JobId] {
		if slice.Number == req.Number {
			return &jobstypes.QuerySliceResponse{Slice: slice}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "slice not found")
}

type nodesServer struct {
	*nodestypes.UnimplementedQueryServer
	w *world
}

func (s nodesServer) node() nodestypes.Node {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return nodestypes.Node{Id: s.w.nodeID, Status: s.w.nodeStatus, Attributes: s.w.nodeLabels, Owner: s.w.bob.address, AgentKey: s.w.nodeKey.Public().(ed25519.PublicKey)}
}

func (s nodesServer) Node(_ context.Context, req *nodestypes.QueryNodeRequest) (*nodestypes.QueryNodeResponse, error) {
	if req.Id != s.w.nodeID {
		return nil, status.Error(codes.NotFound, "node not found")
	}
	return &nodestypes.QueryNodeResponse{Node: s.node()}, nil
}

func (s nodesServer) Nodes(context.Context, *nodestypes.QueryNodesRequest) (*nodestypes.QueryNodesResponse, error) {
	return &nodestypes.QueryNodesResponse{Nodes: []nodestypes.Node{s.node()}, Pagination: &query.PageResponse{}}, nil
}

type oracleServer struct {
	*oracletypes.UnimplementedQueryServer
	w *world
}

func (s oracleServer) Oracles(context.Context, *oracletypes.QueryOraclesRequest) (*oracletypes.QueryOraclesResponse, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return &oracletypes.QueryOraclesResponse{Oracles: s.w.oracles}, nil
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	w := &world{
		t: t, dir: t.TempDir(), now: time.Now().Truncate(time.Second), operator: newWallet(t), alice: newWallet(t), bob: newWallet(t), nodeKey: key,
		nodeID: nodestypes.NodeID([]byte("owner"), "salt").Bech32(nodestypes.NodeHRP), jobs: map[string]jobstypes.Job{}, slices: map[string][]jobstypes.Slice{},
	}
	w.chain = chaintest.Start(t, func(s *grpc.Server) {
		jobstypes.RegisterQueryServer(s, jobsServer{w: w})
		nodestypes.RegisterQueryServer(s, nodesServer{w: w})
		oracletypes.RegisterQueryServer(s, oracleServer{w: w})
	})
	w.cfg = Config{
		Dir: w.dir, Operators: []string{w.operator.address}, Chain: w.chain.Client(), RegistryDir: t.TempDir(), QuotaBytes: 1 << 20,
		PerToken: Rate{1000, 10000}, PerAddress: Rate{1000, 100000}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: w.clock,
	}
	for _, c := range change {
		c(&w.cfg)
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// start serves the gateway, after stop at another port.
func (w *world) start() {
	w.t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	w.url = "http://" + lis.Addr().String()
	w.cfg.URL = w.url
	ctx, cancel := context.WithCancel(context.Background())
	w.server, err = New(ctx, w.cfg)
	require.NoError(w.t, err)
	if w.hurry {
		w.server.patience = patience{100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond}
	}
	ended := make(chan error, 1)
	go func() { ended <- w.server.Serve(ctx, lis) }()
	w.stop = func() {
		w.stop = func() {}
		cancel()
		require.ErrorIs(w.t, <-ended, context.Canceled)
		require.NoError(w.t, w.server.Close())
	}
}

// send sends a request with a token ("" for none); a body that is no string or reader is sent as JSON.
func (w *world) send(token, method, path string, body any) (int, http.Header, []byte) {
	w.t.Helper()
	var in io.Reader
	kind := ""
	switch b := body.(type) {
	case nil:
	case string:
		in = bytes.NewReader([]byte(b))
	default:
		raw, err := json.Marshal(b)
		require.NoError(w.t, err)
		in, kind = bytes.NewReader(raw), "application/json"
	}
	req, err := http.NewRequest(method, w.url+path, in)
	require.NoError(w.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, resp.Body.Close())
	if path != "/v1/login" && resp.StatusCode < 400 || resp.StatusCode == 404 {
		checkDocumented(w.t, method, path, resp, raw)
	}
	return resp.StatusCode, resp.Header, raw
}

func (w *world) get(token, path string) (int, []byte) {
	w.t.Helper()
	status, _, body := w.send(token, "GET", path, nil)
	return status, body
}

func (w *world) challenge(subject map[string]string) string {
	w.t.Helper()
	status, _, body := w.send("", "POST", "/v1/login/challenge", subject)
	require.Equal(w.t, http.StatusOK, status, string(body))
	var c Challenge
	require.NoError(w.t, json.Unmarshal(body, &c))
	return c.Challenge
}

// answer is a wallet's answer to a challenge.
func (w *world) answer(who wallet, challenge string, roles ...string) LoginRequest {
	w.t.Helper()
	doc, err := adr36.SignBytes(who.address, challenge)
	require.NoError(w.t, err)
	signature, err := who.key.Sign(doc)
	require.NoError(w.t, err)
	return LoginRequest{Challenge: challenge, PublicKey: who.key.PubKey().Bytes(), Signature: signature, Roles: roles}
}

func (w *world) login(who wallet, roles ...string) string {
	w.t.Helper()
	status, _, body := w.send("", "POST", "/v1/login", w.answer(who, w.challenge(map[string]string{"address": who.address}), roles...))
	require.Equal(w.t, http.StatusCreated, status, string(body))
	return secret(w.t, body)
}

func (w *world) nodeLogin() string {
	w.t.Helper()
	challenge := w.challenge(map[string]string{"node": w.nodeID})
	status, _, body := w.send("", "POST", "/v1/login", LoginRequest{Challenge: challenge, Signature: ed25519.Sign(w.nodeKey, NodeSigningBytes(challenge))})
	require.Equal(w.t, http.StatusCreated, status, string(body))
	return secret(w.t, body)
}

func secret(t testing.TB, body []byte) string {
	t.Helper()
	var issued Issued
	require.NoError(t, json.Unmarshal(body, &issued))
	return issued.Secret
}

// key makes an API key with a session.
func (w *world) key(session string, life time.Duration, roles ...string) (string, string) {
	w.t.Helper()
	status, _, body := w.send(session, "POST", "/v1/tokens", NewToken{Kind: access.Key, Roles: roles, Life: int64(life / time.Second)})
	require.Equal(w.t, http.StatusCreated, status, string(body))
	var issued Issued
	require.NoError(w.t, json.Unmarshal(body, &issued))
	return issued.Secret, issued.Token.ID
}

// gatewayTokens gets registry tokens as clients do.
type gatewayTokens struct {
	w     *world
	token string
}

func (g gatewayTokens) RegistryToken(_ context.Context, service string, scopes []string) (string, time.Time, error) {
	query := "?service=" + service
	for _, s := range scopes {
		query += "&scope=" + s
	}
	status, body := g.w.get(g.token, tokenPath+query)
	if status != http.StatusOK {
		return "", time.Time{}, client.ErrDenied
	}
	var t RegistryToken
	err := json.Unmarshal(body, &t)
	return t.Token, time.Now().Add(time.Duration(t.ExpiresIn) * time.Second), err
}

// registry is a client of the embedded registry with a gateway token.
func (w *world) registry(token string) *client.Client {
	w.t.Helper()
	c, err := client.New(w.url, client.WithOwnedRepos(), client.WithTokens(gatewayTokens{w, token}), client.WithRetry(1, 0))
	require.NoError(w.t, err)
	return c
}

// granted are the actions that a registry token gets of a scope.
func (w *world) granted(token, repo, actions string) []string {
	w.t.Helper()
	status, body := w.get(token, tokenPath+"?service="+w.server.cfg.RegistryService+"&scope=repository:"+repo+":"+actions)
	require.Equal(w.t, http.StatusOK, status, string(body))
	var t RegistryToken
	require.NoError(w.t, json.Unmarshal(body, &t))
	return w.actions(t.Token)
}

// actions are those of a registry token for the one repository that it is for.
func (w *world) actions(token string) []string {
	w.t.Helper()
	verifier, err := auth.NewVerifier(w.server.issuer.Certificate(), IssuerName, w.server.cfg.RegistryService, w.clock)
	require.NoError(w.t, err)
	claims, err := verifier.Verify(token)
	require.NoError(w.t, err)
	if len(claims.Access) == 0 {
		return nil
	}
	require.Len(w.t, claims.Access, 1)
	return claims.Access[0].Actions
}

// job puts a job of one slice on the chain, matched to the node until a time.
func (w *world) job(owner wallet, salt string, spec, program artifact.Digest, due time.Time) string {
	id := jobstypes.JobID([]byte(owner.address), []byte(salt)).Bech32(jobstypes.JobHRP)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs[id] = jobstypes.Job{Id: id, Owner: owner.address, Status: jobstypes.JOB_STATUS_OPEN, Tasks: 1, SpecDigest: spec.String(), ImageDigest: program.String()}
	w.slices[id] = []jobstypes.Slice{{
		JobId: id, TaskCount: 1, Attempt: 1, NodeId: w.nodeID, Status: jobstypes.SLICE_STATUS_MATCHED, Due: due.Unix(),
	}}
	return id
}

func (w *world) change(id string, change func(*jobstypes.Job, *jobstypes.Slice)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	job, slice := w.jobs[id], w.slices[id][0]
	change(&job, &slice)
	w.jobs[id], w.slices[id] = job, []jobstypes.Slice{slice}
}
