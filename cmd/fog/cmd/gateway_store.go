package cmd

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/pflag"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/store"
)

// The fields of a user of a database on loan.
const (
	fieldUser     = "username"
	fieldPassword = "password"
)

// gatewayStore says where a gateway keeps tokens, grants and the versions of policies.
type gatewayStore struct{ data, database, lease string }

func (f *gatewayStore) add(fs *pflag.FlagSet, data string) {
	fs.StringVar(&f.data, "data", "", data)
	fs.StringVar(&f.database, "database", "", "URL of a PostgreSQL database to keep tokens, grants and versions of policies in, such as\n"+
		"postgresql://db.example/fog?sslmode=verify-full (default: a file in the gateway's folder)")
	fs.StringVar(&f.lease, "database-lease", "postgres", "lease of the secrets store that is the user of the database")
}

// user is who reads the database; it must be kept.
func (f *gatewayStore) user(a *app) (*loan, error) {
	if f.database == "" {
		return &loan{}, nil
	}
	if err := store.CheckURL(f.database); err != nil {
		return nil, usagef("--database: %w", err)
	}
	secrets, err := a.store()
	if err != nil {
		return nil, err
	}
	return newLoan(secrets, "--database-lease", f.lease, a.log, fieldUser, fieldPassword)
}

// openDatabase opens the database for a gateway that runs, nil without one, once it has a user.
func (f *gatewayStore) openDatabase(ctx context.Context, user *loan) (store.Store, error) {
	if f.database == "" {
		return nil, nil
	}
	if err := user.wait(ctx); err != nil {
		return nil, err
	}
	login := func() (string, string) { return user.field(fieldUser), user.field(fieldPassword) }
	return store.OpenPostgres(ctx, f.database, login, false)
}

// with opens what the gateway of this home keeps, for one command; to write, no gateway may be running.
func (f *gatewayStore) with(ctx context.Context, a *app, write bool, use func(store.Store) error) (err error) {
	if f.database != "" {
		return f.withDatabase(ctx, a, write, use)
	}
	path := gateway.StorePath(a.gatewayDir(f.data))
	if _, err := os.Stat(path); err != nil {
		return hint(err, "name the gateway's folder with --data, or its database with --database")
	}
	s, err := store.Open(path, !write)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return use(s)
}

func (f *gatewayStore) withDatabase(ctx context.Context, a *app, write bool, use func(store.Store) error) (err error) {
	user, err := f.user(a)
	if err != nil {
		return err
	}
	lease, err := user.from.Lease(ctx, user.name)
	if err != nil {
		return hint(err, "name the lease of the database's user with --database-lease")
	}
	defer func() { err = errors.Join(err, lease.Close(context.WithoutCancel(ctx))) }()
	who := lease.Credential()
	if err := user.check(who); err != nil {
		return err
	}
	login := func() (string, string) { return who.Fields[fieldUser], who.Fields[fieldPassword] }
	s, err := store.OpenPostgres(ctx, f.database, login, !write)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return use(s)
}
