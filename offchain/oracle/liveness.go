package oracle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/link"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

const (
	// probes of one test; one answer is enough.
	probes = 3
	// failuresToDown consecutive failed tests make a node down for this oracle.
	failuresToDown = 2
	// suspicionFloor is the size of a grid from which an oracle that sees more than half of it down suspects itself. In a smaller
	// one a single dead machine would silence everybody.
	suspicionFloor = 4
	// maxPings under way at once.
	maxPings = 256
)

// pulse remembers what the pings of each node said.
type pulse struct {
	interval time.Duration
	mu       sync.Mutex
	nodes    map[string]*beat
}

type beat struct {
	failures int
	tested   int
	boot     string
	network  network
}

func newPulse(interval time.Duration) *pulse {
	return &pulse{interval: interval, nodes: map[string]*beat{}}
}

// of returns what is remembered of a node. The caller holds mu.
func (p *pulse) of(node string) *beat {
	b := p.nodes[node]
	if b == nil {
		b = &beat{}
		p.nodes[node] = b
	}
	return b
}

// note records one test.
func (p *pulse) note(node string, up bool, boot string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.of(node)
	b.tested++
	if up {
		b.failures, b.boot = 0, boot
	} else {
		b.failures++
	}
}

// notePing records one ping; a round trip of zero is one that was not answered.
func (p *pulse) notePing(node string, trip time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of(node).network.note(trip)
}

// network is how the pings of a node went; ok is false while too few are known.
func (p *pulse) network(node string) (v nodestypes.Network, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.nodes[node]
	if b == nil {
		return v, false
	}
	return b.network.view()
}

// view says how a node stands: up if the last test passed, down after two failed ones; neither if it is not known yet.
func (p *pulse) view(node string) (up, down bool, boot string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.nodes[node]
	if b == nil || b.tested == 0 {
		return false, false, ""
	}
	return b.failures == 0, b.failures >= failuresToDown, b.boot
}

// runPulse tests every node of the chain, again and again.
func (w *Worker) runPulse(ctx context.Context) error {
	for {
		spread := w.pulse.interval / 5
		wait := w.pulse.interval - spread/2 + rand.N(spread+1) //nolint:gosec // jitter; nobody gains by guessing it
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		if err := w.testAll(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("cannot read the nodes to ping; trying again", "error", err)
		}
	}
}

func (w *Worker) testAll(ctx context.Context) error {
	nodes, err := w.nodes.all(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxPings)
	for _, n := range nodes {
		if !watched(n) {
			continue
		}
		g.Go(func() error {
			up, boot := w.test(ctx, n.Id)
			if ctx.Err() == nil {
				w.pulse.note(n.Id, up, boot)
			}
			return nil
		})
	}
	return g.Wait()
}

// watched says whether liveness matters for a node.
func watched(n nodestypes.Node) bool {
	switch n.Status {
	case nodestypes.NODE_STATUS_ACTIVE, nodestypes.NODE_STATUS_DRAINING, nodestypes.NODE_STATUS_INACTIVE:
		return n.Index != 0
	}
	return false
}

// test pings up to three times.
func (w *Worker) test(ctx context.Context, node string) (up bool, boot string) {
	for range probes {
		if session, ok := w.server.Session(node); ok {
			trip, err := session.Ping(ctx)
			switch {
			case err == nil:
				w.pulse.notePing(node, max(trip, 1))
				return true, session.Hello().BootID
			case errors.Is(err, link.ErrPingTimeout):
				w.pulse.notePing(node, 0)
			}
		}
		select {
		case <-ctx.Done():
			return false, ""
		case <-time.After(w.pulse.interval / 20):
		}
	}
	return false, ""
}

// answerLiveness votes for the nodes whose state differs from what the chain says.
func (w *Worker) answerLiveness(ctx context.Context, round oracletypes.Round) error {
	nodes, err := w.nodes.all(ctx)
	if err != nil {
		return err
	}
	observation, err := w.observe(nodes)
	if err != nil {
		return err
	}
	observation.Network = w.networks(round.Id, nodes)
	body, err := observation.Marshal()
	if err != nil {
		return err
	}
	if len(observation.Down)+len(observation.Up)+len(observation.Restarted)+len(observation.Network) > 0 {
		w.log.Info("liveness", "round", round.Id, "down", observation.Down, "up", observation.Up, "restarted", len(observation.Restarted),
			"networks", len(observation.Network))
	}
	return settled(w.voter.cast(ctx, oracletypes.Vote{RoundId: round.Id, Body: body}, 0))
}

// observe compares the chain's nodes with the pulse.
func (w *Worker) observe(nodes []nodestypes.Node) (nodestypes.LivenessObservation, error) {
	var o nodestypes.LivenessObservation
	seen, seenDown := 0, 0
	slices.SortFunc(nodes, func(a, b nodestypes.Node) int { return int(a.Index) - int(b.Index) })
	for _, n := range nodes {
		if !watched(n) || n.Owner == w.cfg.Operator {
			continue
		}
		up, down, boot := w.pulse.view(n.Id)
		seen++
		if down {
			seenDown++
		}
		switch inactive := n.Status == nodestypes.NODE_STATUS_INACTIVE; {
		case down && !inactive:
			o.Down = append(o.Down, n.Index)
		case up && inactive:
			o.Up = append(o.Up, n.Index)
		}
		if up && boot != n.Boot {
			o.Restarted = append(o.Restarted, nodestypes.Restart{Index: n.Index, Boot: boot})
		}
	}
	if seen >= suspicionFloor && 2*seenDown > seen {
		return o, fmt.Errorf("%w: %d of %d nodes look down, so it is more likely that this oracle is cut off", errAbstain, seenDown, seen)
	}
	return o, nil
}
