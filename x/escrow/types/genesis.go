package types

import "cosmossdk.io/core/address"

// DefaultParams lets coins flow.
func DefaultParams() Params { return Params{} }

// DefaultGenesis is an empty ledger.
func DefaultGenesis() *GenesisState { return &GenesisState{Params: DefaultParams()} }

// Validate checks each account and that no id occurs twice.
func (gs GenesisState) Validate(ac address.Codec) error {
	if _, err := SumAccounts(gs.Accounts); err != nil {
		return err
	}
	seen := make(map[string]struct{}, len(gs.Accounts))
	for i, account := range gs.Accounts {
		if err := account.Validate(ac); err != nil {
			return ErrInvalidGenesis.Wrapf("accounts[%d]: %s", i, err)
		}
		if _, twice := seen[account.Id]; twice {
			return ErrInvalidGenesis.Wrapf("accounts[%d]: id %s occurs twice; keep one", i, account.Id)
		}
		seen[account.Id] = struct{}{}
	}
	return nil
}

// SumAccounts adds up balances and locks.
func SumAccounts(accounts []Account) (Totals, error) {
	var sum Totals
	for i := range accounts {
		if err := sum.Add(accounts[i]); err != nil {
			return Totals{}, err
		}
	}
	return sum, nil
}

// Add counts one more account.
func (t *Totals) Add(a Account) error {
	balance, err := AddChecked(t.Balance, a.Balance)
	if err != nil {
		return err
	}
	locked, err := AddChecked(t.Locked, a.Locked)
	if err != nil {
		return err
	}
	t.Balance, t.Locked = balance, locked
	return nil
}
