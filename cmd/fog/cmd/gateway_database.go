package cmd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/secrets"
)

// databaseFlags say where the gateway keeps tokens, grants and versions of policies, if not in a file.
type databaseFlags struct{ url, lease, role string }

// lentUser is the database's user on loan.
type lentUser struct {
	current atomic.Pointer[secrets.Credential]
	once    sync.Once
	ready   chan struct{}
}

func (u *lentUser) now() (name, password string) {
	c := u.current.Load()
	return c.Fields["username"], c.Fields["password"]
}

func (u *lentUser) use(c secrets.Credential) error {
	if c.Fields["username"] == "" || c.Fields["password"] == "" {
		return errors.New("it has no username and password; is it the lease of a database?")
	}
	u.current.Store(&c)
	u.once.Do(func() { close(u.ready) })
	return nil
}

// database opens the store in PostgreSQL, nil without one. The user that is lent is kept until stop is called, which returns when it was given back.
func (a *app) database(ctx context.Context, f databaseFlags) (_ store.Store, stop func() error, err error) {
	stop = func() error { return nil }
	if f.url == "" {
		if f.lease != "" {
			return nil, stop, usagef("--database-lease goes with --database-url")
		}
		return nil, stop, nil
	}
	cfg := store.PostgresConfig{URL: f.url, Role: f.role}
	if f.lease != "" {
		secretStore, err := a.store()
		if err != nil {
			return nil, stop, err
		}
		from, ok := secretStore.(secrets.Leases)
		if !ok {
			return nil, stop, usagef("--database-lease: these secrets lend nothing")
		}
		user := &lentUser{ready: make(chan struct{})}
		keeping, end := context.WithCancel(context.WithoutCancel(ctx))
		kept := make(chan error, 1)
		go func() { kept <- secrets.Keep(keeping, from, f.lease, a.log, user.use) }()
		stop = func() error {
			end()
			if err := <-kept; !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}
		select {
		case <-user.ready:
		case err := <-kept:
			end()
			return nil, func() error { return nil }, fmt.Errorf("the database's user: %w", err)
		case <-ctx.Done():
			return nil, stop, ctx.Err()
		}
		cfg.User = user.now
	}
	s, err := store.OpenPostgres(ctx, cfg)
	if err != nil {
		return nil, stop, hint(err, "correct --database-url, --database-role and the user, or start the database")
	}
	return s, stop, nil
}
