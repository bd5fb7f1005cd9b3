package jobclient

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/link"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Watch is what an owner wants to see of a running task; the functions are those of link.Watcher.
type Watch struct {
	JobID string
	Task  uint32
	Kind  link.WatchKind
	// Once ends a watch of events when all that there are have come.
	Once bool
	// Owner is the key of the job's owner.
	Owner  chain.Signer
	Piece  func(link.Piece) error
	Source func(link.Place)
	Note   func(string)
	// Patience is how long all oracles may fail in a row; 2 min.
	Patience time.Duration
}

// ErrNobodyShows means that no oracle showed the task for as long as the watch's patience.
var ErrNobodyShows = errors.New("no oracle shows the task")

const (
	watchPatience = 2 * time.Minute
	watchPause    = 500 * time.Millisecond
	watchMaxPause = 10 * time.Second
)

// ownerKey lends a signer to a link.
type ownerKey struct{ chain.Signer }

// Key implements link.OwnerKey.
func (k ownerKey) Key() []byte { return k.PubKey().Bytes() }

// Follow watches a running task through one oracle, and when that fails through another one from where it ended. It returns nil when the
// task has ended.
func (c *Client) Follow(ctx context.Context, w Watch) error {
	watcher := &link.Watcher{
		JobID: w.JobID, Task: w.Task, Kind: w.Kind, Once: w.Once, Owner: ownerKey{w.Owner}, Source: w.Source, Note: w.Note,
	}
	if w.Patience == 0 {
		w.Patience = watchPatience
	}
	good := time.Now() // when there was something last
	var taken error
	pause := watchPause
	watcher.Piece = func(p link.Piece) error {
		good, pause = time.Now(), watchPause
		taken = w.Piece(p)
		return taken
	}
	for turn := 0; ; turn++ {
		oracles, err := c.watchable(ctx)
		if err == nil && len(oracles) == 0 {
			return errors.New("no oracle on chain says where it is reached")
		}
		if err == nil {
			if turn == 0 {
				turn = rand.N(len(oracles)) //nolint:gosec // so that owners spread, which takes no secret
			}
			o := oracles[turn%len(oracles)]
			began := time.Now()
			if err = watcher.Watch(ctx, o); err == nil || taken != nil || errors.Is(err, link.ErrMayNotWatch) || errors.Is(err, link.ErrNotShown) {
				return err
			}
			if time.Since(began) > w.Patience/2 { // it held, and waited for something
				good = time.Now()
			}
			err = fmt.Errorf("oracle %s: %w", o.ID, err)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(good) > w.Patience:
			return fmt.Errorf("%w: %w", ErrNobodyShows, err)
		case w.Note != nil:
			w.Note(err.Error())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, watchMaxPause)
	}
}

// watchable lists the oracles that can be asked.
func (c *Client) watchable(ctx context.Context) ([]link.OracleAddress, error) {
	queries := oracletypes.NewQueryClient(c.Chain.Latest())
	all, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*oracletypes.QueryOraclesResponse, error) {
		return queries.Oracles(ctx, &oracletypes.QueryOraclesRequest{Pagination: page})
	}, func(r *oracletypes.QueryOraclesResponse) []oracletypes.Oracle { return r.Oracles })
	if err != nil {
		return nil, fmt.Errorf("oracles: %w", err)
	}
	var usable []link.OracleAddress
	for _, o := range all {
		if o.Admitted && !o.Tombstoned && o.Endpoint != "" && len(o.TransportKey) == ed25519.PublicKeySize {
			usable = append(usable, link.OracleAddress{ID: o.Operator, Endpoint: o.Endpoint, Key: o.TransportKey})
		}
	}
	return usable, nil
}
