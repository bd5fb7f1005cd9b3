package oracle

import (
	"context"
	"log/slog"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// feederTimeout is how long votes wait to learn whose key the chain wants.
const feederTimeout = 2 * time.Second

// feeder is the key that signs votes. The operator can name another one on chain at any time; it is asked for before votes are sent, so
// that a rotation takes no restart and loses no vote.
type feeder struct {
	chain    *chain.Client
	operator string
	// find gets the key of an address; nil: there is only the first one.
	find func(ctx context.Context, address string) (chain.Signer, error)
	log  *slog.Logger

	sender *chain.Broadcaster
	// missing is the address whose key was looked for in vain.
	missing string
}

func newFeeder(cfg Config) (*feeder, error) {
	f := &feeder{chain: cfg.Chain, operator: cfg.Operator, find: cfg.FindFeeder, log: cfg.Log.With("operator", cfg.Operator)}
	return f, f.use(cfg.Feeder)
}

func (f *feeder) use(key chain.Signer) error {
	sender, err := f.chain.NewBroadcaster(key, chain.BroadcastConfig{TimeoutBlocks: voteBlocks})
	if err != nil {
		return err
	}
	f.sender = sender
	return nil
}

// now is the sender whose votes the chain takes, as far as this oracle can tell.
func (f *feeder) now(ctx context.Context) *chain.Broadcaster {
	if f.find == nil {
		return f.sender
	}
	ctx, cancel := context.WithTimeout(ctx, feederTimeout)
	defer cancel()
	resp, err := oracletypes.NewQueryClient(f.chain.Latest()).Oracle(ctx, &oracletypes.QueryOracleRequest{Operator: f.operator})
	if err != nil {
		f.log.Debug("cannot ask the chain for the feeder; signing with the last one", "error", err)
		return f.sender
	}
	named := resp.Oracle.Feeder
	if named == "" || named == f.sender.Address() {
		return f.sender
	}
	key, err := f.find(ctx, named)
	if err == nil {
		err = f.use(key)
	}
	if err != nil {
		if f.missing != named {
			f.missing = named
			f.log.Error("the chain names a feeder whose key is not here; votes are refused until it is in the secrets", "feeder", named, "error", err)
		}
		return f.sender
	}
	f.log.Info("votes are signed with another key from now on", "feeder", named)
	return f.sender
}
