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

	mu        sync.Mutex
	known     map[string]bookEntry // by agent key
	addresses map[string]bookEntry // by node
}

type bookEntry struct {
	value string
	until time.Time
}

// bookTime is how long a found key is believed; a key that was not found is asked for again at once.
const bookTime = 30 * time.Second

func newNodeBook(c *chain.Client) *nodeBook {
	return &nodeBook{chain: c, known: map[string]bookEntry{}, addresses: map[string]bookEntry{}}
}

// NodeByAgentKey implements link.Registry.
func (b *nodeBook) NodeByAgentKey(ctx context.Context, key ed25519.PublicKey) (string, bool, error) {
	b.mu.Lock()
	entry, ok := b.known[string(key)]
	b.mu.Unlock()
	if ok && time.Now().Before(entry.until) {
		return entry.value, true, nil
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
	b.known[string(key)] = bookEntry{value: resp.Node.Id, until: time.Now().Add(bookTime)}
	b.mu.Unlock()
	return resp.Node.Id, true, nil
}

// address is where the ports of a node are reached.
func (b *nodeBook) address(ctx context.Context, node string) (string, error) {
	b.mu.Lock()
	entry, ok := b.addresses[node]
	b.mu.Unlock()
	if ok && time.Now().Before(entry.until) {
		return entry.value, nil
	}
	n, err := b.node(ctx, node)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addresses[node] = bookEntry{value: n.Address, until: time.Now().Add(bookTime)}
	return n.Address, nil
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
