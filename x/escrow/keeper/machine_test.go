package keeper_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/internal/fixture"
)

// The model is the ledger as one would write it on paper; the machine runs random operations, several a transaction and several
// transactions a block, on both and compares every balance after each block.
type entry struct {
	owner           int
	balance, locked uint64
}

type model struct {
	accounts map[types.ID]entry
	wallets  [3]uint64
	// module is what the bank will show; settled is what ordinary sends can draw on before the end of the block.
	module, settled, supply uint64
}

func (m *model) clone() *model {
	c := *m
	c.accounts = maps.Clone(m.accounts)
	return &c
}

type machine struct {
	env    *fixture.Env
	owners [3]sdk.AccAddress
	ids    []types.ID
	model  *model
	slash  []slash
}

type slash struct {
	id     types.ID
	amount uint64
}

var errRollback = errors.New("the transaction fails after its operations")

func newMachine(t *rapid.T) *machine {
	m := &machine{env: fixture.New(t), model: &model{accounts: map[types.ID]entry{}}}
	for i, name := range []string{"a", "b", "c"} {
		m.owners[i] = fixture.Address(name)
		m.env.Fund(m.owners[i], 1000)
		m.model.wallets[i] = 1000
	}
	m.model.supply = 3000
	for i := range byte(5) {
		m.ids = append(m.ids, types.ID{i + 1})
	}
	m.env.OnEndBlock(endBlock(func(ctx sdk.Context) error {
		for _, s := range m.slash {
			got := m.env.Escrow.Slash(ctx, s.id, s.amount)
			require.ErrorIs(t, got, m.model.slash(s.id, s.amount))
		}
		m.slash = nil
		return nil
	}))
	return m
}

func (m *machine) id(t *rapid.T, label string) types.ID {
	return rapid.SampledFrom(m.ids).Draw(t, label)
}

func amount(t *rapid.T) uint64 {
	return rapid.OneOf(rapid.Uint64Range(0, 50), rapid.Uint64Range(0, 1200), rapid.Just(uint64(1<<64-1))).Draw(t, "amount")
}

// step draws one operation and returns what the keeper and what the model say.
func (m *machine) step(t *rapid.T, ctx sdk.Context, on *model) (got, want error) {
	k := m.env.Escrow
	id, n := m.id(t, "id"), amount(t)
	switch op := rapid.SampledFrom([]string{
		"open", "close", "deposit", "deposit", "withdraw", "lock", "lock", "unlock", "move", "moveLocked",
	}).Draw(t, "op"); op {
	case "open":
		owner := rapid.IntRange(0, 2).Draw(t, "owner")
		return k.Open(ctx, id, m.owners[owner], types.ACCOUNT_KIND_JOB), on.open(id, owner)
	case "close":
		return k.Close(ctx, id), on.close(id)
	case "deposit":
		from := rapid.IntRange(0, 2).Draw(t, "from")
		return k.Deposit(ctx, m.owners[from], id, n), on.deposit(from, id, n)
	case "withdraw":
		return k.Withdraw(ctx, id, n), on.withdraw(id, n)
	case "lock":
		return k.Lock(ctx, id, n), on.lock(id, n)
	case "unlock":
		return k.Unlock(ctx, id, n), on.unlock(id, n)
	case "move":
		to := m.id(t, "to")
		return k.Move(ctx, id, to, n), on.move(id, to, n, false)
	default:
		to := m.id(t, "to")
		return k.MoveLocked(ctx, id, to, n), on.move(id, to, n, true)
	}
}

func (m *machine) tx(t *rapid.T) {
	attempt := m.model.clone()
	fails := rapid.IntRange(0, 4).Draw(t, "rollback") == 0
	err := m.env.Tx(func(ctx sdk.Context) error {
		for range rapid.IntRange(1, 4).Draw(t, "ops") {
			got, want := m.step(t, ctx, attempt)
			// A refused operation writes nothing, so the transaction may even go on after it.
			require.ErrorIs(t, got, want)
		}
		if fails {
			return errRollback
		}
		return nil
	})
	if fails {
		require.ErrorIs(t, err, errRollback)
		return
	}
	require.NoError(t, err)
	m.model = attempt
}

func (m *machine) nextBlock(t *rapid.T) {
	for range rapid.IntRange(0, 2).Draw(t, "slashes") {
		m.slash = append(m.slash, slash{m.id(t, "slashed"), amount(t)})
	}
	m.env.NextBlock()
	m.model.settled = m.model.module
	m.compare(t)
}

func (m *machine) compare(t *rapid.T) {
	e := m.env
	e.CheckInvariants()
	var sum uint64
	for _, id := range m.ids {
		got, err := e.Escrow.Account(e.Ctx, id)
		want, open := m.model.accounts[id]
		if !open {
			require.ErrorIs(t, err, types.ErrAccountNotFound)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, entry{slices.IndexFunc(m.owners[:], func(a sdk.AccAddress) bool {
			return e.Text(a) == got.Owner
		}), got.Balance, got.Locked})
		sum += want.balance
	}
	for i, owner := range m.owners {
		require.Equal(t, m.model.wallets[i], e.Wallet(owner))
		sum += m.model.wallets[i]
	}
	require.Equal(t, m.model.module, e.ModuleBalance(types.ModuleName))
	require.Equal(t, m.model.supply, e.Supply())
	require.Equal(t, m.model.supply, sum, "no ufog lost or made")
	params, err := e.Escrow.Params(e.Ctx)
	require.NoError(t, err)
	require.False(t, params.OutflowsPaused)
}

func TestLedgerMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){"tx": m.tx, "nextBlock": m.nextBlock})
		m.nextBlock(t)
	})
}

func (m *model) open(id types.ID, owner int) error {
	if _, exists := m.accounts[id]; exists {
		return types.ErrAccountExists
	}
	m.accounts[id] = entry{owner: owner}
	return nil
}

func (m *model) close(id types.ID) error {
	switch a, exists := m.accounts[id]; {
	case !exists:
		return types.ErrAccountNotFound
	case a.balance > 0:
		return types.ErrAccountNotEmpty
	}
	delete(m.accounts, id)
	return nil
}

func (m *model) deposit(from int, id types.ID, n uint64) error {
	a, exists := m.accounts[id]
	switch {
	case n == 0:
		return types.ErrZeroAmount
	case !exists:
		return types.ErrAccountNotFound
	case a.balance+n < n:
		return types.ErrOverflow
	case m.wallets[from] < n:
		return sdkerrors.ErrInsufficientFunds
	}
	m.wallets[from] -= n
	m.module += n
	a.balance += n
	m.accounts[id] = a
	return nil
}

func (m *model) withdraw(id types.ID, n uint64) error {
	a, exists := m.accounts[id]
	switch {
	case n == 0:
		return types.ErrZeroAmount
	case !exists:
		return types.ErrAccountNotFound
	case a.balance-a.locked < n:
		return types.ErrInsufficientFree
	case m.settled < n:
		return sdkerrors.ErrInsufficientFunds
	}
	m.wallets[a.owner] += n
	m.module -= n
	m.settled -= n
	a.balance -= n
	m.accounts[id] = a
	return nil
}

func (m *model) lock(id types.ID, n uint64) error {
	a, exists := m.accounts[id]
	switch {
	case n == 0:
		return nil
	case !exists:
		return types.ErrAccountNotFound
	case a.balance-a.locked < n:
		return types.ErrInsufficientFree
	}
	a.locked += n
	m.accounts[id] = a
	return nil
}

func (m *model) unlock(id types.ID, n uint64) error {
	a, exists := m.accounts[id]
	switch {
	case n == 0:
		return nil
	case !exists:
		return types.ErrAccountNotFound
	case a.locked < n:
		return types.ErrInsufficientLocked
	}
	a.locked -= n
	m.accounts[id] = a
	return nil
}

func (m *model) move(from, to types.ID, n uint64, locked bool) error {
	a, exists := m.accounts[from]
	b, toExists := m.accounts[to]
	switch {
	case n == 0:
		return nil
	case from == to:
		return types.ErrSameAccount
	case !exists || !toExists:
		return types.ErrAccountNotFound
	case locked && a.locked < n:
		return types.ErrInsufficientLocked
	case !locked && a.balance-a.locked < n:
		return types.ErrInsufficientFree
	}
	if locked {
		a.locked -= n
	}
	a.balance -= n
	b.balance += n
	m.accounts[from], m.accounts[to] = a, b
	return nil
}

func (m *model) slash(id types.ID, n uint64) error {
	a, exists := m.accounts[id]
	switch {
	case n == 0:
		return nil
	case !exists:
		return types.ErrAccountNotFound
	case a.locked < n:
		return types.ErrInsufficientLocked
	}
	a.locked -= n
	a.balance -= n
	m.module -= n
	m.supply -= n
	m.accounts[id] = a
	return nil
}
