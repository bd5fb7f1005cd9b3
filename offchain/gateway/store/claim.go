package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// claim keeps a second gateway from a database: a row that its holder renews. Policies in force and limits are in the memory of a gateway,
// so two on one database would not know what the other was told. Time is the database's, so that clocks need not agree.
type claim struct {
	db     *sql.DB
	holder string
	stop   context.CancelFunc
	done   chan struct{}
	// until is when the claim ends by this process's clock, in nanoseconds since began; zero once another has it.
	until atomic.Int64
	began time.Time
}

const (
	// claimLife is how long a claim outlives a gateway that was killed.
	claimLife  = 30 * time.Second
	claimRenew = 8 * time.Second
	claimTable = `CREATE TABLE IF NOT EXISTS claims (name text PRIMARY KEY, holder text NOT NULL, until timestamptz NOT NULL)`
	claimTake  = `
		INSERT INTO claims VALUES ('gateway', $1, now() + $2 * interval '1 second')
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
		WHERE claims.holder = excluded.holder OR claims.until < now()`
	claimDrop = `DELETE FROM claims WHERE name = 'gateway' AND holder = $1`
)

// stake takes the claim and keeps it until close, or returns ErrInUse.
func stake(ctx context.Context, db *sql.DB) (*claim, error) {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &claim{db: db, holder: rand.Text(), stop: stop, done: make(chan struct{}), began: time.Now()}
	if err := c.take(ctx); err != nil {
		stop()
		return nil, err
	}
	go c.keep(life)
	return c, nil
}

func (c *claim) take(ctx context.Context) error {
	asked := time.Since(c.began)
	result, err := c.db.ExecContext(ctx, claimTake, c.holder, claimLife.Seconds())
	if err != nil {
		return err
	}
	rows, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if rows == 0 {
		c.until.Store(0)
		return fmt.Errorf("another gateway has this database, or had it until half a minute ago: %w", ErrInUse)
	}
	c.until.Store(int64(asked + claimLife))
	return nil
}

// keep renews the claim; a database that is away for a moment is asked again.
func (c *claim) keep(ctx context.Context) {
	defer close(c.done)
	tick := time.NewTicker(claimRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		try, cancel := context.WithTimeout(ctx, claimRenew)
		err := c.take(try)
		cancel()
		if errors.Is(err, ErrInUse) {
			return
		}
	}
}

// held is nil while nobody else can have the claim.
func (c *claim) held() error {
	switch until := c.until.Load(); {
	case until == 0:
		return fmt.Errorf("another gateway took this database while it was out of reach; stop one of the two: %w", ErrInUse)
	case int64(time.Since(c.began)) >= until:
		return fmt.Errorf("%w: the claim of this gateway could not be renewed", ErrUnavailable)
	}
	return nil
}

// close gives the claim back.
func (c *claim) close() error {
	c.stop()
	<-c.done
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	_, err := c.db.ExecContext(ctx, claimDrop, c.holder)
	return err
}
