package keeper_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/x/nodes/types"
)

func TestRegister(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 150*fog)
	msg := w.registration(alice, "one")
	require.NoError(t, w.send(msg))

	id := types.NodeID(alice, "one")
	n := w.node(id)
	require.Equal(t, types.Node{
		Id: id.Bech32("node"), Owner: w.Text(alice), Status: types.NODE_STATUS_PENDING, AgentKey: msg.AgentKey, Region: "eu", Datacenter: "eu-1",
		Capacity: msg.Capacity, Hardware: msg.Hardware, Declared: declared, Attributes: msg.Attributes, Prices: msg.Prices,
		Deposit: 100 * fog, Boot: boot, BenchmarkPending: true, StatusSince: w.Ctx.BlockTime().Unix(), RegisteredHeight: w.Ctx.BlockHeight(),
	}, n)
	require.Equal(t, []*types.EventNodeRegistered{{NodeId: n.Id, Owner: n.Owner, Deposit: 100 * fog}}, eventsOf[*types.EventNodeRegistered](w))
	require.False(t, w.benchmarkOpen(id, boot), "rounds are opened in EndBlock")

	w.end(1)
	require.True(t, w.benchmarkOpen(id, boot))
	require.EqualValues(t, 4*fog, w.Wallet(alice), "the fee is paid from the wallet")
	require.EqualValues(t, fog, w.fees())
	account := w.account(alice)
	require.EqualValues(t, 150*fog, account.Balance, "the deposit stays the owner's")
	require.EqualValues(t, 100*fog, account.Locked)
	byKey, err := w.k.NodeByAgentKey(w.Ctx, msg.AgentKey)
	require.NoError(t, err)
	require.Equal(t, w.node(id), byKey)
	w.check()
}

func TestRegisterRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*types.MsgRegisterNode)
		want error
		says string
	}{
		"owner":            {func(m *types.MsgRegisterNode) { m.Owner = "cosmos1qqqq" }, types.ErrInvalidField, "owner"},
		"field":            {func(m *types.MsgRegisterNode) { m.Region = "EU" }, types.ErrInvalidField, "region"},
		"signature":        {func(m *types.MsgRegisterNode) { m.AgentSignature[0] ^= 1 }, types.ErrInvalidField, "agent_signature"},
		"deposit below":    {func(m *types.MsgRegisterNode) { m.Deposit-- }, types.ErrInsufficientDeposit, "the least is 100000000"},
		"deposit not free": {func(m *types.MsgRegisterNode) { m.Deposit = 100*fog + 1 }, types.ErrInsufficientDeposit, "fogd tx escrow deposit"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.rich("alice", fog, 100*fog)
			msg := w.registration(alice, "one")
			c.edit(msg)
			err := w.send(msg)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.says)
			w.end(1)
			require.Zero(t, w.account(alice).Locked)
			require.EqualValues(t, fog, w.Wallet(alice))
			require.NoError(t, w.send(w.registration(alice, "one")), "nothing is left of the refused one")
		})
	}
}

func TestRegisterNeedsMoney(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", fog-1, 100*fog)
	require.ErrorIs(t, w.send(w.registration(alice, "one")), sdkerrors.ErrInsufficientFunds)
	require.Zero(t, w.account(alice).Locked, "deposit and fee are atomic")

	bob := sdk.AccAddress("has no account......")
	require.ErrorIs(t, w.send(w.registration(bob, "one")), types.ErrInsufficientDeposit)
}

func TestRegisterTwice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.rich("alice", 5*fog, 500*fog), w.rich("bob", 5*fog, 500*fog)
	first := w.registration(alice, "one")
	require.NoError(t, w.send(first))

	again := w.registration(alice, "one")
	require.ErrorIs(t, w.send(again), types.ErrNodeExists)

	// The same machine under another name, or of another owner who got the agent's signature.
	taken := w.registration(bob, "two")
	key := agentKey(w.Text(alice) + "one")
	taken.AgentKey, taken.AgentSignature = first.AgentKey, ed25519.Sign(key, types.RegistrationBytes(bob, "two"))
	require.ErrorIs(t, w.send(taken), types.ErrAgentKeyTaken)
	require.ErrorContains(t, w.send(taken), types.NodeID(alice, "one").Bech32("node"))

	stolen := w.registration(bob, "one")
	stolen.AgentKey, stolen.AgentSignature = first.AgentKey, first.AgentSignature
	require.ErrorContains(t, w.send(stolen), "agent_signature", "a signature for one owner is none for another")

	require.NoError(t, w.send(w.registration(bob, "one")), "salts are the owner's own")
	w.end(1)
	require.NoError(t, w.retire(w.node(types.NodeID(alice, "one"))))
	require.NoError(t, w.send(taken), "the key is free again")
	require.ErrorIs(t, w.send(again), types.ErrNodeExists, "the id is not")
	w.end(1)
	w.check()
}

// bech32 has an upper case form of each address; a node must not have an owner that looks different from a job's.
func TestOwnerIsCanonical(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 500*fog)
	msg := w.registration(alice, "one")
	msg.Owner = strings.ToUpper(msg.Owner)
	require.NoError(t, w.send(msg))
	w.end(1)
	n := w.node(types.NodeID(alice, "one"))
	require.Equal(t, w.Text(alice), n.Owner)
	require.NoError(t, w.send(&types.MsgRetireNode{Owner: msg.Owner, NodeId: n.Id}))
}

// A message that governance executes comes after the bank has credited virtual sends: an ordinary send it must be.
func TestFeeOutsideOfTransactions(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 500*fog)
	_, err := w.msgs.RegisterNode(w.Ctx, w.registration(alice, "one"))
	require.NoError(t, err)
	require.EqualValues(t, fog, w.fees())
	w.end(1)
	require.EqualValues(t, fog, w.fees())
	require.EqualValues(t, 4*fog, w.Wallet(alice))
}

func TestRegisterWithoutFee(t *testing.T) {
	w := newWorld(t)
	w.setParams(func(p *types.Params) { p.RegistrationFee = 0 })
	alice := w.rich("alice", 0, 100*fog)
	require.NoError(t, w.send(w.registration(alice, "one")))
}

func TestGasGrowsWithTheWork(t *testing.T) {
	w := newWorld(t)
	alice := w.rich("alice", 5*fog, 500*fog)
	gas := func(msg *types.MsgRegisterNode) uint64 {
		meter := storetypes.NewInfiniteGasMeter()
		require.NoError(t, w.Tx(func(ctx sdk.Context) error {
			_, err := w.msgs.RegisterNode(ctx.WithGasMeter(meter), msg)
			return err
		}))
		return meter.GasConsumed()
	}
	small := gas(w.registration(alice, "one"))
	require.Greater(t, small, uint64(60_000), "the benchmark is paid in advance")
	big := w.registration(alice, "two")
	big.Attributes = nil
	for i := range types.MaxAttributes {
		big.Attributes = append(big.Attributes, types.Attribute{
			Key: strings.Repeat("k", types.MaxPlaceLength-2) + string(rune('a'+i/10)) + string(rune('0'+i%10)), Value: strings.Repeat("v", types.MaxAttributeLength),
		})
	}
	require.Greater(t, gas(big), small+30*types.MaxAttributes*types.MaxAttributeLength)
}
