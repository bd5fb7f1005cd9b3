package nodeclient

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// world is a chain with the nodes and the provider account that the test writes, and a provider.
type world struct {
	nodes   []nodestypes.Node
	account *escrowtypes.Account
	owner   string
	sent    []sdk.Msg
	model   *nodestypes.Model
}

type nodesServer struct {
	*nodestypes.UnimplementedQueryServer
	w *world
}

func (s nodesServer) Params(context.Context, *nodestypes.QueryParamsRequest) (*nodestypes.QueryParamsResponse, error) {
	return &nodestypes.QueryParamsResponse{Params: nodestypes.DefaultParams()}, nil
}

func (s nodesServer) Node(_ context.Context, req *nodestypes.QueryNodeRequest) (*nodestypes.QueryNodeResponse, error) {
	for _, n := range s.w.nodes {
		if n.Id == req.Id || req.Id == "" && bytes.Equal(n.AgentKey, req.AgentKey) {
			return &nodestypes.QueryNodeResponse{Node: n}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "node not found")
}

func (s nodesServer) Nodes(_ context.Context, req *nodestypes.QueryNodesRequest) (*nodestypes.QueryNodesResponse, error) {
	resp := &nodestypes.QueryNodesResponse{}
	for _, n := range s.w.nodes {
		if n.Owner == req.Owner {
			resp.Nodes = append(resp.Nodes, n)
		}
	}
	return resp, nil
}

func (s nodesServer) Model(context.Context, *nodestypes.QueryModelRequest) (*nodestypes.QueryModelResponse, error) {
	if s.w.model == nil {
		return nil, status.Error(codes.NotFound, "no model")
	}
	return &nodestypes.QueryModelResponse{Model: *s.w.model}, nil
}

type escrowServer struct {
	*escrowtypes.UnimplementedQueryServer
	w *world
}

func (s escrowServer) Account(_ context.Context, req *escrowtypes.QueryAccountRequest) (*escrowtypes.QueryAccountResponse, error) {
	if s.w.account == nil || s.w.account.Id != req.Id {
		return nil, status.Error(codes.NotFound, "escrow account not found")
	}
	return &escrowtypes.QueryAccountResponse{Account: *s.w.account}, nil
}

func (w *world) Address() string { return w.owner }

func (w *world) Send(_ context.Context, msgs ...sdk.Msg) (*chain.TxResult, error) {
	w.sent = append(w.sent, msgs...)
	return &chain.TxResult{Height: 7, Hash: "AB"}, nil
}

var owner = bytes.Repeat([]byte{7}, 20)

func newWorld(t *testing.T) (*world, *Client) {
	w := &world{}
	ch := chaintest.Start(t, func(s *grpc.Server) {
		nodestypes.RegisterQueryServer(s, nodesServer{w: w})
		escrowtypes.RegisterQueryServer(s, escrowServer{w: w})
	}).Client()
	var err error
	w.owner, err = ch.Codec().Accounts().BytesToString(owner)
	require.NoError(t, err)
	return w, &Client{Chain: ch, Sender: w}
}

func nodeID(salt string) string { return nodestypes.NodeID(owner, salt).Bech32(nodestypes.NodeHRP) }

func accountID() string { return escrowtypes.ProviderAccountID(owner).Bech32(escrowtypes.AccountHRP) }

func TestRegisterDepositsWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		balance, locked, deposited uint64
		noAccount                  bool
	}{
		"no account":        {noAccount: true, deposited: 110},
		"locked only":       {balance: 100, locked: 100, deposited: 110},
		"a part is there":   {balance: 130, locked: 100, deposited: 80},
		"one ufog too few":  {balance: 109, deposited: 1},
		"exactly enough":    {balance: 110},
		"more than enough":  {balance: 500, locked: 10},
		"collateral is due": {balance: 100, deposited: 10},
	} {
		t.Run(name, func(t *testing.T) {
			w, client := newWorld(t)
			if !c.noAccount {
				w.account = &escrowtypes.Account{Id: accountID(), Owner: w.owner, Balance: c.balance, Locked: c.locked}
			}
			msg := &nodestypes.MsgRegisterNode{Owner: w.owner, Salt: "a", Boot: "00112233", Deposit: 100}
			out, err := client.Register(t.Context(), msg, 10)
			require.NoError(t, err)
			require.Equal(t, Registered{
				NodeID: nodeID("a"), Boot: "00112233", Status: "NODE_STATUS_PENDING", Deposited: c.deposited, Locked: 100, Height: 7, TxHash: "AB",
			}, out)
			require.Same(t, msg, w.sent[len(w.sent)-1])
			if c.deposited == 0 {
				require.Len(t, w.sent, 1)
				return
			}
			require.Len(t, w.sent, 2, "in one transaction, the deposit first")
			deposit := w.sent[0].(*escrowtypes.MsgDeposit)
			require.NoError(t, deposit.Validate(client.Chain.Codec().Accounts()))
			require.Equal(t, escrowtypes.Coin(c.deposited), deposit.Amount)
		})
	}
}

func TestRegisterAgainFindsTheFirst(t *testing.T) {
	w, client := newWorld(t)
	key := ed25519.PublicKey(bytes.Repeat([]byte{1}, 32))
	w.nodes = []nodestypes.Node{{Id: nodeID("a"), Owner: w.owner, AgentKey: key, Boot: "aabbccdd", Status: nodestypes.NODE_STATUS_ACTIVE, Deposit: 5}}
	msg := &nodestypes.MsgRegisterNode{Owner: w.owner, Salt: "a", AgentKey: key, Boot: "00112233", Deposit: 100}
	out, err := client.Register(t.Context(), msg, 10)
	require.NoError(t, err)
	require.True(t, out.Existed)
	require.Equal(t, "aabbccdd", out.Boot)
	require.Empty(t, w.sent)

	msg.AgentKey = bytes.Repeat([]byte{2}, 32)
	_, err = client.Register(t.Context(), msg, 10)
	require.ErrorIs(t, err, ErrSaltTaken)
	w.nodes[0].Status = nodestypes.NODE_STATUS_RETIRED
	msg.AgentKey = key
	_, err = client.Register(t.Context(), msg, 10)
	require.ErrorIs(t, err, ErrSaltTaken, "a node that has ended keeps its salt")
}

func TestCheckBeforeTheBenchmark(t *testing.T) {
	w, client := newWorld(t)
	least := nodestypes.DefaultParams().MinDeposit
	key := ed25519.PublicKey(bytes.Repeat([]byte{1}, 32))
	require.NoError(t, client.Check(t.Context(), least, key))
	require.ErrorIs(t, client.Check(t.Context(), least-1, key), nodestypes.ErrInsufficientDeposit)
	w.nodes = []nodestypes.Node{{Id: nodeID("b"), AgentKey: key}}
	require.ErrorIs(t, client.Check(t.Context(), least, key), nodestypes.ErrAgentKeyTaken)
}

func TestEarningsAddUp(t *testing.T) {
	w, client := newWorld(t)
	w.account = &escrowtypes.Account{Id: accountID(), Owner: w.owner, Balance: 150, Locked: 100}
	for i, salt := range []string{"a", "b"} {
		w.nodes = append(w.nodes, nodestypes.Node{Id: nodeID(salt), Owner: w.owner, Statistics: nodestypes.Statistics{Paid: uint64(10 + i)}})
	}
	w.nodes = append(w.nodes, nodestypes.Node{Id: nodeID("c"), Owner: "another", Statistics: nodestypes.Statistics{Paid: 1000}})
	e, err := client.Earnings(t.Context(), w.owner)
	require.NoError(t, err)
	require.Equal(t, uint64(50), e.Free)
	require.Equal(t, uint64(21), e.Paid)
	require.Len(t, e.Nodes, 2)

	_, err = client.Node(t.Context(), "node1x")
	require.ErrorContains(t, err, "not the id of a node")
	_, err = client.Node(t.Context(), nodeID("d"))
	require.ErrorIs(t, err, ErrNoSuchNode)
}

func TestModel(t *testing.T) {
	w, client := newWorld(t)
	_, found, err := client.Model(t.Context())
	require.NoError(t, err)
	require.False(t, found, "there is none before the first")
	w.model = &nodestypes.Model{Version: 3, Classes: []nodestypes.Class{{Id: 2, Profile: "fast CPU"}}}
	model, found, err := client.Model(t.Context())
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, *w.model, model)
}
