package chain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtbytes "github.com/cometbft/cometbft/libs/bytes"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/p2p"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	rpcserver "github.com/cometbft/cometbft/rpc/jsonrpc/server"
	rpctypes "github.com/cometbft/cometbft/rpc/jsonrpc/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	grpctypes "github.com/cosmos/cosmos-sdk/types/grpc"
	txtypes "github.com/cosmos/cosmos-sdk/types/tx"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
)

const fakeChainID = "fog-fake-1"

// fakeNode serves the parts of the node's gRPC and RPC that the client uses, over real connections, from a chain kept in
// memory: one account, a mempool that a restart empties, sequences and signatures that are really checked.
type fakeNode struct {
	t     *testing.T
	codec *Codec
	pub   cryptotypes.PubKey
	addr  string

	mu       sync.Mutex
	blocks   []fakeBlock // blocks[i] has height i+1
	sequence uint64      // committed
	checked  uint64      // with the mempool's transactions
	mempool  [][]byte
	earliest int64
	hidden   bool                                     // the newest block is stored but its state is not committed
	noHeader bool                                     // refuse queries without a height, as while committing
	onSend   func(raw []byte) (handled bool, _ error) // called for each broadcast
	sent     int

	grpcAddr, rpcAddr string
	grpcServer        *grpc.Server
	rpcServer         *http.Server
	served            sync.WaitGroup
}

type fakeBlock struct {
	block   *cmttypes.Block
	results *ctypes.ResultBlockResults
}

type fakeSigner struct{ *secp256k1.PrivKey }

func newFakeNode(t *testing.T) (*fakeNode, fakeSigner) {
	t.Helper()
	c, err := NewCodec()
	require.NoError(t, err)
	key := secp256k1.GenPrivKeyFromSecret([]byte("fake"))
	addr, err := c.Accounts().BytesToString(key.PubKey().Address())
	require.NoError(t, err)
	n := &fakeNode{t: t, codec: c, pub: key.PubKey(), addr: addr, earliest: 1, sequence: 7, checked: 7}
	n.commit(1)
	n.start()
	t.Cleanup(n.stop)
	return n, fakeSigner{key}
}

// client connects to the node with short pauses.
func (n *fakeNode) client(cfg Config) *Client {
	n.t.Helper()
	cfg.GRPC, cfg.RPC = n.grpcAddr, "http://"+n.rpcAddr
	cfg.PollInterval = 10 * time.Millisecond
	c, err := Dial(cfg)
	require.NoError(n.t, err)
	n.t.Cleanup(func() { require.NoError(n.t, c.Close()) })
	return c
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	return l
}

// start serves, after a restart at the same addresses.
func (n *fakeNode) start() {
	gl, rl := listen(n.t, n.grpcAddr), listen(n.t, n.rpcAddr)
	n.grpcAddr, n.rpcAddr = gl.Addr().String(), rl.Addr().String()
	n.grpcServer = grpc.NewServer(grpc.ForceServerCodec(n.codec.Proto().GRPCCodec()))
	authtypes.RegisterQueryServer(n.grpcServer, fakeAuth{node: n})
	txtypes.RegisterServiceServer(n.grpcServer, fakeTxs{node: n})
	mux := http.NewServeMux()
	rpcserver.RegisterRPCFuncs(mux, map[string]*rpcserver.RPCFunc{
		"status":        rpcserver.NewRPCFunc(n.rpcStatus, ""),
		"abci_info":     rpcserver.NewRPCFunc(n.rpcInfo, ""),
		"abci_query":    rpcserver.NewRPCFunc(n.rpcQuery, "path,data,height,prove"),
		"header":        rpcserver.NewRPCFunc(n.rpcHeader, "height"),
		"block":         rpcserver.NewRPCFunc(n.rpcBlock, "height"),
		"block_results": rpcserver.NewRPCFunc(n.rpcResults, "height"),
	}, log.NewNopLogger())
	n.rpcServer = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	n.served.Go(func() { require.NoError(n.t, n.grpcServer.Serve(gl)) })
	n.served.Go(func() { require.ErrorIs(n.t, n.rpcServer.Serve(rl), http.ErrServerClosed) })
}

// stop ends serving and forgets the mempool.
func (n *fakeNode) stop() {
	n.grpcServer.Stop()
	require.NoError(n.t, n.rpcServer.Close())
	n.served.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mempool, n.checked = nil, n.sequence
}

// commit makes count blocks, the first with the mempool's transactions.
func (n *fakeNode) commit(count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range count {
		var (
			txs     []cmttypes.Tx
			results []*abci.ExecTxResult
		)
		height := int64(len(n.blocks) + 1)
		for _, raw := range n.mempool {
			tx := n.decode(raw)
			if tx.AuthInfo.SignerInfos[0].Sequence != n.sequence || tx.Body.TimeoutHeight < uint64(height) {
				continue
			}
			n.sequence++
			r := &abci.ExecTxResult{GasUsed: 1234, GasWanted: int64(tx.AuthInfo.Fee.GasLimit)}
			if tx.Body.Memo == "fail" {
				r.Code, r.Codespace, r.Log = errFake.ABCICode(), errFake.Codespace(), "as asked"
			}
			txs, results = append(txs, raw), append(results, r)
		}
		n.mempool, n.checked = nil, n.sequence
		b := cmttypes.MakeBlock(height, txs, &cmttypes.Commit{}, nil)
		b.ChainID, b.Time = fakeChainID, time.Unix(1_700_000_000+height, 0).UTC()
		b.ValidatorsHash = make([]byte, 32)
		if height > 1 {
			b.LastBlockID = cmttypes.BlockID{Hash: n.blocks[height-2].block.Hash()}
		}
		n.blocks = append(n.blocks, fakeBlock{block: b, results: &ctypes.ResultBlockResults{
			Height: height, TxsResults: results,
			FinalizeBlockEvents: []abci.Event{{Type: "height", Attributes: []abci.EventAttribute{{Key: "h", Value: fmt.Sprint(height)}}}},
		}})
	}
}

func (n *fakeNode) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *fakeNode) sends() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

func (n *fakeNode) decode(raw []byte) *txtypes.Tx {
	var tx txtypes.Tx
	require.NoError(n.t, n.codec.Proto().Unmarshal(raw, &tx))
	return &tx
}

// verify checks the signature over the sign document.
func (n *fakeNode) verify(raw []byte, sequence uint64) bool {
	var tx txtypes.TxRaw
	require.NoError(n.t, tx.Unmarshal(raw))
	doc, err := (&txtypes.SignDoc{BodyBytes: tx.BodyBytes, AuthInfoBytes: tx.AuthInfoBytes, ChainId: fakeChainID, AccountNumber: 3}).Marshal()
	require.NoError(n.t, err)
	return n.pub.VerifySignature(doc, tx.Signatures[0]) && n.decode(raw).AuthInfo.SignerInfos[0].Sequence == sequence
}

// app is the height of the committed state.
func (n *fakeNode) app() int64 {
	if n.hidden {
		return int64(len(n.blocks)) - 1
	}
	return int64(len(n.blocks))
}

func (n *fakeNode) at(height *int64) (fakeBlock, error) {
	if height == nil || *height > int64(len(n.blocks)) || *height < n.earliest {
		return fakeBlock{}, errors.New("no such height here")
	}
	return n.blocks[*height-1], nil
}

func (n *fakeNode) rpcStatus(*rpctypes.Context) (*ctypes.ResultStatus, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &ctypes.ResultStatus{
		NodeInfo: p2p.DefaultNodeInfo{Network: fakeChainID},
		SyncInfo: ctypes.SyncInfo{LatestBlockHeight: int64(len(n.blocks)), EarliestBlockHeight: n.earliest},
	}, nil
}

func (n *fakeNode) rpcInfo(*rpctypes.Context) (*ctypes.ResultABCIInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &ctypes.ResultABCIInfo{Response: abci.ResponseInfo{LastBlockHeight: n.app()}}, nil
}

func (n *fakeNode) rpcHeader(_ *rpctypes.Context, height *int64) (*ctypes.ResultHeader, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b, err := n.at(height)
	if err != nil {
		return nil, err
	}
	return &ctypes.ResultHeader{Header: &b.block.Header}, nil
}

func (n *fakeNode) rpcBlock(_ *rpctypes.Context, height *int64) (*ctypes.ResultBlock, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b, err := n.at(height)
	if err != nil {
		return nil, err
	}
	return &ctypes.ResultBlock{BlockID: cmttypes.BlockID{Hash: b.block.Hash()}, Block: b.block}, nil
}

func (n *fakeNode) rpcResults(_ *rpctypes.Context, height *int64) (*ctypes.ResultBlockResults, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b, err := n.at(height)
	return b.results, err
}

// rpcQuery serves /app/simulate as the SDK does.
func (n *fakeNode) rpcQuery(_ *rpctypes.Context, path string, data cmtbytes.HexBytes, _ int64, _ bool) (*ctypes.ResultABCIQuery, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	tx := n.decode(data)
	switch {
	case path != "/app/simulate":
		return nil, errors.New("unknown path " + path)
	case tx.AuthInfo.SignerInfos[0].Sequence != n.checked:
		return &ctypes.ResultABCIQuery{Response: *sdkerrors.QueryResult(sdkerrors.ErrWrongSequence, false)}, nil
	case tx.Body.Memo == "unsimulated":
		return &ctypes.ResultABCIQuery{Response: *sdkerrors.QueryResult(errFake, false)}, nil
	}
	value, err := codec.ProtoMarshalJSON(&sdk.SimulationResponse{GasInfo: sdk.GasInfo{GasUsed: 1000}, Result: &sdk.Result{}}, n.codec.Registry())
	return &ctypes.ResultABCIQuery{Response: abci.ResponseQuery{Value: value}}, err
}

type fakeAuth struct {
	*authtypes.UnimplementedQueryServer
	node *fakeNode
}

func (a fakeAuth) AccountInfo(ctx context.Context, req *authtypes.QueryAccountInfoRequest) (*authtypes.QueryAccountInfoResponse, error) {
	n := a.node
	n.mu.Lock()
	defer n.mu.Unlock()
	md, _ := metadata.FromIncomingContext(ctx)
	if n.noHeader && len(md.Get(grpctypes.GRPCBlockHeightHeader)) == 0 {
		return nil, sdkerrors.ErrInvalidHeight
	}
	if req.Address != n.addr {
		return nil, status.Errorf(codes.NotFound, "no account %s", req.Address)
	}
	return &authtypes.QueryAccountInfoResponse{Info: &authtypes.BaseAccount{Address: n.addr, AccountNumber: 3, Sequence: n.sequence}}, nil
}

type fakeTxs struct {
	*txtypes.UnimplementedServiceServer
	node *fakeNode
}

func (s fakeTxs) BroadcastTx(_ context.Context, req *txtypes.BroadcastTxRequest) (*txtypes.BroadcastTxResponse, error) {
	n := s.node
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent++
	if n.onSend != nil {
		if handled, err := n.onSend(req.TxBytes); handled {
			return &txtypes.BroadcastTxResponse{TxResponse: &sdk.TxResponse{}}, err
		}
	}
	refuse := func(code uint32, space string) (*txtypes.BroadcastTxResponse, error) {
		return &txtypes.BroadcastTxResponse{TxResponse: &sdk.TxResponse{Code: code, Codespace: space, RawLog: "refused"}}, nil
	}
	for _, raw := range n.mempool {
		if string(raw) == string(req.TxBytes) {
			return refuse(sdkerrors.ErrTxInMempoolCache.ABCICode(), sdkerrors.RootCodespace)
		}
	}
	tx := n.decode(req.TxBytes)
	switch {
	case tx.Body.Memo == "refuse":
		return refuse(errFake.ABCICode(), errFake.Codespace())
	case tx.AuthInfo.SignerInfos[0].Sequence != n.checked:
		return refuse(sdkerrors.ErrWrongSequence.ABCICode(), sdkerrors.RootCodespace)
	case !n.verify(req.TxBytes, n.checked):
		return refuse(sdkerrors.ErrUnauthorized.ABCICode(), sdkerrors.RootCodespace)
	}
	n.mempool, n.checked = append(n.mempool, req.TxBytes), n.checked+1
	return &txtypes.BroadcastTxResponse{TxResponse: &sdk.TxResponse{}}, nil
}
