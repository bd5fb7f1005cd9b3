package secrets

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"

	"github.com/foggrid/fogd/offchain/secrets/envelope"
)

// SealLoan seals values, by path, for the borrower: the node's key, in the form of age for ed25519 keys, or the recipient of its task.
func SealLoan(to Borrower, owner string, values map[string][]byte, expires time.Time) (Loan, error) {
	recipient, err := to.recipient()
	if err != nil {
		return Loan{}, err
	}
	raw, err := envelope.Seal(envelope.Content{Attempt: to.Attempt, Owner: owner, Expires: expires, Values: values}, recipient)
	return Loan{Sealed: raw, Expires: expires}, err
}

func (b Borrower) recipient() (age.Recipient, error) {
	if b.Recipient != "" {
		to, err := age.ParseX25519Recipient(b.Recipient)
		if err != nil {
			return nil, fmt.Errorf("the task's recipient: %w", err)
		}
		return to, nil
	}
	key, err := ssh.NewPublicKey(b.Key)
	if err != nil {
		return nil, fmt.Errorf("the node's key: %w", err)
	}
	to, err := agessh.NewEd25519Recipient(key)
	if err != nil {
		return nil, fmt.Errorf("the node's key: %w", err)
	}
	return to, nil
}

// OpenSealed opens a loan of SealLoan with the node's key and returns the values of the paths, in their order. It must be for this attempt
// at a job of this owner.
func OpenSealed(l Loan, key ed25519.PrivateKey, attempt, owner string, paths []string) ([][]byte, error) {
	identity, err := agessh.NewEd25519Identity(key)
	if err != nil {
		return nil, err
	}
	content, err := envelope.Open(l.Sealed, identity)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLoan, err)
	}
	values, err := content.For(attempt, owner, paths)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLoan, err)
	}
	return values, nil
}
