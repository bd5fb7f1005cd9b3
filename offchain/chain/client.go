package chain

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	rpctypes "github.com/cometbft/cometbft/rpc/jsonrpc/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	defaultCallTimeout  = 10 * time.Second
	defaultPollInterval = 250 * time.Millisecond
	maxMessage          = 64 << 20
)

// Config says which node to use and how.
type Config struct {
	// GRPC is host:port, or https://host:port for TLS with the system's roots.
	GRPC string
	// RPC is the URL of the CometBFT RPC: http://host:port.
	RPC string
	// Patience is how long a query to a node that does not answer is tried again; zero: not at all.
	Patience time.Duration
	// CallTimeout limits one call; default 10 s.
	CallTimeout time.Duration
	// PollInterval is the pause between looks for a new block or for a transaction in a block; default 250 ms.
	PollInterval time.Duration
	// Logger gets outages and recoveries; default slog.Default.
	Logger *slog.Logger
}

// Client is a connection to one node. It is safe for concurrent use.
type Client struct {
	codec       *Codec
	grpc        *grpc.ClientConn
	rpc         *rpchttp.HTTP
	patience    time.Duration
	callTimeout time.Duration
	poll        time.Duration
	log         *slog.Logger

	mu      sync.Mutex
	chainID string
}

// Dial prepares the connections; it does not wait for the node.
func Dial(cfg Config) (*Client, error) {
	codec, err := NewCodec()
	if err != nil {
		return nil, err
	}
	c := &Client{
		codec:       codec,
		patience:    cfg.Patience,
		callTimeout: orDefault(cfg.CallTimeout, defaultCallTimeout),
		poll:        orDefault(cfg.PollInterval, defaultPollInterval),
		log:         cfg.Logger,
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if cfg.GRPC == "" || cfg.RPC == "" {
		return nil, errors.New("chain: the node's gRPC and RPC addresses are both needed; give both")
	}
	if c.rpc, err = rpchttp.New(cfg.RPC, "/websocket"); err != nil {
		return nil, fmt.Errorf("chain: RPC address %q: %w", cfg.RPC, err)
	}
	target, secured := strings.CutPrefix(cfg.GRPC, "https://")
	creds := insecure.NewCredentials()
	if secured {
		creds = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	reconnect := grpcbackoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = backoffFirst, backoffMost
	c.grpc, err = grpc.NewClient(target,
		grpc.WithTransportCredentials(creds),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: backoffMost}),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodec(codec.proto.GRPCCodec()),
			grpc.MaxCallRecvMsgSize(maxMessage),
			grpc.MaxCallSendMsgSize(maxMessage),
		),
	)
	if err != nil {
		return nil, fmt.Errorf("chain: gRPC address %q: %w", cfg.GRPC, err)
	}
	return c, nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}

// Close ends the connections.
func (c *Client) Close() error { return c.grpc.Close() }

// Codec returns the codec that the client was made with.
func (c *Client) Codec() *Codec { return c.codec }

// Latest returns a connection for queries of the newest state.
func (c *Client) Latest() grpc.ClientConnInterface { return conn{client: c} }

// AtHeight returns a connection for queries of the state after the block at height, which must be above zero.
func (c *Client) AtHeight(height int64) grpc.ClientConnInterface {
	return conn{client: c, height: height}
}

// Status is what a node says of itself.
type Status struct {
	ChainID string
	// Height is of the newest block in the node's store, Earliest of the oldest.
	Height, Earliest int64
	// Time of the newest block.
	Time time.Time
	// CatchingUp is true while the node syncs old blocks.
	CatchingUp bool
}

// Status asks the node for its chain and its height.
func (c *Client) Status(ctx context.Context) (Status, error) {
	call, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	s, err := c.rpc.Status(call)
	if err != nil {
		return Status{}, rpcError(ctx, "status", err)
	}
	return Status{
		ChainID:    s.NodeInfo.Network,
		Height:     s.SyncInfo.LatestBlockHeight,
		Earliest:   s.SyncInfo.EarliestBlockHeight,
		Time:       s.SyncInfo.LatestBlockTime,
		CatchingUp: s.SyncInfo.CatchingUp,
	}, nil
}

// ChainID returns the chain's id, asked for once.
func (c *Client) ChainID(ctx context.Context) (string, error) {
	c.mu.Lock()
	id := c.chainID
	c.mu.Unlock()
	if id != "" {
		return id, nil
	}
	s, err := c.Status(ctx)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chainID = s.ChainID
	return s.ChainID, nil
}

// Height returns the newest height whose state can be queried; zero before the first block.
func (c *Client) Height(ctx context.Context) (int64, error) {
	call, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	// The application's own height: the block store runs ahead of the state by one block while a block is executed.
	info, err := c.rpc.ABCIInfo(call)
	if err != nil {
		return 0, rpcError(ctx, "abci_info", err)
	}
	return info.Response.LastBlockHeight, nil
}

// WaitForHeight returns when the state at height can be queried, with the newest such height. Outages are waited out.
func (c *Client) WaitForHeight(ctx context.Context, height int64) (int64, error) {
	var pause backoff
	for {
		now, err := c.Height(ctx)
		switch {
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case err != nil:
			err = pause.wait(ctx)
		case now >= height:
			return now, nil
		default:
			pause.reset()
			err = sleep(ctx, c.poll)
		}
		if err != nil {
			return 0, err
		}
	}
}

// BlockHash returns the 32-byte hash of the block at height; ErrFutureHeight or ErrPruned if the node has no such block.
func (c *Client) BlockHash(ctx context.Context, height int64) ([]byte, error) {
	call, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	h, err := c.header(call, height)
	if err != nil {
		return nil, err
	}
	return h.Hash(), nil
}

// BlockTime returns the time of the block at height, with the errors of BlockHash.
func (c *Client) BlockTime(ctx context.Context, height int64) (time.Time, error) {
	call, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	h, err := c.header(call, height)
	if err != nil {
		return time.Time{}, err
	}
	return h.Time, nil
}

func (c *Client) header(ctx context.Context, height int64) (*cmttypes.Header, error) {
	h, err := c.rpc.Header(ctx, &height)
	if err != nil {
		return nil, c.heightError(ctx, "header", height, err)
	}
	if h.Header == nil {
		return nil, fmt.Errorf("header at height %d: %w", height, ErrPruned)
	}
	return h.Header, nil
}

// heightError tells a height that the node cannot serve from other errors of the RPC.
func (c *Client) heightError(ctx context.Context, method string, height int64, err error) error {
	var answered *rpctypes.RPCError
	if !errors.As(err, &answered) {
		return rpcError(ctx, method, err)
	}
	s, statusErr := c.Status(ctx)
	switch {
	case statusErr != nil:
		return statusErr
	case height > s.Height:
		return fmt.Errorf("%s at height %d: %w", method, height, ErrFutureHeight)
	case height < s.Earliest:
		return fmt.Errorf("%s at height %d: %w", method, height, ErrPruned)
	default:
		return rpcError(ctx, method, err)
	}
}

// rpcError wraps what the RPC client returned: the caller's own end of patience, an answer, or no answer.
func rpcError(ctx context.Context, method string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var answered *rpctypes.RPCError
	if errors.As(err, &answered) {
		return fmt.Errorf("rpc %s: %w", method, answered)
	}
	return fmt.Errorf("rpc %s: %w: %w", method, ErrUnavailable, err)
}
