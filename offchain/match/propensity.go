package match

// Propensity is the share, in Q32, of other draws of the same decision that take the node: the probability with which the
// engine takes it, where that is not known from the decision itself.
func (e *Engine) Propensity(q *Query, seed Seed, r Ref, draws uint32) uint64 {
	if draws == 0 {
		return 0
	}
	var d Decision
	hits := uint64(0)
	for i := range draws {
		again := seed
		for k := range 4 {
			again[28+k] ^= byte((i + 1) >> (8 * k))
		}
		if e.Decide(q, again, &d) && d.Best().Ref == r {
			hits++
		}
	}
	return hits << 32 / uint64(draws)
}
