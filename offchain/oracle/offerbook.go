package oracle

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/match"
	"github.com/foggrid/fogd/offchain/pricing"
)

const (
	// maxOfferNodes are counted for at most, and for each maxOfferRows are kept: some days of them.
	maxOfferNodes = 1024
	maxOfferRows  = 768
	// maxSpans of windows seen whole; one more begins after each time that the worker missed something.
	maxSpans = 32
	// offersKept is how long a node is counted for after its agent has left.
	offersKept = 24 * time.Hour

	// classSample nodes of each of maxOfferClasses classes are drawn for each batch.
	classSample     = 8
	maxOfferClasses = 32
	// classHalfLife in seconds, after which what a class saw counts half: that of pricing.
	classHalfLife = 720 * 3600
	// pricesPerOctave is how finely a class's prices are told apart.
	pricesPerOctave = 4
)

// span is the windows from one up to and without another.
type span struct{ from, until uint64 }

// offerBook remembers what the matching offered to the nodes whose agents have asked, and to a sample of each class.
type offerBook struct {
	nodes   map[string]*offerNode
	classes map[uint32]*classOffers
	spans   []span // over and seen whole, oldest first
	holes   []span // not seen whole
	next    uint64 // the first window that is not over
}

type offerNode struct {
	id    match.ID
	class uint32
	// from is the first window of which all is in rows, which are by window, then price.
	from uint64
	rows []link.OfferCount
	left time.Time // when its agent left, zero while it is here
}

// classOffers are what a class was offered, discounted up to a Unix second.
type classOffers struct {
	at     int64
	counts map[uint64]classCount // by price, which pricesPerOctave makes few
}

type classCount struct{ offers, accepted float64 }

func newOfferBook() *offerBook {
	return &offerBook{nodes: map[string]*offerNode{}, classes: map[uint32]*classOffers{}}
}

// watch begins to count for a node with the window from, and says whether there is room.
func (b *offerBook) watch(name string, id match.ID, class uint32, from uint64) bool {
	if n := b.nodes[name]; n != nil {
		n.left, n.class = time.Time{}, class
		return true
	}
	if len(b.nodes) >= maxOfferNodes {
		oldest := ""
		for name, n := range b.nodes {
			if !n.left.IsZero() && (oldest == "" || n.left.Before(b.nodes[oldest].left)) {
				oldest = name
			}
		}
		if oldest == "" {
			return false
		}
		delete(b.nodes, oldest)
	}
	b.nodes[name] = &offerNode{id: id, class: class, from: from}
	return true
}

// forget drops the nodes whose agents left long ago.
func (b *offerBook) forget(now time.Time) {
	for name, n := range b.nodes {
		if !n.left.IsZero() && now.Sub(n.left) > offersKept {
			delete(b.nodes, name)
		}
	}
}

// over says that the windows before until are over. What is no hole was seen whole.
func (b *offerBook) over(until uint64) {
	slices.SortFunc(b.holes, func(x, y span) int { return cmp.Compare(x.from, y.from) })
	for _, h := range b.holes {
		if h.from < until {
			b.whole(min(h.from, until))
			b.next = max(b.next, min(h.until, until))
		}
	}
	b.whole(until)
	b.holes = slices.DeleteFunc(b.holes, func(h span) bool { return h.until <= b.next })
}

// whole adds the windows from next on, and before until, to those that were seen whole.
func (b *offerBook) whole(until uint64) {
	if until <= b.next {
		return
	}
	if last := len(b.spans) - 1; last >= 0 && b.spans[last].until == b.next {
		b.spans[last].until = until
	} else {
		b.spans = append(b.spans, span{b.next, until})
	}
	if len(b.spans) > maxSpans {
		b.spans = slices.Delete(b.spans, 0, 1)
	}
	b.next = until
}

// hole says that windows were not seen whole. They must not be over yet.
func (b *offerBook) hole(s span) { b.holes = append(b.holes, s) }

// ids are the nodes that are counted for.
func (b *offerBook) ids() (ids []match.ID, names map[match.ID]string) {
	names = make(map[match.ID]string, len(b.nodes))
	for name, n := range b.nodes {
		ids = append(ids, n.id)
		names[n.id] = name
	}
	slices.SortFunc(ids, compareNodes)
	return ids, names
}

// record adds what a batch at a height offered to a node.
func (b *offerBook) record(name string, height int64, o match.Offers) {
	n := b.nodes[name]
	n.class = o.Class
	if o.Offered == 0 && o.Missed == 0 {
		return
	}
	row := link.OfferCount{Window: link.WindowOf(height), Price: pricing.Mix(o.Prices).Lead()}
	at, found := slices.BinarySearchFunc(n.rows, row, func(x, y link.OfferCount) int {
		return cmp.Or(cmp.Compare(x.Window, y.Window), cmp.Compare(x.Price, y.Price))
	})
	if !found {
		n.rows = slices.Insert(n.rows, at, row)
	}
	n.rows[at].Offered += o.Offered
	n.rows[at].Accepted += o.Accepted
	n.rows[at].Missed += o.Missed
	if len(n.rows) > maxOfferRows {
		n.from = n.rows[0].Window + 1
		n.rows = slices.DeleteFunc(n.rows, func(r link.OfferCount) bool { return r.Window < n.from })
	}
}

func compareNodes(a, b match.ID) int { return bytes.Compare(a[:], b[:]) }

// recordClass adds what a batch at a time offered to a node of a class.
func (b *offerBook) recordClass(at int64, o match.Offers) {
	c := b.classes[o.Class]
	if c == nil {
		if len(b.classes) >= maxOfferClasses {
			oldest := o.Class
			for class := range b.classes {
				oldest = min(oldest, class)
			}
			if oldest == o.Class {
				return
			}
			delete(b.classes, oldest)
		}
		c = &classOffers{at: at, counts: map[uint64]classCount{}}
		b.classes[o.Class] = c
	}
	lead := pricing.Mix(o.Prices).Lead()
	if lead == 0 || o.Offered+o.Missed == 0 {
		return
	}
	c.age(at)
	price := classPrice(lead)
	sum := c.counts[price]
	c.counts[price] = classCount{sum.offers + float64(o.Offered) + float64(o.Missed), sum.accepted + float64(o.Accepted)}
}

// classPrice is the price by which a class's are told apart.
func classPrice(price uint64) uint64 {
	return uint64(math.Round(math.Exp2(math.Round(math.Log2(float64(price))*pricesPerOctave) / pricesPerOctave)))
}

func (c *classOffers) age(at int64) {
	if at <= c.at {
		return
	}
	f := math.Exp2(-float64(at-c.at) / classHalfLife)
	for price, sum := range c.counts {
		c.counts[price] = classCount{sum.offers * f, sum.accepted * f}
	}
	c.at = at
}

// class lists what a class was offered, by price.
func (b *offerBook) class(class uint32) []link.ClassCount {
	c := b.classes[class]
	if c == nil {
		return nil
	}
	var out []link.ClassCount
	for price, sum := range c.counts {
		if offers := uint64(math.Round(sum.offers)); offers > 0 {
			out = append(out, link.ClassCount{Price: price, Offers: offers, Accepted: uint64(math.Round(sum.accepted))})
		}
	}
	slices.SortFunc(out, func(x, y link.ClassCount) int { return cmp.Compare(x.Price, y.Price) })
	return out[:min(len(out), link.MaxClassCounts)]
}

// reports are what is known of a node from a window on. A window has fewer prices than a report holds: a batch has one of each node.
func (b *offerBook) reports(n *offerNode, from uint64) []link.OffersReport {
	var out []link.OffersReport
	from = max(from, n.from)
	for _, s := range b.spans {
		s.from = max(s.from, from)
		for s.from < s.until {
			r := link.OffersReport{From: s.from, Until: s.until}
			for _, row := range n.rows {
				if row.Window < r.From || row.Window >= s.until {
					continue
				}
				if len(r.Counts) == link.MaxOfferCounts {
					r.Until = row.Window // the rest of this window goes with the next report
					break
				}
				r.Counts = append(r.Counts, row)
			}
			r.Counts = slices.DeleteFunc(r.Counts, func(c link.OfferCount) bool { return c.Window >= r.Until })
			out = append(out, r)
			s.from = r.Until
		}
	}
	return out
}

// sampleClasses draws nodes of each class, the same on every oracle. Its result is only looked up.
func sampleClasses(s match.Snapshot, seed match.Seed) map[match.ID]bool {
	drawn := map[uint32][]drawnNode{}
	for _, n := range s.Nodes {
		d := drawnNode{n.ID, drawOf(seed, n.ID)}
		list := drawn[n.Class]
		switch {
		case len(list) < classSample:
			drawn[n.Class] = append(list, d)
		case len(list) == classSample:
			last := 0
			for i := range list {
				if list[i].key > list[last].key {
					last = i
				}
			}
			if d.key < list[last].key {
				list[last] = d
			}
		}
	}
	out := map[match.ID]bool{}
	for _, list := range drawn {
		for _, d := range list {
			out[d.id] = true
		}
	}
	return out
}

type drawnNode struct {
	id  match.ID
	key uint64
}

// drawOf mixes a node's id with the seed, so that no id is drawn more than others (splitmix64's finaliser).
func drawOf(seed match.Seed, id match.ID) uint64 {
	var x uint64
	for i := range 8 {
		x = x<<8 | uint64(seed[i]^id[i]^id[12+i])
	}
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
