package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/lib/pq"
)

// ErrUnavailable is a database that does not answer, or lets nobody in; trying again may help.
var ErrUnavailable = errors.New("the gateway's database does not answer")

const (
	// connLife is how long a connection is used: one that is made anew has the user that is lent then.
	connLife = 10 * time.Minute
	maxConns = 16
	// lockKey is of the advisory lock that one gateway holds at a time.
	lockKey = 0x666f6767 // "fogg"
	// heldFor is how long the lock is believed to be held without asking.
	heldFor = 5 * time.Second
)

const schema = `CREATE TABLE IF NOT EXISTS fog_gateway (
	tab text NOT NULL, key text COLLATE "C" NOT NULL, value bytea NOT NULL, PRIMARY KEY (tab, key)
)`

// PostgresConfig says where the database is and who asks.
type PostgresConfig struct {
	// URL of the database, such as postgres://db.example/fog?sslmode=verify-full.
	URL string
	// User and password to connect with now; nil: those of the URL, or of PostgreSQL's own files and variables.
	User func() (name, password string)
	// Role owns the table, so that it outlives the users that are lent: every connection takes it on. Empty: the user's own.
	Role string
}

// Postgres is a Store in a PostgreSQL database, for one gateway at a time.
type Postgres struct {
	db *sql.DB

	mu    sync.Mutex
	lock  *sql.Conn
	asked time.Time
	lost  error
}

var _ Store = (*Postgres)(nil)

// connector makes connections with the user of the moment.
type connector struct {
	cfg  PostgresConfig
	base *url.URL
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	target := *c.base
	if c.cfg.User != nil {
		name, password := c.cfg.User()
		target.User = url.UserPassword(name, password)
	}
	inner, err := pq.NewConnector(target.String())
	if err != nil {
		return nil, err
	}
	conn, err := inner.Connect(ctx)
	if err != nil || c.cfg.Role == "" {
		return conn, err
	}
	exec, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(errors.New("the driver of PostgreSQL takes no statements"), conn.Close())
	}
	if _, err := exec.ExecContext(ctx, "SET ROLE "+pq.QuoteIdentifier(c.cfg.Role), nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

// OpenPostgres connects, makes the table if there is none, and takes the lock; ErrInUse if another gateway has it.
func OpenPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil || (base.Scheme != "postgres" && base.Scheme != "postgresql") || base.Host == "" {
		return nil, errors.New("the URL of the database must be like postgres://host:port/name?sslmode=verify-full")
	}
	db := sql.OpenDB(&connector{cfg, base})
	db.SetConnMaxLifetime(connLife)
	db.SetMaxOpenConns(maxConns)
	p := &Postgres{db: db}
	if err := p.hold(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(explain(err), p.Close())
	}
	return p, nil
}

// explain tells a database that is away from one that refuses a statement.
func explain(err error) error {
	var answer *pq.Error
	if err == nil || errors.As(err, &answer) && answer.Code.Class() != "28" && answer.Code.Class() != "57" && answer.Code.Class() != "53" ||
		errors.Is(err, context.Canceled) || errors.Is(err, ErrInUse) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// hold makes sure that this gateway has the lock. When the connection that held it broke, another may have taken it meanwhile; then this store
// is of no use any more.
func (p *Postgres) hold(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost != nil || time.Since(p.asked) < heldFor {
		return p.lost
	}
	if p.lock != nil {
		var one int
		err := p.lock.QueryRowContext(ctx, "SELECT 1").Scan(&one)
		if err == nil {
			p.asked = time.Now()
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if closed := p.lock.Close(); closed != nil && !isGone(closed) {
			return explain(errors.Join(err, closed))
		}
		p.lock = nil
	}
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return explain(err)
	}
	var locked bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", lockKey).Scan(&locked); err != nil {
		return explain(errors.Join(err, conn.Close()))
	}
	if !locked {
		if !p.asked.IsZero() {
			p.lost = ErrInUse
		}
		return errors.Join(ErrInUse, conn.Close())
	}
	p.lock, p.asked = conn, time.Now()
	return nil
}

// Close gives the lock back and ends all connections.
func (p *Postgres) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var failed error
	if p.lock != nil {
		_, err := p.lock.ExecContext(context.Background(), "SELECT pg_advisory_unlock($1)", lockKey)
		for _, err := range []error{err, p.lock.Close()} {
			if !isGone(err) { // a connection that broke took the lock along
				failed = errors.Join(failed, err)
			}
		}
		p.lock, p.asked = nil, time.Time{}
	}
	return errors.Join(failed, p.db.Close())
}

func isGone(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
}

// Get implements Store.
func (p *Postgres) Get(ctx context.Context, table, key string) ([]byte, error) {
	if err := p.hold(ctx); err != nil {
		return nil, err
	}
	var value []byte
	err := p.db.QueryRowContext(ctx, "SELECT value FROM fog_gateway WHERE tab = $1 AND key = $2", table, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return value, explain(err)
}

// Create implements Store.
func (p *Postgres) Create(ctx context.Context, table, key string, value []byte) error {
	if err := p.hold(ctx); err != nil {
		return err
	}
	done, err := p.db.ExecContext(ctx, "INSERT INTO fog_gateway (tab, key, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", table, key, notNil(value))
	if err != nil {
		return explain(err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, ErrExists)
	}
	return nil
}

const put = "INSERT INTO fog_gateway (tab, key, value) VALUES ($1, $2, $3) ON CONFLICT (tab, key) DO UPDATE SET value = EXCLUDED.value"

// Put implements Store.
func (p *Postgres) Put(ctx context.Context, table string, values map[string][]byte) (err error) {
	if err := p.hold(ctx); err != nil {
		return err
	}
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	for key, value := range values {
		if _, err := tx.ExecContext(ctx, put, table, key, notNil(value)); err != nil {
			return errors.Join(explain(err), tx.Rollback())
		}
	}
	return explain(tx.Commit())
}

// Delete implements Store.
func (p *Postgres) Delete(ctx context.Context, table, key string) error {
	if err := p.hold(ctx); err != nil {
		return err
	}
	_, err := p.db.ExecContext(ctx, "DELETE FROM fog_gateway WHERE tab = $1 AND key = $2", table, key)
	return explain(err)
}

// List implements Store.
func (p *Postgres) List(ctx context.Context, table string, visit func(key string, value []byte) error) (err error) {
	if err := p.hold(ctx); err != nil {
		return err
	}
	rows, err := p.db.QueryContext(ctx, "SELECT key, value FROM fog_gateway WHERE tab = $1 ORDER BY key", table)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var key string
		var value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return explain(rows.Err())
}

// notNil is a value as the database wants it, which tells an empty one from none.
func notNil(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}
