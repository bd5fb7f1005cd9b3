package secrets

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// sealed is what is inside of Loan.Sealed. It says what it is for, so that one loan cannot pass for another.
type sealed struct {
	Attempt string            `json:"attempt"`
	Owner   string            `json:"owner"`
	Expires time.Time         `json:"expires"`
	Values  map[string][]byte `json:"values"`
}

// SealLoan seals values, by path, for the node's key, in the form of age for ed25519 keys.
func SealLoan(to Borrower, owner string, values map[string][]byte, expires time.Time) (Loan, error) {
	key, err := ssh.NewPublicKey(to.Key)
	if err != nil {
		return Loan{}, fmt.Errorf("the node's key: %w", err)
	}
	recipient, err := agessh.NewEd25519Recipient(key)
	if err != nil {
		return Loan{}, fmt.Errorf("the node's key: %w", err)
	}
	raw, err := json.Marshal(sealed{to.Attempt, owner, expires, values})
	if err != nil {
		return Loan{}, err
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	if err != nil {
		return Loan{}, err
	}
	if _, err := w.Write(raw); err != nil {
		return Loan{}, err
	}
	if err := w.Close(); err != nil {
		return Loan{}, err
	}
	return Loan{Sealed: out.Bytes(), Expires: expires}, nil
}

// OpenSealed opens a loan of SealLoan with the node's key and returns the values of the paths, in their order. It must be for this attempt
// at a job of this owner.
func OpenSealed(l Loan, key ed25519.PrivateKey, attempt, owner string, paths []string) ([][]byte, error) {
	identity, err := agessh.NewEd25519Identity(key)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(bytes.NewReader(l.Sealed), identity)
	if err != nil {
		return nil, fmt.Errorf("%w: it does not open with this node's key", ErrNoLoan)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: it is damaged", ErrNoLoan)
	}
	var in sealed
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("%w: what is in it is no loan", ErrNoLoan)
	}
	if in.Attempt != attempt || in.Owner != owner {
		return nil, fmt.Errorf("%w: it is for %.120s of %.100s", ErrNoLoan, in.Attempt, in.Owner)
	}
	values := make([][]byte, len(paths))
	for i, path := range paths {
		v, ok := in.Values[path]
		if !ok {
			return nil, fmt.Errorf("%w: it lacks %q", ErrNoLoan, path)
		}
		values[i] = v
	}
	return values, nil
}
