package dispatch

import (
	"fmt"
	"log/slog"
)

// SecretsDir is the folder of a container in which it finds its secrets, a file each.
const SecretsDir = "/run/secrets"

// MaxSecrets is how many secrets a task can have, and MaxSecretBytes what each can hold.
const (
	MaxSecrets     = 16
	MaxSecretBytes = 32 << 10
)

// Secret is a value that a task gets and nobody else: a module as the variable Name, a container as the file Name in [SecretsDir].
type Secret struct {
	Name string `json:"name"`
	// Path is what the job's owner calls it; like the value it is in no fingerprint, which has the spec's digest.
	Path  string      `json:"-"`
	Value SecretValue `json:"-"`
}

// SecretValue does not show what it holds to whoever prints, logs or encodes it.
type SecretValue []byte

const hidden = "(hidden)"

// Format implements fmt.Formatter, for all verbs.
func (SecretValue) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue implements slog.LogValuer.
func (SecretValue) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, which JSON uses too.
func (SecretValue) MarshalText() ([]byte, error) { return []byte(hidden), nil }
