package types

import (
	"fmt"

	"cosmossdk.io/core/address"
)

// Validate checks the message without state.
func (m *MsgDeposit) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "depositor", m.Depositor); err != nil {
		return err
	}
	if err := validateOptionalID(m.Account); err != nil {
		return err
	}
	amount, err := ParseCoin("amount", m.Amount)
	if err != nil {
		return err
	}
	if amount == 0 {
		return ErrInvalidField.Wrapf("amount: 0%s; it must be more than zero", Denom)
	}
	return nil
}

// Validate checks the message without state.
func (m *MsgWithdraw) Validate(ac address.Codec) error {
	if err := validateAddress(ac, "owner", m.Owner); err != nil {
		return err
	}
	if err := validateOptionalID(m.Account); err != nil {
		return err
	}
	_, err := ParseCoin("amount", m.Amount)
	return err
}

// Validate checks the message without state.
func (m *MsgUpdateParams) Validate(ac address.Codec) error {
	return validateAddress(ac, "authority", m.Authority)
}

func validateAddress(ac address.Codec, field, value string) error {
	if _, err := ac.StringToBytes(value); err != nil {
		return ErrInvalidField.Wrapf("%s: %s: %s; it must be an address", field, quote(value), err)
	}
	return nil
}

func validateOptionalID(account string) error {
	if account == "" {
		return nil
	}
	if _, err := ParseID(AccountHRP, account); err != nil {
		return fmt.Errorf("account: %w", err)
	}
	return nil
}
