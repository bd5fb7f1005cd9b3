package types

import (
	"crypto/sha256"
	"net"
	"strconv"
	"strings"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

// Amount reads a coin of ufog, more than zero.
func Amount(coin sdk.Coin) (uint64, error) {
	if coin.Denom != escrowtypes.Denom {
		return 0, ErrInvalidField.Wrapf("amount: denom is %q; it must be %s", coin.Denom, escrowtypes.Denom)
	}
	if coin.Amount.IsNil() || !coin.Amount.IsPositive() || !coin.Amount.IsUint64() {
		return 0, ErrInvalidField.Wrapf("amount: %s must be more than zero and fit in 64 bits", coin)
	}
	return coin.Amount.Uint64(), nil
}

// Validate checks what does not depend on state.
func (m *MsgSetFeeder) Validate() error {
	if m.Endpoint != "" {
		if err := ValidateEndpoint(m.Endpoint); err != nil {
			return err
		}
	}
	if n := len(m.TransportKey); n != 0 && n != TransportKeyLength {
		return ErrInvalidField.Wrapf("transport_key has %d bytes; an ed25519 public key has %d", n, TransportKeyLength)
	}
	return nil
}

// ValidateEndpoint checks that s is host:port.
func ValidateEndpoint(s string) error {
	if len(s) > MaxEndpointLength {
		return ErrInvalidField.Wrapf("endpoint has %d bytes; at most %d are allowed", len(s), MaxEndpointLength)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsFunc(host, notInHost) {
		return ErrInvalidField.Wrapf("endpoint %q must be host:port", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return ErrInvalidField.Wrapf("endpoint %q: port must be from 1 to 65535", s)
	}
	return nil
}

// notInHost says that a character is in neither a name nor an address.
func notInHost(r rune) bool {
	letter := (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
	return !letter && (r < '0' || r > '9') && !strings.ContainsRune(".-_:", r)
}

// Validate checks what does not depend on state but the params.
func (m *MsgAttest) Validate(p Params) error {
	if len(m.Votes) == 0 {
		return ErrInvalidField.Wrap("votes is empty; cast at least one vote")
	}
	if n := len(m.Votes); n > int(p.MaxVotesPerAttest) {
		return ErrInvalidField.Wrapf("votes holds %d; at most %d are allowed in one message", n, p.MaxVotesPerAttest)
	}
	return nil
}

// ValidateFor checks that the vote fits a round with this rule.
func (v *Vote) ValidateFor(rule RoundRule, maxBody uint32) error {
	if len(v.Body) > int(maxBody) {
		return ErrInvalidVote.Wrapf("body has %d bytes; at most %d are allowed", len(v.Body), maxBody)
	}
	switch rule {
	case ROUND_RULE_CLAIM:
		if len(v.Claim) != ClaimLength {
			return ErrInvalidVote.Wrapf("claim has %d bytes; it must have %d", len(v.Claim), ClaimLength)
		}
		if len(v.Body) > 0 && sha256.Sum256(v.Body) != [sha256.Size]byte(v.Claim) {
			return ErrInvalidVote.Wrap("claim is not the SHA-256 of body")
		}
	case ROUND_RULE_MERGE:
		if len(v.Claim) != 0 {
			return ErrInvalidVote.Wrap("claim must be empty in a merge round")
		}
		if v.Meter != 0 {
			return ErrInvalidVote.Wrap("meter must be zero in a merge round")
		}
	default:
		return ErrInvalidVote.Wrapf("round has unknown rule %d", rule)
	}
	return nil
}

// Validate checks what does not depend on state.
func (m *MsgAdmitOracle) Validate() error {
	if len(m.Moniker) > MaxMonikerLength {
		return ErrInvalidField.Wrapf("moniker has %d bytes; at most %d are allowed", len(m.Moniker), MaxMonikerLength)
	}
	return nil
}

// Validate checks what does not depend on state.
func (m *MsgPunishOracle) Validate() error {
	if m.Reason == "" || len(m.Reason) > MaxReasonLength {
		return ErrInvalidField.Wrapf("reason has %d bytes; it must have 1 to %d", len(m.Reason), MaxReasonLength)
	}
	return nil
}
