package sim

import (
	"math"
	"slices"
)

// streams of random numbers, so that one part of a world does not shift another.
const (
	streamNode = iota + 1
	streamOwner
	streamJob
	streamRun
	streamDrift
	streamOffline
	streamOutage
	streamChurn
	streamPolicy
)

// world is a fleet with what no policy sees.
type world struct {
	Fleet
	scenario *Scenario
	seed     uint64
	owners   []float64 // share of logit p
	ownerOf  []int32   // by row of the catalogue

	logit []float64 // of p without drift
	p, s  []float64 // now; s is delivered over declared speed
	liar  []bool
	bad   []bool
	truth linear // the loss of the design with the true p and s

	// why a node takes no work, in bits, and what runs hold
	closed              []uint8
	usedCPU, usedMemory []int32
	running             []int32
	changed             func(node int)
}

const (
	closedOffline = 1 << iota
	closedLead
	closedOutage
)

func newWorld(catalogue []Server, sc *Scenario, seed uint64) *world {
	n := sc.Nodes
	w := &world{
		scenario: sc, seed: seed,
		Fleet: Fleet{
			FreeCPU: make([]int32, n), FreeMemory: make([]int32, n), CPU: make([]int32, n), Memory: make([]int32, n),
			PriceCPU: make([]float64, n), PriceMemory: make([]float64, n), Speed: make([]float64, n),
			Owner: make([]int32, n), Place: make([]uint8, n), Server: make([]int32, n), Generation: make([]uint32, n),
			Catalogue: catalogue, Loss: sc.Loss, RTT: rttTable(),
		},
		logit: make([]float64, n), p: make([]float64, n), s: make([]float64, n), liar: make([]bool, n), bad: make([]bool, n),
		truth: newLinear(n), closed: make([]uint8, n), usedCPU: make([]int32, n), usedMemory: make([]int32, n),
		running: make([]int32, n), changed: func(int) {},
	}
	names := map[string]int32{}
	for _, s := range catalogue {
		if _, known := names[s.Vendor]; !known {
			r := NewRand(seed, streamOwner, uint64(len(names)))
			names[s.Vendor] = int32(len(names))
			w.owners = append(w.owners, sc.Hidden.Vendor*r.Norm())
		}
		w.ownerOf = append(w.ownerOf, names[s.Vendor])
	}
	w.Owners = len(w.owners)
	for i := range n {
		w.create(i)
	}
	return w
}

// create draws the machine of index i and its generation.
func (w *world) create(i int) {
	r, h := NewRand(w.seed, streamNode, uint64(i), uint64(w.Generation[i])), &w.scenario.Hidden
	row := r.IntN(len(w.Catalogue))
	server := &w.Catalogue[row]
	w.Server[i], w.Owner[i], w.Place[i] = int32(row), w.ownerOf[row], uint8(r.IntN(len(places)))
	w.CPU[i], w.Memory[i] = int32(server.VCPUs*1000), int32(min(server.MemoryGiB*1024, math.MaxInt32))

	// Sellers price machines whole. A vCPU is taken for six times a GiB, about what clouds that sell them apart ask.
	z := r.Norm()
	gib := server.PriceUSD / (6*server.VCPUs + server.MemoryGiB) * math.Exp(h.Price*z)
	w.PriceCPU[i], w.PriceMemory[i] = ufog(6*gib), ufog(gib)

	w.logit[i] = h.Base + h.Markup*z + h.Speed*(server.Single-ReferenceSpeed)/700 + w.owners[w.Owner[i]] + h.Node*r.Norm()
	w.s[i] = math.Exp(h.SpeedSigma * r.Norm())
	if r.Float() < h.SlowShare {
		w.s[i] /= 2
	}
	w.Speed[i], w.bad[i] = server.Single, false
	if w.liar[i] = r.Float() < w.scenario.Liars.Share; w.liar[i] {
		w.Speed[i] *= w.scenario.Liars.Factor
		w.s[i] /= w.scenario.Liars.Factor
	}
	w.reveal(i)
	w.open(i)
}

// ufog rounds dollars to the unit of money; a price is at least one.
func ufog(dollars float64) float64 { return max(math.Round(dollars*1e6), 1) / 1e6 }

// minP is the least probability in the objective.
const minP = 0.05

// reveal computes what the oracle knows of node i.
func (w *world) reveal(i int) {
	logit := w.logit[i]
	if w.bad[i] {
		logit = min(logit, w.scenario.Drift.Logit)
	}
	w.p[i] = 1 / (1 + math.Exp(-logit))
	w.truth.time[i] = ReferenceSpeed / (w.Speed[i] * w.s[i])
	w.truth.fixed[i] = penalty(w.Loss.Failure, w.p[i])
}

func penalty(failure, p float64) float64 {
	p = min(max(p, minP), 1)
	return failure * (1 - p) / p
}

// open shows what is free on node i.
func (w *world) open(i int) {
	w.FreeCPU[i], w.FreeMemory[i] = w.CPU[i]-w.usedCPU[i], w.Memory[i]-w.usedMemory[i]
	if w.closed[i] != 0 {
		w.FreeCPU[i] = 0
	}
	w.changed(i)
}

func (w *world) take(j *Job, i int) {
	w.usedCPU[i] += j.CPU
	w.usedMemory[i] += j.Memory
	w.running[i]++
	w.open(i)
}

func (w *world) release(j *Job, i int) {
	w.usedCPU[i] -= j.CPU
	w.usedMemory[i] -= j.Memory
	w.running[i]--
	w.open(i)
}

// loss of the job on node i, with the true p and s.
func (w *world) loss(j *Job, i int) float64 {
	return w.Hourly(j, i)*j.Work*w.truth.time[i] + w.truth.fixed[i] + w.Loss.RTT*w.RTT[j.Origin][w.Place[i]]
}

// stream makes the jobs one after the other; they do not depend on the policy.
type stream struct {
	w    *world
	rand *Rand
	at   float64 // hours
	next int
}

func (s *stream) job() *Job {
	sc := s.w.scenario
	rate := sc.Load * float64(sc.Nodes)
	for {
		s.at += s.rand.Exp() / (rate * (1 + sc.Jobs.Diurnal))
		swing := 1 + sc.Jobs.Diurnal*math.Sin(2*math.Pi*s.at/24)
		if s.rand.Float()*(1+sc.Jobs.Diurnal) <= swing {
			break
		}
	}
	r := s.rand
	j := &Job{ID: s.next, At: int64(s.at * hour), Origin: pickPlace(r.Float())}
	s.next++
	sizes := 1
	for 1<<sizes <= sc.Jobs.MaxCPUs {
		sizes++
	}
	cpus := int32(1) << r.IntN(sizes)
	j.CPU, j.Memory = 1000*cpus, 1024*cpus<<r.IntN(3)
	j.Work = sc.Jobs.WorkMedian * math.Exp(sc.Jobs.WorkSigma*r.Norm())
	if tail, u := r.Float(), r.Float(); tail < sc.Jobs.TailShare {
		j.Work = sc.Jobs.WorkMedian * math.Pow(1-u, -1/sc.Jobs.TailAlpha)
	}
	j.Work = min(j.Work, maxWork)
	return j
}

// hour in milliseconds of simulated time; maxWork in hours, beyond which a job would rather be cut into parts.
const (
	hour    = 3_600_000
	maxWork = 500
)

// disturbance is something that happens to nodes whatever the policy does.
type disturbance struct {
	at   int64
	kind uint8
	what int32 // a node, or a place for an outage
}

const (
	nodeReplaced = iota
	nodeBad
	nodeRecovered
	twinBegins // nothing happens to a twin, it is only followed
	twinEnds
	nodeLead
	nodeOffline
	nodeOnline
	outageBegin
	outageEnd
)

// disturbances are those of the first hours, in order.
func (w *world) disturbances(hours float64) []disturbance {
	var all []disturbance
	sc, n := w.scenario, w.scenario.Nodes
	add := func(at float64, kind uint8, what int) {
		if at < hours {
			all = append(all, disturbance{int64(at * hour), kind, int32(what)})
		}
	}
	if rate := sc.Churn.PerHour * float64(n); rate > 0 {
		r := NewRand(w.seed, streamChurn)
		for at := r.Exp() / rate; at < hours; at += r.Exp() / rate {
			add(at, nodeReplaced, r.IntN(n))
		}
	}
	for i := range n {
		if fate, r := w.fate(i); fate != staysWell {
			at, begins, ends := hours*(0.2+0.4*r.Float()), uint8(nodeBad), uint8(nodeRecovered)
			if fate == isTwin {
				begins, ends = twinBegins, twinEnds
			}
			add(at, begins, i)
			if sc.Drift.RecoverHours > 0 {
				add(at+sc.Drift.RecoverHours, ends, i)
			}
		}
		r := NewRand(w.seed, streamOffline, uint64(i))
		if u := r.Float(); u < sc.Offline.Share {
			for at := 24 * r.Float(); at < hours; at += 24 {
				add(max(at-sc.Offline.LeadHours, 0), nodeLead, i)
				add(at, nodeOffline, i)
				add(at+sc.Offline.Hours, nodeOnline, i)
			}
		}
	}
	if rate := sc.Outages.PerDay / 24; rate > 0 {
		r := NewRand(w.seed, streamOutage)
		free := make([]float64, len(places)) // a place that is down cannot go down again
		for at := r.Exp() / rate; at < hours; at += r.Exp() / rate {
			place, length := r.IntN(len(places)), sc.Outages.Hours*r.Exp()
			if at < free[place] {
				continue
			}
			free[place] = at + length
			add(at, outageBegin, place)
			add(at+length, outageEnd, place)
		}
	}
	slices.SortStableFunc(all, func(a, b disturbance) int { return int(min(max(a.at-b.at, -1), 1)) })
	return all
}
