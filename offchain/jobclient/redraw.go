package jobclient

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/foggrid/fogd/offchain/match"
)

const (
	// mostRedraws give a propensity to about three hundredths; fewer are made where there are many nodes.
	mostRedraws  = 200
	leastRedraws = 20
	redrawNodes  = 1 << 20
)

// redraw finds what a policy that draws from posteriors does not know itself: how often it takes the node with other seeds, and whether
// without any noise it would have taken another one.
func (in *inquiry) redraw(d *WhyDecision, taken match.ID) error {
	calm, err := in.why(match.Learned{Config: match.Config{Mode: match.ModeGreedy}}, in.seed)
	if err != nil {
		return err
	}
	best := in.decided(calm)
	d.Explored = best != nil && best.Item.Node != taken
	d.Redraws = max(leastRedraws, min(mostRedraws, redrawNodes/max(1, len(in.snapshot.Nodes))))
	hits := 0
	for i := range d.Redraws {
		why, err := in.why(in.policy, otherSeed(in.seed, i))
		if err != nil {
			return err
		}
		if again := in.decided(why); again != nil && again.Item.Node == taken {
			hits++
		}
	}
	d.Propensity = uint32(hits * 1_000_000 / d.Redraws) //nolint:gosec // a share of a million
	return nil
}

// otherSeed is SHA-256(seed ‖ i): the same for everyone who asks.
func otherSeed(seed match.Seed, i int) match.Seed {
	return sha256.Sum256(binary.BigEndian.AppendUint64(seed[:], uint64(i))) //nolint:gosec // an index
}
