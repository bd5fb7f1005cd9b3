// Package store is where the gateway keeps what it must not forget: hashes of tokens, grants of roles, versions of policies. Store is the
// one interface; Bolt keeps it in a file, Postgres in a database, both for one process at a time. storetest is what every implementation must pass.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrNotFound is a key that nothing is kept under.
	ErrNotFound = errors.New("nothing is kept under this key")
	// ErrExists is a key that is taken.
	ErrExists = errors.New("something is kept under this key")
	// ErrInUse is a file or a database that another process has.
	ErrInUse = errors.New("another process has it: a gateway that runs; ask that, or stop it")
)

// Store keeps values under keys in tables. Each call is atomic and, once it returns without an error, lasting.
type Store interface {
	// Get returns a copy of a value, or ErrNotFound.
	Get(ctx context.Context, table, key string) ([]byte, error)
	// Create sets a value under a new key, or returns ErrExists.
	Create(ctx context.Context, table, key string, value []byte) error
	// Put sets values, all or none.
	Put(ctx context.Context, table string, values map[string][]byte) error
	// Delete removes a value; a missing one is no error.
	Delete(ctx context.Context, table, key string) error
	// List calls visit with all values of a table in the order of their keys, until it returns an error. visit must not use the store.
	List(ctx context.Context, table string, visit func(key string, value []byte) error) error
	Close() error
}

// Bolt is a Store in one file.
type Bolt struct{ db *bbolt.DB }

var _ Store = (*Bolt)(nil)

// lockPatience is how long Open waits for another process to end.
const lockPatience = time.Second

// Open opens or makes a file. With readOnly it must exist, and is shared with others that only read.
func Open(path string, readOnly bool) (*Bolt, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockPatience, ReadOnly: readOnly})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = ErrInUse
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Bolt{db}, nil
}

// Close ends the use of the file.
func (b *Bolt) Close() error { return b.db.Close() }

// Get implements Store.
func (b *Bolt) Get(ctx context.Context, table, key string) ([]byte, error) {
	var value []byte
	err := b.view(ctx, table, func(t *bbolt.Bucket) error {
		if t == nil {
			return ErrNotFound
		}
		found := t.Get([]byte(key))
		if found == nil {
			return ErrNotFound
		}
		value = append([]byte{}, found...)
		return nil
	})
	return value, err
}

// Create implements Store.
func (b *Bolt) Create(ctx context.Context, table, key string, value []byte) error {
	return b.update(ctx, table, func(t *bbolt.Bucket) error {
		if t.Get([]byte(key)) != nil {
			return ErrExists
		}
		return t.Put([]byte(key), value)
	})
}

// Put implements Store.
func (b *Bolt) Put(ctx context.Context, table string, values map[string][]byte) error {
	return b.update(ctx, table, func(t *bbolt.Bucket) error {
		for key, value := range values {
			if err := t.Put([]byte(key), value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete implements Store.
func (b *Bolt) Delete(ctx context.Context, table, key string) error {
	return b.update(ctx, table, func(t *bbolt.Bucket) error { return t.Delete([]byte(key)) })
}

// List implements Store.
func (b *Bolt) List(ctx context.Context, table string, visit func(key string, value []byte) error) error {
	return b.view(ctx, table, func(t *bbolt.Bucket) error {
		if t == nil {
			return nil
		}
		return t.ForEach(func(k, v []byte) error { return visit(string(k), append([]byte{}, v...)) })
	})
}

// view gives a table, nil if it was never written.
func (b *Bolt) view(ctx context.Context, table string, read func(*bbolt.Bucket) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.db.View(func(tx *bbolt.Tx) error { return read(tx.Bucket([]byte(table))) })
}

func (b *Bolt) update(ctx context.Context, table string, write func(*bbolt.Bucket) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.db.Update(func(tx *bbolt.Tx) error {
		t, err := tx.CreateBucketIfNotExists([]byte(table))
		if err != nil {
			return err
		}
		return write(t)
	})
}
