package file

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/foggrid/fogd/offchain/secrets"
)

// leasePrefix is that of the values that are lent: a JSON object of texts.
const leasePrefix = "lease."

// Lease lends the value lease.NAME, a JSON object such as {"secret_id": "…"}. What stands in a file never ends by itself.
func (s *Store) Lease(ctx context.Context, name string) (secrets.Lease, error) {
	if err := secrets.CheckName(name); err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	raw, err := s.Read(ctx, leasePrefix+name)
	if err != nil {
		return nil, err
	}
	l := &lease{}
	if err := json.Unmarshal(raw, &l.fields); err != nil {
		return nil, fmt.Errorf("secret %q: %w; it must be a JSON object of texts", leasePrefix+name, err)
	}
	return l, nil
}

// SetLease writes what is lent by a name, in place of what was.
func (s *Store) SetLease(ctx context.Context, name string, fields map[string]string) error {
	if err := secrets.CheckName(name); err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return s.Write(ctx, leasePrefix+name, raw)
}

type lease struct {
	fields map[string]string

	mu     sync.Mutex
	closed bool
}

func (l *lease) Credential() secrets.Credential { return secrets.Credential{Fields: l.fields} }

func (l *lease) Ended() <-chan struct{} { return nil }

func (l *lease) Renew(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return secrets.ErrLeaseEnded
	}
	return nil
}

func (l *lease) Close(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}
