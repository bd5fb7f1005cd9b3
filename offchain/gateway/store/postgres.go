package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/lib/pq"
)

var (
	// ErrUnavailable is a database that cannot be asked now. Trying again may help.
	ErrUnavailable = errors.New("the gateway's database cannot be reached")
	// ErrURL is an address of a database that is not usable.
	ErrURL = errors.New("write postgresql://host:5432/database?sslmode=verify-full")
)

const (
	// postgresRole owns what is kept, so that the users on loan, which come and go, own nothing; the schema is named alike.
	postgresRole = "fog_gateway"
	// connectionLife is less than what a replaced user is left valid for (secrets.Keep), so that no connection outlives its user.
	connectionLife = 30 * time.Second
	connections    = 16
	dialTimeout    = 5 * time.Second
)

// makeTables is one transaction. Two that make the same table at once would fail, so one waits for the other.
const makeTables = `SELECT pg_advisory_xact_lock(hashtext('fog_gateway.make'));
	CREATE TABLE IF NOT EXISTS kept (
		tab text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, value bytea NOT NULL, PRIMARY KEY (tab, key)
	);` + claimTable

// Login is the user of a database and its password, as they are now.
type Login func() (user, password string)

// Postgres is a Store in a schema of a PostgreSQL database, for one gateway at a time.
type Postgres struct {
	db    *sql.DB
	claim *claim
}

var _ Store = (*Postgres)(nil)

// CheckURL returns ErrURL if a database must not be reached like this: with a password in the open, or over a network without knowing the server.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "postgresql" && u.Scheme != "postgres" || u.Host == "" || strings.Trim(u.Path, "/") == "":
		return fmt.Errorf("the database's URL: %w", ErrURL)
	case u.User != nil:
		return fmt.Errorf("the database's URL has a user in it; users are lent by the secrets store: %w", ErrURL)
	case u.Query().Get("sslmode") != "verify-full" && !loopback(u.Hostname()):
		return fmt.Errorf("the database on %s is off this machine, so sslmode must be verify-full: %w", u.Hostname(), ErrURL)
	}
	return nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// OpenPostgres opens a database as whoever login names, for each new connection anew, and makes what is missing in the schema fog_gateway. It is
// ErrInUse while a gateway has the database; with readOnly it is not, but nothing can be written or made.
func OpenPostgres(ctx context.Context, address string, login Login, readOnly bool) (*Postgres, error) {
	if err := CheckURL(address); err != nil {
		return nil, err
	}
	cfg, err := pq.NewConfig(address)
	if err != nil {
		return nil, fmt.Errorf("the database's URL: %w", err)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = dialTimeout
	}
	cfg.ApplicationName = "fog gateway"
	cfg.Runtime = map[string]string{"role": postgresRole, "search_path": postgresRole}
	if readOnly {
		cfg.Runtime["default_transaction_read_only"] = "on"
	}
	p := &Postgres{db: sql.OpenDB(connector{cfg, login})}
	p.db.SetMaxOpenConns(connections)
	p.db.SetMaxIdleConns(connections / 4)
	p.db.SetConnMaxLifetime(connectionLife)
	if readOnly {
		err = p.db.PingContext(ctx)
	} else if _, err = p.db.ExecContext(ctx, makeTables); err == nil {
		p.claim, err = stake(ctx, p.db)
	}
	if err != nil {
		return nil, errors.Join(explain(err), p.db.Close())
	}
	return p, nil
}

// connector opens each connection as the user of the moment.
type connector struct {
	cfg   pq.Config
	login Login
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	cfg := c.cfg
	if cfg.User, cfg.Password = c.login(); cfg.User == "" {
		return nil, fmt.Errorf("%w: no user has been lent yet", ErrUnavailable)
	}
	to, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	return to.Connect(ctx)
}

// Driver implements driver.Connector.
func (c connector) Driver() driver.Driver { return &pq.Driver{} }

// explain tells a database that does not answer from one that refuses.
func explain(err error) error {
	var refused *pq.Error
	if err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, ErrInUse) {
		return err
	}
	if !errors.As(err, &refused) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	switch refused.Code.Class() {
	case "08", "53", "57": // connections, resources, an operator who stops it
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case "3F", "42": // no such schema or role, or not for this user
		return fmt.Errorf("the database is not prepared (CREATE ROLE fog_gateway; CREATE SCHEMA fog_gateway AUTHORIZATION fog_gateway): %w", err)
	}
	return err
}

// Close ends the use of the database.
func (p *Postgres) Close() error {
	var err error
	if p.claim != nil {
		err = p.claim.close()
	}
	return errors.Join(err, p.db.Close())
}

func (p *Postgres) usable() error {
	if p.claim == nil {
		return nil
	}
	return p.claim.held()
}

// Get implements Store.
func (p *Postgres) Get(ctx context.Context, table, key string) ([]byte, error) {
	if err := p.usable(); err != nil {
		return nil, err
	}
	value := []byte{}
	err := p.db.QueryRowContext(ctx, `SELECT value FROM kept WHERE tab = $1 AND key = $2`, table, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	return value, explain(err)
}

// Create implements Store.
func (p *Postgres) Create(ctx context.Context, table, key string, value []byte) error {
	if err := p.usable(); err != nil {
		return err
	}
	done, err := p.db.ExecContext(ctx, `INSERT INTO kept VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, table, key, notNull(value))
	if err != nil {
		return explain(err)
	}
	rows, err := done.RowsAffected()
	if err == nil && rows == 0 {
		return ErrExists
	}
	return err
}

// Put implements Store.
func (p *Postgres) Put(ctx context.Context, table string, values map[string][]byte) error {
	if err := p.usable(); err != nil {
		return err
	}
	keys, list := make(pq.StringArray, 0, len(values)), make(pq.ByteaArray, 0, len(values))
	for key, value := range values {
		keys, list = append(keys, key), append(list, notNull(value))
	}
	_, err := p.db.ExecContext(ctx, `
		INSERT INTO kept SELECT $1, key, value FROM unnest($2::text[], $3::bytea[]) AS new (key, value)
		ON CONFLICT (tab, key) DO UPDATE SET value = excluded.value`, table, keys, list)
	return explain(err)
}

func notNull(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// Delete implements Store.
func (p *Postgres) Delete(ctx context.Context, table, key string) error {
	if err := p.usable(); err != nil {
		return err
	}
	_, err := p.db.ExecContext(ctx, `DELETE FROM kept WHERE tab = $1 AND key = $2`, table, key)
	return explain(err)
}

// List implements Store.
func (p *Postgres) List(ctx context.Context, table string, visit func(key string, value []byte) error) (err error) {
	if err := p.usable(); err != nil {
		return err
	}
	rows, err := p.db.QueryContext(ctx, `SELECT key, value FROM kept WHERE tab = $1 ORDER BY key`, table)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var key string
		value := []byte{}
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return explain(rows.Err())
}
