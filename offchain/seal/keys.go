package seal

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
)

// ErrKeys is a text that is no list of keys.
var ErrKeys = errors.New("not a list of age keys, a line AGE-SECRET-KEY-1… each")

// MaxKeys is the most that a list holds.
const MaxKeys = 64

// Keys are a developer's: the first is the one that others encrypt for, the rest open what was encrypted before.
type Keys []*age.X25519Identity

// NewKey makes a key.
func NewKey() (*age.X25519Identity, error) { return age.GenerateX25519Identity() }

// ParseKeys reads keys in the form of age's files: a line each, and lines that begin with # are comments. A key that comes again counts once.
func ParseKeys(text []byte) (Keys, error) {
	var keys Keys
	seen := map[string]bool{}
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := age.ParseX25519Identity(line)
		if err != nil { // which would quote the line
			return nil, ErrKeys
		}
		if seen[key.String()] {
			continue
		}
		seen[key.String()] = true
		if keys = append(keys, key); len(keys) > MaxKeys {
			return nil, fmt.Errorf("more than %d keys; remove those whose results you have", MaxKeys)
		}
	}
	if lines.Err() != nil || len(keys) == 0 {
		return nil, ErrKeys
	}
	return keys, nil
}

// Recipient is what others encrypt for.
func (k Keys) Recipient() string { return k[0].Recipient().String() }

// Text is the list as ParseKeys reads it. Whoever has it can open all that was encrypted for it.
func (k Keys) Text() []byte {
	var b strings.Builder
	for _, key := range k {
		fmt.Fprintf(&b, "# public key: %s\n%s\n", key.Recipient(), key)
	}
	return []byte(b.String())
}

// Identities are the keys as NewReader takes them.
func (k Keys) Identities() []age.Identity {
	all := make([]age.Identity, len(k))
	for i, key := range k {
		all[i] = key
	}
	return all
}

// Format implements fmt.Formatter: keys are not for logs.
func (k Keys) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "(%d keys)", len(k)) }

// ParseRecipient reads a public key age1…, in the one form that is written.
func ParseRecipient(s string) (*age.X25519Recipient, error) {
	r, err := age.ParseX25519Recipient(s)
	if err != nil || r.String() != s {
		return nil, fmt.Errorf("%.80q is not a public key of age (age1…); `fog keys encryption` shows yours", s)
	}
	return r, nil
}
