package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// Blocks are those of the chain, in order; *chain.Client has them.
type Blocks interface {
	Follow(ctx context.Context, from int64, deliver func(context.Context, chain.Block) error) error
	Height(ctx context.Context) (int64, error)
}

const (
	// trustEvery is how often the list of revoked certificates is read anew: it may be the authority of other programs too.
	trustEvery = 20 * time.Second
	// auditEvery is how often all nodes that have certificates are looked at, whatever the blocks said.
	auditEvery = 10 * time.Minute
	// revokePause is waited before the chain is followed anew.
	revokePause = 5 * time.Second
)

// certificates gives nodes theirs, and takes them away from nodes that are jailed, refused or retired.
type certificates struct {
	authority secrets.Issuer
	store     store.Store
	blocks    Blocks
	node      func(ctx context.Context, id string) (nodestypes.Node, error)
	verifier  *mtls.Verifier
	now       func() time.Time
	log       *slog.Logger

	// refreshing has one reader of the list at a time, so that none brings an older one than the one before.
	refreshing sync.Mutex
	mu         sync.Mutex
	trust      secrets.Trust // as it was read last
}

// run revokes until the context ends. Whatever fails is tried again: until then the certificates run out by themselves, within a day.
func (c *certificates) run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() {
		for ctx.Err() == nil {
			if err := c.follow(ctx); ctx.Err() == nil {
				c.log.Warn("the chain is not followed for certificates; trying again", "error", err)
				pause(ctx, revokePause)
			}
		}
	})
	var audited time.Time
	for ctx.Err() == nil {
		if time.Since(audited) >= auditEvery {
			if err := c.sweep(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn("the nodes that have certificates cannot be looked at", "error", err)
			}
			audited = time.Now()
		}
		if err := c.refresh(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("the list of revoked certificates cannot be read; the last one counts until it runs out", "error", err)
		}
		pause(ctx, trustEvery)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (c *certificates) refresh(ctx context.Context) error {
	c.refreshing.Lock()
	defer c.refreshing.Unlock()
	trust, err := c.authority.Trust(ctx)
	if err != nil {
		return err
	}
	c.verifier.Set(trust)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trust = trust
	return nil
}

// trusted is what refresh has read. Whoever asks costs the authority nothing.
func (c *certificates) trusted() secrets.Trust {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trust
}

// follow looks at all nodes that have certificates, and from then on at those of which a block says that they changed.
func (c *certificates) follow(ctx context.Context) error {
	height, err := c.blocks.Height(ctx)
	if err != nil {
		return err
	}
	if err := c.sweep(ctx); err != nil {
		return err
	}
	return c.blocks.Follow(ctx, height+1, func(ctx context.Context, b chain.Block) error { return c.see(ctx, b.AllEvents()) })
}

// see revokes what the nodes hold that are barred by these events.
func (c *certificates) see(ctx context.Context, events []abci.Event) error {
	changes, err := chain.EventsOf[*nodestypes.EventNodeStatusChanged](events)
	if err != nil {
		return err
	}
	for _, e := range changes {
		if MayEnrol(nodestypes.Node{Id: e.NodeId, Status: e.To}) == nil {
			continue
		}
		err = errors.Join(err, c.revoke(ctx, e.NodeId)) // each is barred at least
	}
	return err
}

// sweep forgets certificates that have run out and revokes those of nodes that are barred.
func (c *certificates) sweep(ctx context.Context) error {
	nodes, gone := map[string]bool{}, []string{}
	err := c.store.List(ctx, tableCertificates, func(serial string, raw []byte) error {
		var h held
		if err := json.Unmarshal(raw, &h); err != nil {
			return fmt.Errorf("certificate %s in the store: %w", serial, err)
		}
		if c.now().After(h.Expires) {
			gone = append(gone, serial)
		} else {
			nodes[h.Node] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, serial := range gone {
		if err := c.store.Delete(ctx, tableCertificates, serial); err != nil {
			return err
		}
	}
	var failed error
	for id := range nodes {
		n, err := c.node(ctx, id)
		switch {
		case errors.Is(err, chain.ErrNotFound), errors.Is(err, chain.ErrInvalidRequest), err == nil && MayEnrol(n) != nil:
			err = c.revoke(ctx, id)
		case errors.Is(err, chain.ErrUnavailable):
			return errors.Join(failed, err)
		}
		failed = errors.Join(failed, err) // of one node; the others are looked at all the same
	}
	return failed
}

// revoke takes all certificates of a node away, from the next request on.
func (c *certificates) revoke(ctx context.Context, node string) error {
	var serials []*big.Int
	err := c.store.List(ctx, tableCertificates, func(text string, raw []byte) error {
		var h held
		if err := json.Unmarshal(raw, &h); err != nil {
			return fmt.Errorf("certificate %s in the store: %w", text, err)
		}
		if h.Node != node {
			return nil
		}
		serial, ok := new(big.Int).SetString(text, 16)
		if !ok {
			return fmt.Errorf("certificate %q in the store has no serial number", text)
		}
		serials = append(serials, serial)
		return nil
	})
	if err != nil || len(serials) == 0 {
		return err
	}
	for _, serial := range serials { // the gateway's own door needs no authority for that, which may be away
		c.verifier.Bar(serial)
	}
	var failed error
	for _, serial := range serials {
		if err := c.revokeOne(ctx, serial); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		c.log.Info("revoked a certificate", "node", node, "serial", serial.Text(16))
	}
	return errors.Join(failed, c.refresh(ctx))
}

func (c *certificates) revokeOne(ctx context.Context, serial *big.Int) error {
	if err := c.authority.Revoke(ctx, serial); err != nil {
		return err
	}
	// Forgotten only now: a failure before is made good by the next sweep.
	return c.store.Delete(ctx, tableCertificates, serial.Text(16))
}

var errNoBlocks = errors.New("to give certificates the gateway must follow the chain's blocks")
