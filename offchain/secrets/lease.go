package secrets

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrLeaseEnded is a credential that its store does not prolong any more; ask for a new one.
	ErrLeaseEnded = errors.New("the lease has ended; ask for a new credential")
	// ErrUnavailable is a store that cannot be asked now: sealed, out of reach or too slow. Trying again may help.
	ErrUnavailable = errors.New("the secrets cannot be reached")
	// ErrDenied is a store that does not let this program do what it asked.
	ErrDenied = errors.New("the secrets store does not allow this")
)

// Credential opens a door for a while: a token of Nomad, a user of a database.
type Credential struct {
	// Fields are named as the store names them, such as secret_id, or username and password.
	Fields map[string]string
	// Expires is when it ends unless it is renewed; zero: never.
	Expires time.Time
}

// Lease is a credential on loan.
type Lease interface {
	// Credential is the present state of what was lent.
	Credential() Credential
	// Renew prolongs it; ErrLeaseEnded if it has ended for good.
	Renew(ctx context.Context) error
	// Ended is closed when the store says that the credential is void before its time.
	Ended() <-chan struct{}
	// Close gives it back, after which it opens nothing any more. Further calls do nothing.
	Close(ctx context.Context) error
}

// Leases lends credentials.
type Leases interface {
	// Lease asks for a credential of its own; ErrNotFound if the store lends none by that name.
	Lease(ctx context.Context, name string) (Lease, error)
}
