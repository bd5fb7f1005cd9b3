package demo

import (
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"
)

// story of a job that cost 100: 99 to the provider, 1 to an oracle; 10 of fees.
func told() Balances {
	return Balances{
		Developer:  Purse{Wallet: BeforeAndAfter{1_000, 893}, InEscrow: BeforeAndAfter{0, 0}},
		Provider:   Purse{Wallet: BeforeAndAfter{500, 397}, InEscrow: BeforeAndAfter{0, 199}},
		Oracles:    []Purse{{InEscrow: BeforeAndAfter{50, 51}}},
		Supply:     BeforeAndAfter{5_000, 5_000},
		Fees:       10,
		Invariants: true,
	}
}

func TestConserved(t *testing.T) {
	b := told()
	require.True(t, b.conserved())
	for name, change := range map[string]func(*Balances){
		"an ufog lost":          func(b *Balances) { b.Provider.InEscrow.After-- },
		"an ufog made":          func(b *Balances) { b.Developer.Wallet.After++ },
		"a fee too many":        func(b *Balances) { b.Fees++ },
		"the supply shrank":     func(b *Balances) { b.Supply.After-- },
		"an invariant broken":   func(b *Balances) { b.Invariants = false },
		"an oracle's ufog gone": func(b *Balances) { b.Oracles[0].InEscrow.After = 50 },
	} {
		b := told()
		change(&b)
		require.False(t, b.conserved(), name)
	}
}

func TestFeeOf(t *testing.T) {
	attr := func(key, value string) abci.EventAttribute { return abci.EventAttribute{Key: key, Value: value} }
	fee, payer, err := feeOf([]abci.Event{
		{Type: "transfer", Attributes: []abci.EventAttribute{attr("fee", "7ufog")}},
		{Type: "tx", Attributes: []abci.EventAttribute{attr("fee", "123ufog"), attr("fee_payer", "fog1x")}},
		{Type: "tx", Attributes: []abci.EventAttribute{attr("acc_seq", "fog1x/3")}},
	})
	require.NoError(t, err)
	require.EqualValues(t, 123, fee)
	require.Equal(t, "fog1x", payer)

	fee, _, err = feeOf([]abci.Event{{Type: "tx", Attributes: []abci.EventAttribute{attr("fee", "")}}})
	require.NoError(t, err)
	require.Zero(t, fee, "votes are free")

	_, _, err = feeOf([]abci.Event{{Type: "tx", Attributes: []abci.EventAttribute{attr("fee", "many")}}})
	require.Error(t, err)
}
