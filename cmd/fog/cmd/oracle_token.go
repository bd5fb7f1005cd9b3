package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/foggrid/fogd/offchain/oracle/nomaddesk"
	"github.com/foggrid/fogd/offchain/secrets"
)

// fieldToken is that of Nomad's credentials in Vault which holds the token.
const fieldToken = "secret_id"

// leasedToken is Nomad's token on loan. The zero value is that of an oracle that has none.
type leasedToken struct {
	from  secrets.Leases
	name  string
	log   *slog.Logger
	token atomic.Pointer[string]
	once  sync.Once
	ready chan struct{}
}

// leaseToken gives the regions of a desk that have no token of their own one that is lent.
func leaseToken(store secrets.Store, desk *nomaddesk.Options, name string, log *slog.Logger) (*leasedToken, error) {
	if name == "" {
		return &leasedToken{}, nil
	}
	from, ok := store.(secrets.Leases)
	if !ok {
		return nil, errors.New("--nomad-token-lease: these secrets lend nothing")
	}
	t := &leasedToken{from: from, name: name, log: log, ready: make(chan struct{})}
	for i := range desk.Regions {
		if desk.Regions[i].Token == "" {
			desk.Regions[i].TokenSource = t.current
		}
	}
	return t, nil
}

func (t *leasedToken) current() string {
	if token := t.token.Load(); token != nil {
		return *token
	}
	return ""
}

// keep renews and replaces the token until ctx ends.
func (t *leasedToken) keep(ctx context.Context) error {
	if t.from == nil {
		return nil
	}
	return secrets.Keep(ctx, t.from, t.name, t.log, func(c secrets.Credential) error {
		token := c.Fields[fieldToken]
		if token == "" {
			return fmt.Errorf("it has no field %s; is %s the lease of a Nomad token?", fieldToken, t.name)
		}
		t.token.Store(&token)
		t.once.Do(func() { close(t.ready) })
		return nil
	})
}

// wait returns when there is a token, or none is needed.
func (t *leasedToken) wait(ctx context.Context) error {
	if t.from == nil {
		return nil
	}
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
