package cmd

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/foggrid/fogd/offchain/secrets"
)

// loan is a credential of the secrets store that is renewed and replaced while it is used. The zero value is none.
type loan struct {
	from   secrets.Leases
	name   string
	fields []string
	log    *slog.Logger

	current atomic.Pointer[secrets.Credential]
	once    sync.Once
	ready   chan struct{}
}

// newLoan is of the lease of a name, which must have the fields; flag is how it was asked for. With an empty name there is nothing to borrow.
func newLoan(store secrets.Store, flag, name string, log *slog.Logger, fields ...string) (*loan, error) {
	if name == "" {
		return &loan{}, nil
	}
	from, ok := store.(secrets.Leases)
	if !ok {
		return nil, fmt.Errorf("%s: these secrets lend nothing", flag)
	}
	return &loan{from: from, name: name, fields: fields, log: log, ready: make(chan struct{})}, nil
}

// field is of the credential of the moment, empty before there is one.
func (l *loan) field(name string) string {
	if c := l.current.Load(); c != nil {
		return c.Fields[name]
	}
	return ""
}

// keep renews and replaces the credential until ctx ends.
func (l *loan) keep(ctx context.Context) error {
	if l.from == nil {
		return nil
	}
	return secrets.Keep(ctx, l.from, l.name, l.log, func(c secrets.Credential) error {
		if err := l.check(c); err != nil {
			return err
		}
		l.current.Store(&c)
		l.once.Do(func() { close(l.ready) })
		return nil
	})
}

func (l *loan) check(c secrets.Credential) error {
	for _, field := range l.fields {
		if c.Fields[field] == "" {
			return fmt.Errorf("the lease %q has no field %s; name another one", l.name, field)
		}
	}
	return nil
}

// during keeps the credential while work runs, and gives it back after, so that the end of the work can still use it. The context of the work
// ends if the credential cannot be kept.
func (l *loan) during(ctx context.Context, work func(context.Context) error) error {
	if l.from == nil {
		return work(ctx)
	}
	keeping, release := context.WithCancel(context.WithoutCancel(ctx))
	working, stop := context.WithCancel(ctx)
	defer stop()
	kept := make(chan error, 1)
	go func() {
		defer stop()
		kept <- l.keep(keeping)
	}()
	err := work(working)
	early := keeping.Err() == nil && working.Err() != nil && ctx.Err() == nil
	release()
	if lost := <-kept; early {
		return lost
	}
	return err
}

// wait returns when there is a credential, or none is needed.
func (l *loan) wait(ctx context.Context) error {
	if l.from == nil {
		return nil
	}
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
