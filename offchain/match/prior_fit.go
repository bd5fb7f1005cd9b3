package match

// sample is what fit reads of a node: its aged counts, its group or -1, and its features.
type sample struct {
	Stats
	group int32
	x     features
}

// fit learns the slopes, ρ of nodes, ρ of owners and the means from the counts of all n nodes, and freezes them.
func (l *learner) fit(n int, own func(i int) sample) {
	for i := range l.groups {
		l.groups[i].pool = pool{nodes: l.groups[i].nodes}
	}
	for c := range l.classes {
		l.classes[c].pool = pool{}
	}
	for i := range n {
		if s := own(i); s.group >= 0 && s.Trials > 0 {
			g := &l.groups[s.group]
			g.rawTrials += s.Trials
			g.rawSum += s.Successes
			g.squares += (s.Trials >> 8) * (s.Trials >> 8)
			g.noise += s.Trials * noiseOf(s.Trials) >> 16
			w := discounted(s.Trials, initialShare)
			g.centre.add(w, s.x)
			l.classes[g.at].centre.add(w, s.x)
		}
	}
	for i := range l.groups {
		g := &l.groups[i]
		if g.nodes > 0 {
			c := &l.classes[g.at]
			c.rawTrials += g.rawTrials
			c.rawSum += g.rawSum
		}
	}
	if !l.level {
		l.slopes = l.regress(n, own)
	}
	l.share = l.withinOwners(n, own)
	l.between = l.betweenOwners()
	for i := range n {
		if s := own(i); s.group >= 0 {
			weighted := l.weigh(s.Stats)
			l.groups[s.group].trials += weighted.trials
			l.groups[s.group].successes += weighted.successes
		}
	}
	l.means()
}

// regress finds how the chance of success goes with the features among the nodes of one owner.
func (l *learner) regress(n int, own func(i int) sample) slopes {
	var sums normal
	for i := range n {
		s := own(i)
		if s.group < 0 || s.Trials == 0 {
			continue
		}
		g := &l.groups[s.group]
		p := int64(ratio(s.Successes, s.Trials, 0, 0)) - int64(ratio(g.rawSum, g.rawTrials, 0, 0))
		sums.add(discounted(s.Trials, initialShare), s.x, g.centre.mean(s.x, 0), p)
	}
	return sums.solve()
}

// weigh is what a node's counts give to its owner's.
func (l *learner) weigh(s Stats) pool {
	if s.Trials == 0 {
		return pool{}
	}
	trials := discounted(s.Trials, l.share)
	return pool{trials: trials, successes: mulDiv(s.Successes, trials, s.Trials)}
}

// moments sums a squared deviation of counts, over the variance of an outcome, and what it would be for ρ = 0 and ρ = 1.
type moments struct{ seen, none, full uint64 }

// deviation is n·(p−m)²/(v) in outcomes, Q16, for n in units of 1/One, p and m in Q32 and a variance v in Q32.
func deviation(n, p, m, variance uint64) uint64 {
	d := max(p, m) - min(p, m)
	squared := d * d >> 32 // d is at most 2³², of which the square has 2⁶⁴: only for p = 1 and m = 0
	if d == oneP {
		squared = oneP - 1
	}
	return mulDiv(n, squared, variance)
}

// estimate is ρ in Q24, drawn towards the initial one while the evidence is small.
func (m moments) estimate() uint64 {
	const prior = initialShare >> 8 * moreEvidence
	excess := m.seen + prior
	excess -= min(excess, m.none)
	evidence := m.full - min(m.full, m.none) + moreEvidence*One
	return min(mulDiv(excess, one24, evidence), one24)
}

func variance(p uint64) uint64 {
	p = min(p, oneP-1)
	return max(p*(oneP-p)>>32, leastVariance)
}

// withinOwners is the share of the variance between nodes of one owner.
func (l *learner) withinOwners(n int, own func(i int) sample) uint64 {
	var sum moments
	for i := range n {
		s := own(i)
		if s.group < 0 || s.Trials == 0 {
			continue
		}
		g := &l.groups[s.group]
		if g.rawTrials <= s.Trials {
			continue // alone: no deviation from the owner's mean
		}
		c := &l.classes[g.at]
		v := variance(ratio(c.rawSum, c.rawTrials, initialMean, meanEvidence))
		expected := int64(ratio(g.rawSum, g.rawTrials, 0, 0)) + l.slopes.at(s.x, g.centre.mean(s.x, 0))
		sum.seen += deviation(s.Trials, ratio(s.Successes, s.Trials, 0, 0), uint64(min(max(expected, 0), oneP)), v)
		rest := mulDiv(g.rawTrials-s.Trials, One, g.rawTrials)
		sum.none += noiseOf(s.Trials) * rest >> 16
		sum.full += s.Trials * rest >> 16
	}
	return sum.estimate()
}

// betweenOwners is the share of the variance between owners of one class, what their nodes' variance adds left out.
func (l *learner) betweenOwners() uint64 {
	var sum moments
	for i := range l.groups {
		g := &l.groups[i]
		if g.nodes == 0 || g.rawTrials == 0 {
			continue
		}
		c := &l.classes[g.at]
		if c.rawTrials <= g.rawTrials {
			continue
		}
		v := variance(ratio(c.rawSum, c.rawTrials, initialMean, meanEvidence))
		sum.seen += deviation(g.rawTrials, ratio(g.rawSum, g.rawTrials, 0, 0), ratio(c.rawSum, c.rawTrials, 0, 0), v)
		rest := mulDiv(c.rawTrials-g.rawTrials, One, c.rawTrials)
		byChance := mulDiv(g.noise, one24-l.share, one24)
		byNodes := mulDiv(g.squares, l.share, one24)
		sum.none += mulDiv(mulDiv(byChance+byNodes, One, g.rawTrials), rest, One)
		sum.full += mulDiv(g.rawTrials, rest, One)
	}
	return sum.estimate()
}

// means computes the mean of all and of each class, over owners whose counts are discounted in their turn.
func (l *learner) means() {
	var all pool
	for i := range l.groups {
		g := &l.groups[i]
		if g.nodes == 0 || g.trials == 0 {
			continue
		}
		trials := discounted(g.trials, l.between)
		successes := mulDiv(g.successes, trials, g.trials)
		c := &l.classes[g.at]
		c.trials += trials
		c.successes += successes
		all.trials += trials
		all.successes += successes
	}
	l.priors.Mean = ratio(all.successes, all.trials, initialMean, meanEvidence)
	l.priors.Strength, l.priors.OwnerStrength = strengthOf(l.share), strengthOf(l.between)
	l.priors.Handicap = l.handicap(l.priors.Mean)
	for i := range l.classes {
		c := &l.classes[i]
		c.mean = ratio(c.successes, c.trials, l.priors.Mean, meanEvidence)
	}
	for i := range l.owners {
		l.owners[i] = ownerSum{}
	}
	for i := range l.groups {
		g := &l.groups[i]
		if g.nodes == 0 || g.trials == 0 {
			g.deviation = 0
			continue
		}
		c := &l.classes[g.at]
		x := c.centre.mean(features{}, 0)
		expected := int64(c.mean) + l.slopes.at(g.centre.mean(x, 0), x)
		g.deviation = int64(ratio(g.successes, g.trials, 0, 0)) - expected
		l.owners[g.whose] = l.owners[g.whose].add(g, 1)
	}
}
