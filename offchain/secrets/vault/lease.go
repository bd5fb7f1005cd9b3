package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/foggrid/fogd/offchain/secrets"
)

// Lease asks one of the engines that lend credentials, as Config.Leases names them.
func (s *Store) Lease(ctx context.Context, name string) (secrets.Lease, error) {
	if err := secrets.CheckName(name); err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	path, ok := s.cfg.Leases[name]
	if !ok {
		return nil, fmt.Errorf("lease %q: %w: it is none of those that are configured", name, secrets.ErrNotFound)
	}
	l := &lease{store: s}
	err := s.do(ctx, "lend "+path, func(ctx context.Context, current *session) error {
		secret, err := current.client.Logical().ReadWithContext(ctx, path)
		if err != nil {
			return err
		}
		if secret == nil {
			return secrets.ErrNotFound
		}
		l.session, l.id = current, secret.LeaseID
		l.credential, err = credential(secret)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lease %q: %w", name, err)
	}
	return l, nil
}

// credential takes the texts of an answer.
func credential(secret *api.Secret) (secrets.Credential, error) {
	c := secrets.Credential{Fields: map[string]string{}, Expires: expiry(secret.LeaseDuration)}
	for field, value := range secret.Data {
		switch value := value.(type) {
		case string:
			c.Fields[field] = value
		case json.Number:
			c.Fields[field] = value.String()
		}
	}
	if secret.LeaseID == "" || len(c.Fields) == 0 {
		return c, errors.New("what is there is not lent; name the path of an engine's credentials")
	}
	return c, nil
}

// lease ends with the token that asked for it.
type lease struct {
	store   *Store
	session *session
	id      string

	mu         sync.Mutex
	credential secrets.Credential
	closed     bool
}

// Credential implements secrets.Lease.
func (l *lease) Credential() secrets.Credential {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.credential
}

// Ended implements secrets.Lease.
func (l *lease) Ended() <-chan struct{} { return l.session.ended }

// Renew implements secrets.Lease.
func (l *lease) Renew(ctx context.Context) error {
	l.mu.Lock()
	void := l.closed || !l.credential.Expires.IsZero() && time.Now().After(l.credential.Expires)
	l.mu.Unlock()
	select {
	case <-l.session.ended:
		void = true
	default:
	}
	if void {
		return secrets.ErrLeaseEnded
	}
	err := l.store.do(ctx, "renew a lease", func(ctx context.Context, _ *session) error {
		secret, err := l.session.client.Sys().RenewWithContext(ctx, l.id, 0)
		var answer *api.ResponseError
		if errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest { // it is gone, or may not be renewed
			return fmt.Errorf("%w: %w", secrets.ErrLeaseEnded, err)
		}
		if err != nil {
			return err
		}
		if secret == nil {
			return secrets.ErrLeaseEnded
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.credential.Expires = expiry(secret.LeaseDuration)
		return nil
	})
	return err
}

// Close implements secrets.Lease.
func (l *lease) Close(ctx context.Context) error {
	l.mu.Lock()
	before := l.closed
	l.closed = true
	l.mu.Unlock()
	select {
	case <-l.session.ended: // its token is gone and took the lease along, or will
		before = true
	default:
	}
	if before {
		return nil
	}
	return l.store.do(ctx, "give a lease back", func(ctx context.Context, _ *session) error {
		return l.session.client.Sys().RevokeWithContext(ctx, l.id)
	})
}
