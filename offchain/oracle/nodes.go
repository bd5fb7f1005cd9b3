package oracle

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync"
	"time"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// nodeBook answers which node an agent key belongs to; it remembers answers for a short time, since every connection asks.
type nodeBook struct {
	chain *chain.Client

	mu    sync.Mutex
	known map[string]bookEntry
}

type bookEntry struct {
	id    string
	until time.Time
}

// bookTime is how long a found key is believed; a key that was not found is asked for again at once.
const bookTime = 30 * time.Second

func newNodeBook(c *chain.Client) *nodeBook {
	return &nodeBook{chain: c, known: map[string]bookEntry{}}
}

// NodeByAgentKey implements link.Registry.
func (b *nodeBook) NodeByAgentKey(ctx context.Context, key ed25519.PublicKey) (string, bool, error) {
	b.mu.Lock()
	entry, ok := b.known[string(key)]
	b.mu.Unlock()
	if ok && time.Now().Before(entry.until) {
		return entry.id, true, nil
	}
	resp, err := nodestypes.NewQueryClient(b.chain.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{AgentKey: key})
	if errors.Is(err, chain.ErrNotFound) {
		b.mu.Lock()
		delete(b.known, string(key))
		b.mu.Unlock()
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	b.mu.Lock()
	b.known[string(key)] = bookEntry{id: resp.Node.Id, until: time.Now().Add(bookTime)}
	b.mu.Unlock()
	return resp.Node.Id, true, nil
}

// node reads one node.
func (b *nodeBook) node(ctx context.Context, id string) (nodestypes.Node, error) {
	resp, err := nodestypes.NewQueryClient(b.chain.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: id})
	if err != nil {
		return nodestypes.Node{}, err
	}
	return resp.Node, nil
}

// all reads every node.
func (b *nodeBook) all(ctx context.Context) ([]nodestypes.Node, error) {
	queries := nodestypes.NewQueryClient(b.chain.Latest())
	return chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*nodestypes.QueryNodesResponse, error) {
		return queries.Nodes(ctx, &nodestypes.QueryNodesRequest{Pagination: page})
	}, func(r *nodestypes.QueryNodesResponse) []nodestypes.Node { return r.Nodes })
}
