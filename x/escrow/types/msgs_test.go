package types_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	coreaddress "cosmossdk.io/core/address"

	"github.com/cosmos/cosmos-sdk/codec/address"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/x/escrow/types"
)

var addresses = address.NewBech32Codec("fog")

func wallet(t testing.TB, name string) string {
	t.Helper()
	text, err := addresses.BytesToString([]byte(name + strings.Repeat(".", 20-len(name))))
	require.NoError(t, err)
	return text
}

func TestMsgsNameTheField(t *testing.T) {
	alice, acct := wallet(t, "alice"), types.ProviderAccountID([]byte("alice")).Bech32("acct")
	ten, zero := types.Coin(10), types.Coin(0)
	stake := sdk.NewInt64Coin("stake", 10)
	for name, tc := range map[string]struct {
		msg  interface{ Validate(coreaddress.Codec) error }
		says string
	}{
		"deposit":                 {&types.MsgDeposit{Depositor: alice, Amount: ten}, ""},
		"deposit into":            {&types.MsgDeposit{Depositor: alice, Account: acct, Amount: ten}, ""},
		"deposit depositor":       {&types.MsgDeposit{Depositor: "bob", Amount: ten}, `depositor: "bob"`},
		"deposit account":         {&types.MsgDeposit{Depositor: alice, Account: "acct1x", Amount: ten}, "account: "},
		"deposit of another kind": {&types.MsgDeposit{Depositor: alice, Account: types.ID{}.Bech32("node"), Amount: ten}, "account: "},
		"deposit nothing":         {&types.MsgDeposit{Depositor: alice, Amount: zero}, "amount: 0ufog; it must be more than zero"},
		"deposit denom":           {&types.MsgDeposit{Depositor: alice, Amount: stake}, `amount: denom "stake"`},
		"deposit no amount":       {&types.MsgDeposit{Depositor: alice}, "amount: "},
		"withdraw":                {&types.MsgWithdraw{Owner: alice, Amount: ten}, ""},
		"withdraw all":            {&types.MsgWithdraw{Owner: alice, Account: acct, Amount: zero}, ""},
		"withdraw owner":          {&types.MsgWithdraw{Amount: ten}, "owner: "},
		"withdraw account":        {&types.MsgWithdraw{Owner: alice, Account: alice, Amount: ten}, "account: "},
		"withdraw denom":          {&types.MsgWithdraw{Owner: alice, Amount: stake}, "amount: "},
		"params":                  {&types.MsgUpdateParams{Authority: alice}, ""},
		"params authority":        {&types.MsgUpdateParams{}, "authority: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.msg.Validate(addresses)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, errors.Is(err, types.ErrInvalidField) || errors.Is(err, types.ErrInvalidID), "%v", err)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

// Whatever bytes come in as a message, validation returns; what it accepts can be executed without a further check of form.
func FuzzMsgDeposit(f *testing.F) {
	seed := types.MsgDeposit{Depositor: wallet(f, "alice"), Account: types.ID{1}.Bech32("acct"), Amount: types.Coin(10)}
	bz, err := seed.Marshal()
	require.NoError(f, err)
	f.Add(bz)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, bz []byte) {
		var msg types.MsgDeposit
		if err := msg.Unmarshal(bz); err != nil {
			return
		}
		if err := msg.Validate(addresses); err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		amount, err := types.ParseCoin("amount", msg.Amount)
		require.NoError(t, err)
		require.Positive(t, amount)
		if msg.Account != "" {
			_, err = types.ParseID(types.AccountHRP, msg.Account)
			require.NoError(t, err)
		}
	})
}

func TestGenesisValidate(t *testing.T) {
	account := func(change func(*types.Account)) types.Account {
		a := types.Account{Id: types.ID{1}.Bech32("acct"), Owner: wallet(t, "alice"), Kind: types.ACCOUNT_KIND_JOB, Balance: 5, Locked: 5}
		change(&a)
		return a
	}
	keep := func(*types.Account) {}
	other := func(a *types.Account) { a.Id = types.ID{2}.Bech32("acct") }
	for name, tc := range map[string]struct {
		accounts []types.Account
		says     string
	}{
		"empty":      {nil, ""},
		"two":        {[]types.Account{account(keep), account(other)}, ""},
		"twice":      {[]types.Account{account(keep), account(keep)}, "accounts[1]: id"},
		"id":         {[]types.Account{account(func(a *types.Account) { a.Id = "acct1" })}, "accounts[0]: id: "},
		"owner":      {[]types.Account{account(func(a *types.Account) { a.Owner = "" })}, "accounts[0]: owner: "},
		"kind":       {[]types.Account{account(func(a *types.Account) { a.Kind = 0 })}, "accounts[0]: kind: "},
		"later kind": {[]types.Account{account(func(a *types.Account) { a.Kind = 4 })}, "accounts[0]: kind: "},
		"locked":     {[]types.Account{account(func(a *types.Account) { a.Locked = 6 })}, "accounts[0]: locked: 6; it must be at most balance 5"},
		"overflow": {[]types.Account{
			account(func(a *types.Account) { a.Balance = most }), account(other),
		}, "overflows"},
	} {
		t.Run(name, func(t *testing.T) {
			err := types.GenesisState{Accounts: tc.accounts}.Validate(addresses)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.says)
		})
	}
	require.NoError(t, types.DefaultGenesis().Validate(addresses))
}

func TestFreeOfABrokenRecordIsZero(t *testing.T) {
	require.EqualValues(t, 3, types.Account{Balance: 5, Locked: 2}.Free())
	require.Zero(t, types.Account{Balance: 2, Locked: 5}.Free())
}
