package match

import "math/bits"

// What is known of a node beyond its own outcomes is hierarchical: the mean of its owner's other nodes of the class,
// drawn towards the mean of the class, drawn towards the mean of all. How strongly, says the variance that the data
// show between nodes of one owner and between owners of one class: a share ρ of the variance of a single outcome gives
// a prior the strength κ = 1/ρ − 1, by the method of moments for the beta-binomial (Kleinman, JASA 68, 1973; unbalanced
// one-way analysis of variance). Counts of busy nodes weigh less than in proportion: n/(1+ρn), for policies send work
// to good nodes, and a mean over outcomes would be too hopeful for the next node.

const (
	minStrength = 4
	maxStrength = 64
	// initialShare is the ρ that is assumed before any outcome, for κ = 12, with the weight of moreEvidence outcomes.
	initialShare = one24 / 13
	moreEvidence = 50
	one24        = 1 << 24
	// initialMean is the chance of success that is assumed before any outcome, 0.9, with the weight of meanEvidence.
	initialMean  = oneP / 10 * 9
	meanEvidence = 8 * One
	// maxPrior is the most that is believed without outcomes: 0.995.
	maxPrior = oneP / 200 * 199
	// speedEvidence is the weight of a claimed speed against measured ones.
	speedEvidence = One / 16
	// leastVariance of an outcome, 0.01, where almost all succeed.
	leastVariance = oneP / 100
)

// Priors are what an epoch learnt, for people to read.
type Priors struct {
	// Strength κ of what is known of an owner against a node's own outcomes, and of what is known of a class against the
	// outcomes of an owner's other nodes, in units of 1/One outcomes.
	Strength, OwnerStrength uint32
	// Mean chance of success over all nodes, in Q32.
	Mean uint64
	// Handicap in Q32 is how far an unseen owner starts below its class, so that a fresh identity is no advantage.
	Handicap uint64
}

// pool sums outcomes of many nodes.
type pool struct {
	trials, successes uint64 // in units of 1/One outcomes, weighted
	rawTrials, rawSum uint64 // as counted
	squares           uint64 // Σ trials², Q16
	noise             uint64 // Σ trials·noiseOf, in units of 1/One outcomes
	nodes             uint32
	centre            centre // of the features, weighted as trials
}

// group is an owner's nodes of one class.
type group struct {
	owner ID
	class uint32
	at    int // index into learner.classes
	whose int // index into learner.owners
	pool
	deviation int64 // of the mean from what class and features tell, Q32
}

// ownerSum adds up what an owner's groups show beside their classes.
type ownerSum struct {
	trials    uint64 // weighted
	deviation int64  // Σ trials·deviation, in outcomes Q8 and Q32
}

// add takes a group in, or out with a negative sign.
func (o ownerSum) add(g *group, sign int64) ownerSum {
	o.trials = uint64(int64(o.trials) + sign*int64(g.trials))
	o.deviation += sign * int64(g.trials>>8) * (g.deviation >> 8)
	return o
}

type class struct {
	id   uint32
	mean uint64 // Q32, frozen
	pool
}

type groupKey struct {
	owner ID
	class uint32
}

// learner holds the tallies of owners and classes, frozen between epochs.
type learner struct {
	now     int64
	priors  Priors
	share   uint64 // ρ of nodes within an owner, Q24
	between uint64 // ρ of owners within a class, Q24
	slopes  slopes
	level   bool // slopes stay zero
	groups  []group
	owners  []ownerSum
	byOwner map[ID]int
	byKey   map[groupKey]int32
	unused  []int32
	classes []class
	byClass map[uint32]int
}

func newLearner() learner {
	l := learner{share: initialShare, between: initialShare, byKey: map[groupKey]int32{}, byClass: map[uint32]int{}, byOwner: map[ID]int{}}
	l.priors = Priors{Mean: initialMean, Strength: strengthOf(l.share), OwnerStrength: strengthOf(l.between)}
	l.priors.Handicap = l.handicap(initialMean)
	return l
}

// join returns the group of a node that comes.
func (l *learner) join(owner ID, classID uint32) int32 {
	key := groupKey{owner, classID}
	at, found := l.byKey[key]
	if !found {
		if last := len(l.unused) - 1; last >= 0 {
			at = l.unused[last]
			l.unused = l.unused[:last]
		} else {
			at = int32(len(l.groups))
			l.groups = append(l.groups, group{})
		}
		c, found := l.byClass[classID]
		if !found {
			c = len(l.classes)
			l.classes = append(l.classes, class{id: classID, mean: l.priors.Mean})
			l.byClass[classID] = c
		}
		o, found := l.byOwner[owner]
		if !found {
			o = len(l.owners)
			l.owners = append(l.owners, ownerSum{})
			l.byOwner[owner] = o
		}
		l.groups[at] = group{owner: owner, class: classID, at: c, whose: o}
		l.byKey[key] = at
	}
	l.groups[at].nodes++
	return at
}

// leave forgets a node of a group.
func (l *learner) leave(at int32) {
	g := &l.groups[at]
	if g.nodes--; g.nodes == 0 {
		delete(l.byKey, groupKey{g.owner, g.class})
		l.unused = append(l.unused, at)
	}
}

// before is the prior of a node with its own part left out of what its owner has: the mean in Q32 and the strength in
// units of 1/One outcomes.
func (l *learner) before(at int32, own pool, x features) (mean, strength uint32) {
	g := &l.groups[at]
	c := &l.classes[g.at]
	others, successes := g.trials-min(g.trials, own.trials), g.successes-min(g.successes, own.successes)
	evidence := uint64(l.priors.OwnerStrength)
	// What the owner's nodes of other classes show, and what is left of the handicap beside it.
	elsewhere := l.owners[g.whose].add(g, -1)
	known := int64((elsewhere.trials + evidence) >> 8)
	start := int64(c.mean) + elsewhere.deviation/known<<8 - int64(mulDiv(l.priors.Handicap, evidence>>8, uint64(known)))
	m := int64(ratio(successes, others, uint64(min(max(start, minP), maxPrior)), evidence))
	from := g.centre.mean(c.centre.mean(x, One), evidence)
	m += l.slopes.at(x, from)
	share := l.share + l.between*evidence/(others+evidence)
	return uint32(min(max(m, minP), maxPrior)), strengthOf(share)
}

// ratio is (successes + weight·mean)/(trials + weight) in Q32, where mean is in Q32.
func ratio(successes, trials, mean, weight uint64) uint64 {
	hi, lo := bits.Mul64(mean, weight)
	lo, carry := bits.Add64(lo, successes<<32, 0)
	hi += successes>>32 + carry
	out, _ := bits.Div64(hi, lo, trials+weight)
	return min(out, oneP)
}

// strengthOf is κ = 1/ρ − 1 within its bounds, in units of 1/One outcomes, for ρ in Q24.
func strengthOf(share uint64) uint32 {
	share = max(share, one24/(maxStrength+1))
	k := uint64(one24)*One/share - One
	return uint32(min(max(k, minStrength*One), maxStrength*One))
}

// handicap is half the standard deviation between owners.
func (l *learner) handicap(mean uint64) uint64 {
	return isqrt(max(mean*(oneP-mean)>>32, leastVariance)*l.between<<8) / 2
}

// discounted is what n outcomes weigh in a mean: n/(1+ρn).
func discounted(trials, share uint64) uint64 {
	return mulDiv(trials, one24, one24+mulDiv(share, trials, One))
}

// mulDiv is ⌊a·b/c⌋, which the caller knows to fit.
func mulDiv(a, b, c uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	out, _ := bits.Div64(hi, lo, c)
	return out
}

// noiseOf is Σw²/Σw of a decayed count, in Q16: one for few outcomes, half for the most that decay allows.
func noiseOf(trials uint64) uint64 { return One - min(trials/116, One/2) }
