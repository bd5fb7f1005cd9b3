package types

import (
	"fmt"

	"cosmossdk.io/core/address"
)

// Free is the part of the balance that may leave the account: balance − locked.
func (a Account) Free() uint64 {
	if a.Locked > a.Balance { // a broken record has nothing to give
		return 0
	}
	return a.Balance - a.Locked
}

// ValidateKind refuses kinds that no account can have.
func ValidateKind(kind AccountKind) error {
	switch kind {
	case ACCOUNT_KIND_PROVIDER, ACCOUNT_KIND_JOB, ACCOUNT_KIND_ORACLE:
		return nil
	default:
		return ErrInvalidAccount.Wrapf("kind: %s; it must be one of provider, job, oracle", kind)
	}
}

// Validate checks the rules that each account keeps at all times.
func (a Account) Validate(ac address.Codec) error {
	if _, err := ParseID(AccountHRP, a.Id); err != nil {
		return fmt.Errorf("id: %w", err)
	}
	if _, err := ac.StringToBytes(a.Owner); err != nil {
		return ErrInvalidAccount.Wrapf("owner: %s: %s; it must be an address", quote(a.Owner), err)
	}
	if err := ValidateKind(a.Kind); err != nil {
		return err
	}
	if a.Locked > a.Balance {
		return ErrInvalidAccount.Wrapf("locked: %d; it must be at most balance %d", a.Locked, a.Balance)
	}
	return nil
}
