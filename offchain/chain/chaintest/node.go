// Package chaintest is a chain for tests of the programs that follow one: real gRPC and RPC servers over state that the test holds.
package chaintest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/p2p"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	rpcserver "github.com/cometbft/cometbft/rpc/jsonrpc/server"
	rpctypes "github.com/cometbft/cometbft/rpc/jsonrpc/types"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/foggrid/fogd/offchain/chain"
)

// ChainID is that of every Node.
const ChainID = "fog-test-1"

// Node answers queries with what the test registers, and has a height. It takes no transactions and has no blocks to follow.
type Node struct {
	t        testing.TB
	codec    *chain.Codec
	register func(*grpc.Server)

	mu     sync.Mutex
	height int64

	grpcAddr, rpcAddr string
	grpcServer        *grpc.Server
	rpcServer         *http.Server
	served            sync.WaitGroup
}

// Start serves a node at height 1 until the test ends; register adds its query servers.
func Start(t testing.TB, register func(*grpc.Server)) *Node {
	t.Helper()
	codec, err := chain.NewCodec()
	require.NoError(t, err)
	n := &Node{t: t, codec: codec, register: register, height: 1}
	n.Serve()
	t.Cleanup(n.Stop)
	return n
}

// Serve starts the servers, after Stop at the same addresses.
func (n *Node) Serve() {
	n.t.Helper()
	gl, rl := n.listen(n.grpcAddr), n.listen(n.rpcAddr)
	n.grpcAddr, n.rpcAddr = gl.Addr().String(), rl.Addr().String()
	n.grpcServer = grpc.NewServer(grpc.ForceServerCodec(n.codec.Proto().GRPCCodec()))
	n.register(n.grpcServer)
	mux := http.NewServeMux()
	rpcserver.RegisterRPCFuncs(mux, map[string]*rpcserver.RPCFunc{
		"status":    rpcserver.NewRPCFunc(n.status, ""),
		"abci_info": rpcserver.NewRPCFunc(n.info, ""),
	}, log.NewNopLogger())
	n.rpcServer = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	grpcServer, rpcServer := n.grpcServer, n.rpcServer
	n.served.Go(func() {
		if err := grpcServer.Serve(gl); err != nil {
			n.t.Errorf("serve gRPC: %v", err)
		}
	})
	n.served.Go(func() {
		if err := rpcServer.Serve(rl); !errors.Is(err, http.ErrServerClosed) {
			n.t.Errorf("serve RPC: %v", err)
		}
	})
}

// Stop makes the node unreachable.
func (n *Node) Stop() {
	n.grpcServer.Stop()
	require.NoError(n.t, n.rpcServer.Close())
	n.served.Wait()
}

func (n *Node) listen(addr string) net.Listener {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	require.NoError(n.t, err)
	return l
}

// Client connects to the node, with short pauses, until the test ends.
func (n *Node) Client() *chain.Client {
	n.t.Helper()
	c, err := chain.Dial(chain.Config{GRPC: n.grpcAddr, RPC: "http://" + n.rpcAddr, PollInterval: 10 * time.Millisecond})
	require.NoError(n.t, err)
	n.t.Cleanup(func() { require.NoError(n.t, c.Close()) })
	return c
}

// Addresses are where the node listens: host:port for gRPC, a URL for the RPC.
func (n *Node) Addresses() (grpcAddr, rpcURL string) { return n.grpcAddr, "http://" + n.rpcAddr }

// Advance makes a block: the state is what the registered servers say from now on.
func (n *Node) Advance() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.height++
}

// Height is that of the newest block.
func (n *Node) Height() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.height
}

func (n *Node) status(*rpctypes.Context) (*ctypes.ResultStatus, error) {
	return &ctypes.ResultStatus{
		NodeInfo: p2p.DefaultNodeInfo{Network: ChainID},
		SyncInfo: ctypes.SyncInfo{LatestBlockHeight: n.Height(), LatestBlockTime: time.Now(), EarliestBlockHeight: 1},
	}, nil
}

func (n *Node) info(*rpctypes.Context) (*ctypes.ResultABCIInfo, error) {
	return &ctypes.ResultABCIInfo{Response: abci.ResponseInfo{LastBlockHeight: n.Height()}}, nil
}
