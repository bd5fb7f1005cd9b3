// Package nodeclient is the provider's side of a node: registering a machine with its deposit, reading how it stands and what it
// earned, and ending it. Nothing here writes to a terminal.
package nodeclient

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobclient"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

var (
	// ErrNoSuchNode is an id that the chain has no node for.
	ErrNoSuchNode = errors.New("there is no such node on this chain")
	// ErrSaltTaken is a salt that the owner has used for another node.
	ErrSaltTaken = errors.New("the salt belongs to another node of this owner; choose another one")
)

// Client serves one provider; reading needs only the chain.
type Client struct {
	Chain  jobclient.Chain
	Sender jobclient.Sender
}

// Node reads a node.
func (c *Client) Node(ctx context.Context, id string) (nodestypes.Node, error) {
	if _, err := nodestypes.ParseNodeID(id); err != nil {
		return nodestypes.Node{}, fmt.Errorf("%q is not the id of a node (node1…): %w", id, err)
	}
	resp, err := nodestypes.NewQueryClient(c.Chain.Latest()).Node(ctx, &nodestypes.QueryNodeRequest{Id: id})
	if errors.Is(err, chain.ErrNotFound) {
		return nodestypes.Node{}, fmt.Errorf("%s: %w", id, ErrNoSuchNode)
	}
	if err != nil {
		return nodestypes.Node{}, err
	}
	return resp.Node, nil
}

// Model reads the model of the classes; false before the first one.
func (c *Client) Model(ctx context.Context) (nodestypes.Model, bool, error) {
	resp, err := nodestypes.NewQueryClient(c.Chain.Latest()).Model(ctx, &nodestypes.QueryModelRequest{})
	if errors.Is(err, chain.ErrNotFound) {
		return nodestypes.Model{}, false, nil
	}
	if err != nil {
		return nodestypes.Model{}, false, err
	}
	return resp.Model, true, nil
}

// Nodes lists the nodes of an owner.
func (c *Client) Nodes(ctx context.Context, owner string) ([]nodestypes.Node, error) {
	queries := nodestypes.NewQueryClient(c.Chain.Latest())
	return chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*nodestypes.QueryNodesResponse, error) {
		return queries.Nodes(ctx, &nodestypes.QueryNodesRequest{Owner: owner, Pagination: page})
	}, func(r *nodestypes.QueryNodesResponse) []nodestypes.Node { return r.Nodes })
}

// Running lists the slices that are on a node.
func (c *Client) Running(ctx context.Context, id string) ([]jobstypes.Slice, error) {
	queries := jobstypes.NewQueryClient(c.Chain.Latest())
	return chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QuerySlicesResponse, error) {
		return queries.Slices(ctx, &jobstypes.QuerySlicesRequest{NodeId: id, Pagination: page})
	}, func(r *jobstypes.QuerySlicesResponse) []jobstypes.Slice { return r.Slices })
}

// Account reads the provider account of an owner; one that does not exist yet is empty.
func (c *Client) Account(ctx context.Context, owner string) (escrowtypes.Account, error) {
	raw, err := c.Chain.Codec().Accounts().StringToBytes(owner)
	if err != nil {
		return escrowtypes.Account{}, fmt.Errorf("address %q: %w", owner, err)
	}
	id := escrowtypes.ProviderAccountID(raw).Bech32(escrowtypes.AccountHRP)
	resp, err := escrowtypes.NewQueryClient(c.Chain.Latest()).Account(ctx, &escrowtypes.QueryAccountRequest{Id: id})
	if errors.Is(err, chain.ErrNotFound) {
		return escrowtypes.Account{Id: id, Owner: owner, Kind: escrowtypes.ACCOUNT_KIND_PROVIDER}, nil
	}
	if err != nil {
		return escrowtypes.Account{}, err
	}
	return resp.Account, nil
}

// Registered is a node that is on chain.
type Registered struct {
	NodeID string `json:"node_id"`
	// Boot is the boot id that the chain expects at the agent's first start.
	Boot   string `json:"boot"`
	Status string `json:"status"`
	// Deposited is what went into the provider account with the registration, in ufog; Locked is the node's deposit in it.
	Deposited uint64 `json:"deposited"`
	Locked    uint64 `json:"locked"`
	// Existed is true if the node had been registered before, with this salt and this agent key.
	Existed bool   `json:"existed"`
	Height  int64  `json:"height,omitempty"`
	TxHash  string `json:"tx_hash,omitempty"`
}

// Check refuses early what the chain would refuse: a deposit below the least, or an agent key that another live node has.
func (c *Client) Check(ctx context.Context, deposit uint64, agentKey ed25519.PublicKey) error {
	queries := nodestypes.NewQueryClient(c.Chain.Latest())
	params, err := queries.Params(ctx, &nodestypes.QueryParamsRequest{})
	if err != nil {
		return err
	}
	if deposit < params.Params.MinDeposit {
		return fmt.Errorf("%w: %d ufog; the least is %d", nodestypes.ErrInsufficientDeposit, deposit, params.Params.MinDeposit)
	}
	resp, err := queries.Node(ctx, &nodestypes.QueryNodeRequest{AgentKey: agentKey})
	switch {
	case errors.Is(err, chain.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: %s has it; retire that node, or register from another --home, whose agent has a key of its own",
		nodestypes.ErrAgentKeyTaken, resp.Node.Id)
}

// Existing finds the sender's node with a salt and tells whether there is one; a node with another agent key, or one that has ended, is
// ErrSaltTaken.
func (c *Client) Existing(ctx context.Context, salt string, agentKey ed25519.PublicKey) (Registered, bool, error) {
	owner, err := c.Chain.Codec().Accounts().StringToBytes(c.Sender.Address())
	if err != nil {
		return Registered{}, false, err
	}
	node, err := c.Node(ctx, nodestypes.NodeID(owner, salt).Bech32(nodestypes.NodeHRP))
	switch {
	case errors.Is(err, ErrNoSuchNode):
		return Registered{}, false, nil
	case err != nil:
		return Registered{}, false, err
	case !node.Status.Live() || !bytes.Equal(node.AgentKey, agentKey):
		return Registered{}, true, fmt.Errorf("salt %q (%s, %s): %w", salt, node.Id, node.Status, ErrSaltTaken)
	}
	return Registered{NodeID: node.Id, Boot: node.Boot, Status: node.Status.String(), Locked: node.Deposit, Existed: true}, true, nil
}

// Register sends a registration. What the provider account lacks of the deposit, and of collateral to be free besides, is deposited in
// the same transaction. Registering the same agent with the same salt again finds the first registration.
func (c *Client) Register(ctx context.Context, msg *nodestypes.MsgRegisterNode, collateral uint64) (Registered, error) {
	if found, exists, err := c.Existing(ctx, msg.Salt, msg.AgentKey); exists || err != nil {
		return found, err
	}
	owner, err := c.Chain.Codec().Accounts().StringToBytes(c.Sender.Address())
	if err != nil {
		return Registered{}, err
	}
	account, err := c.Account(ctx, c.Sender.Address())
	if err != nil {
		return Registered{}, err
	}
	want, err := escrowtypes.AddChecked(msg.Deposit, collateral)
	if err != nil {
		return Registered{}, err
	}
	out := Registered{
		NodeID: nodestypes.NodeID(owner, msg.Salt).Bech32(nodestypes.NodeHRP), Boot: msg.Boot, Locked: msg.Deposit,
		Status: nodestypes.NODE_STATUS_PENDING.String(),
	}
	var msgs []sdk.Msg
	if free := account.Free(); free < want {
		out.Deposited = want - free
		msgs = append(msgs, &escrowtypes.MsgDeposit{Depositor: c.Sender.Address(), Amount: escrowtypes.Coin(out.Deposited)})
	}
	res, err := c.Sender.Send(ctx, append(msgs, msg)...)
	if err != nil {
		return Registered{}, err
	}
	out.Height, out.TxHash = res.Height, res.Hash
	return out, nil
}

// Earnings are what a provider has and has earned, in ufog.
type Earnings struct {
	Owner   string `json:"owner"`
	Account string `json:"account"`
	Balance uint64 `json:"balance"`
	Locked  uint64 `json:"locked"`
	Free    uint64 `json:"free"`
	// Paid to the provider for work, by all nodes.
	Paid  uint64         `json:"paid"`
	Nodes []NodeEarnings `json:"nodes"`
}

// NodeEarnings are those of one node.
type NodeEarnings struct {
	NodeID  string `json:"node_id"`
	Status  string `json:"status"`
	Paid    uint64 `json:"paid"`
	WorkMS  uint64 `json:"work_ms"`
	Tasks   uint64 `json:"tasks"`
	Success uint64 `json:"successes"`
	Lost    uint64 `json:"lost"`
	Deposit uint64 `json:"deposit"`
}

// Earnings reads what an owner has earned.
func (c *Client) Earnings(ctx context.Context, owner string) (Earnings, error) {
	account, err := c.Account(ctx, owner)
	if err != nil {
		return Earnings{}, err
	}
	nodes, err := c.Nodes(ctx, owner)
	if err != nil {
		return Earnings{}, err
	}
	out := Earnings{
		Owner: owner, Account: account.Id, Balance: account.Balance, Locked: account.Locked, Free: account.Free(), Nodes: []NodeEarnings{},
	}
	for _, n := range nodes {
		s := n.Statistics
		out.Paid += s.Paid
		out.Nodes = append(out.Nodes, NodeEarnings{
			NodeID: n.Id, Status: n.Status.String(), Paid: s.Paid, WorkMS: s.WorkMs, Tasks: s.Tasks, Success: s.Successes, Lost: s.Lost,
			Deposit: n.Deposit,
		})
	}
	return out, nil
}
