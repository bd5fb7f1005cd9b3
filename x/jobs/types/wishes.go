package types

import (
	"fmt"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
)

const (
	// MaxCondition bounds a condition in bytes, MaxPreferences the preferences and the affinities of a job.
	MaxCondition   = 1024
	MaxPreferences = 8
	// MaxWeight bounds what a wish can weigh, in ufog.
	MaxWeight = 1 << 50
	// maxWork is a year on a core ten times as fast as any.
	maxWork = 1 << 45
)

// Validate checks what can be checked of wishes without the state and without the language of conditions.
func (w *Wishes) Validate() error {
	if w == nil {
		return nil
	}
	for _, c := range []struct {
		field      string
		value, max uint64
	}{
		{"wishes.work", w.Work, maxWork},
		{"wishes.failure_cost", w.FailureCost, MaxWeight},
		{"wishes.latency_price", w.LatencyPrice, MaxWeight},
		{"wishes.pack", w.Pack, MaxWeight},
		{"wishes.spread", uint64(uint32(w.Spread)), uint64(SPREAD_REGION)}, //nolint:gosec // a negative one becomes large, and is refused
	} {
		if c.value > c.max {
			return invalid(c.field, "%d; it must be at most %d", c.value, c.max)
		}
	}
	if err := w.Place.Validate(); err != nil {
		return invalid("wishes.place", "%s", err)
	}
	if w.LatencyPrice > 0 && w.Place == nil {
		return invalid("wishes.place", "none; a price of latency needs a place to measure from")
	}
	return w.validateLists()
}

func (w *Wishes) validateLists() error {
	if len(w.Prefer) > MaxPreferences || len(w.Affinity) > MaxPreferences {
		return invalid("wishes", "%d preferences and %d affinities; at most %d each", len(w.Prefer), len(w.Affinity), MaxPreferences)
	}
	for i, p := range w.Prefer {
		field := fmt.Sprintf("wishes.prefer[%d]", i)
		if p.Where == "" || p.Weight == 0 || p.Weight > MaxWeight {
			return invalid(field, "condition %s, weight %d; give a condition, and a weight of 1 to %d", quote(p.Where), p.Weight, uint64(MaxWeight))
		}
		if err := validateCondition(field+".where", p.Where); err != nil {
			return err
		}
	}
	for i, a := range w.Affinity {
		if _, err := escrowtypes.ParseID(JobHRP, a.JobId); err != nil {
			return invalid(fmt.Sprintf("wishes.affinity[%d].job_id", i), "%s", err)
		}
		if a.Weight > MaxWeight {
			return invalid(fmt.Sprintf("wishes.affinity[%d].weight", i), "%d; it must be at most %d", a.Weight, uint64(MaxWeight))
		}
	}
	return nil
}

// validateCondition bounds a condition. Whether it means something the oracles know, and the client before it submits a job.
func validateCondition(field, condition string) error {
	if len(condition) > MaxCondition {
		return invalid(field, "%d bytes; at most %d", len(condition), MaxCondition)
	}
	for _, c := range []byte(condition) {
		if c < ' ' || c > '~' {
			return invalid(field, "%s; it must be printable ASCII", quote(condition))
		}
	}
	return nil
}
