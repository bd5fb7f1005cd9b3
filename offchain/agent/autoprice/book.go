package autoprice

import (
	"cmp"
	"slices"
	"sync"

	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/pricing"
)

const (
	// maxCounts and maxSpans are what is kept of one oracle; older windows are dropped.
	maxCounts = 4096
	maxSpans  = 64
	// patience is how many windows may pass before one is no longer waited for.
	patience = 32
)

// Book gathers what the oracles tell until enough of them have. It is a link.OffersTaker, safe for concurrent use.
type Book struct {
	mu      sync.Mutex
	next    uint64           // the first window that was not taken
	oracles map[string]*view // those of the chain
}

// view is what one oracle has told of windows that were not taken yet.
type view struct {
	heard  bool
	spans  []span
	counts []link.OfferCount // by window, then price
	class  []link.ClassCount
}

type span struct{ from, until uint64 }

// NewBook begins with a window.
func NewBook(next uint64) *Book { return &Book{next: next, oracles: map[string]*view{}} }

// From is the first window that was not taken.
func (b *Book) From() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

// SetOracles says which oracles there are; what others have told is forgotten.
func (b *Book) SetOracles(ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.oracles
	b.oracles = make(map[string]*view, len(ids))
	for _, id := range ids {
		if b.oracles[id] = before[id]; b.oracles[id] == nil {
			b.oracles[id] = &view{}
		}
	}
}

// Take keeps a report. What it says of a window that the oracle told of before replaces that.
func (b *Book) Take(oracleID string, r link.OffersReport) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.oracles[oracleID]
	if v == nil {
		return
	}
	v.heard = true
	if len(r.Class) > 0 {
		v.class = r.Class
	}
	if r.From >= r.Until {
		return
	}
	v.counts = slices.DeleteFunc(v.counts, func(c link.OfferCount) bool { return c.Window >= r.From && c.Window < r.Until })
	v.counts = append(v.counts, r.Counts...)
	slices.SortStableFunc(v.counts, byWindow)
	v.spans = append(v.spans, span{r.From, r.Until})
	from := b.next
	if extra := len(v.spans) - maxSpans; extra > 0 {
		v.spans = slices.Delete(v.spans, 0, extra)
	}
	if extra := len(v.counts) - maxCounts; extra > 0 {
		from = max(from, v.counts[extra-1].Window+1)
	}
	v.cut(from)
}

func byWindow(x, y link.OfferCount) int {
	return cmp.Or(cmp.Compare(x.Window, y.Window), cmp.Compare(x.Price, y.Price))
}

// cut forgets the windows before one.
func (v *view) cut(from uint64) {
	for i := range v.spans {
		v.spans[i].from = max(v.spans[i].from, from)
	}
	v.spans = slices.DeleteFunc(v.spans, func(s span) bool { return s.from >= s.until })
	v.counts = slices.DeleteFunc(v.counts, func(c link.OfferCount) bool { return c.Window < from })
}

func (v *view) covers(window uint64) bool {
	return slices.ContainsFunc(v.spans, func(s span) bool { return s.from <= window && window < s.until })
}

// until is the window after the last that was told of.
func (v *view) until() (last uint64) {
	for _, s := range v.spans {
		last = max(last, s.until)
	}
	return last
}

// count is what was told of a window and a price; nothing if there was none.
func (v *view) count(window, price uint64) link.OfferCount {
	key := link.OfferCount{Window: window, Price: price}
	if at, found := slices.BinarySearchFunc(v.counts, key, byWindow); found {
		return v.counts[at]
	}
	return key
}

// most is how many oracles are more than half.
func (b *Book) most() int { return len(b.oracles)/2 + 1 }

// heard are the oracles that have told anything, by id.
func (b *Book) heard() []*view {
	var ids []string
	for id, v := range b.oracles {
		if v.heard {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	out := make([]*view, len(ids))
	for i, id := range ids {
		out[i] = b.oracles[id]
	}
	return out
}

// Ready says whether more than half of the oracles have been heard.
func (b *Book) Ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.heard()) >= b.most()
}

// Settle takes the windows before limit that more than half of the oracles have told of. Of each count it takes the lower median of
// what these say. It waits for oracles that may still tell of a window, but not for ever, and leaves out what too few saw whole.
func (b *Book) Settle(limit uint64) []link.OfferCount {
	b.mu.Lock()
	defer b.mu.Unlock()
	views := b.heard()
	if len(views) < b.most() {
		return nil
	}
	limit = b.reach(views, limit)
	var keys []link.OfferCount
	for _, v := range views {
		for _, c := range v.counts {
			if c.Window < limit {
				keys = append(keys, link.OfferCount{Window: c.Window, Price: c.Price})
			}
		}
	}
	slices.SortFunc(keys, byWindow)
	var out []link.OfferCount
	for _, key := range slices.Compact(keys) {
		if c, ok := agreed(views, key, b.most()); ok {
			out = append(out, c)
		}
	}
	b.next = max(b.next, limit)
	for _, v := range views {
		v.cut(b.next)
	}
	return out
}

// reach is the first window before limit for which it is worth waiting: more than half of the oracles could tell of it, but have not.
func (b *Book) reach(views []*view, limit uint64) uint64 {
	for w := max(b.next, limit-min(limit, patience)); w < limit; w++ {
		told, may := 0, len(b.oracles)-len(views)
		for _, v := range views {
			switch {
			case v.covers(w):
				told++
			case v.until() <= w:
				may++
			}
		}
		if told < b.most() && told+may >= b.most() {
			return w
		}
	}
	return limit
}

// agreed is the median of what those say of a window and price who saw the window, if there are as many as need be. As none accepts more
// than it is offered, nor does the median.
func agreed(views []*view, key link.OfferCount, need int) (link.OfferCount, bool) {
	var offered, accepted, missed []uint64
	for _, v := range views {
		if v.covers(key.Window) {
			c := v.count(key.Window, key.Price)
			offered, accepted, missed = append(offered, uint64(c.Offered)), append(accepted, uint64(c.Accepted)), append(missed, uint64(c.Missed))
		}
	}
	if len(offered) < need {
		return key, false
	}
	key.Offered, key.Accepted, key.Missed = uint32(median(offered)), uint32(median(accepted)), uint32(median(missed))
	return key, key.Offered+key.Missed > 0
}

// median is the lower one.
func median(values []uint64) uint64 {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// Class is what was offered to the node's class, at each price the median of what the oracles say.
func (b *Book) Class() []pricing.Count {
	b.mu.Lock()
	defer b.mu.Unlock()
	views := b.heard()
	var prices []uint64
	for _, v := range views {
		for _, c := range v.class {
			prices = append(prices, c.Price)
		}
	}
	slices.Sort(prices)
	var out []pricing.Count
	for _, price := range slices.Compact(prices) {
		var offers, accepted []uint64
		for _, v := range views {
			var c link.ClassCount
			if at, found := slices.BinarySearchFunc(v.class, price, func(c link.ClassCount, p uint64) int { return cmp.Compare(c.Price, p) }); found {
				c = v.class[at]
			}
			offers, accepted = append(offers, c.Offers), append(accepted, c.Accepted)
		}
		if n := median(offers); n > 0 {
			out = append(out, pricing.Count{Price: price, Offers: float64(n), Accepted: float64(median(accepted))})
		}
	}
	return out
}
