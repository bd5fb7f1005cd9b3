package autoprice

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/pricing"
)

var four = []string{"a", "b", "c", "d"}

func offer(window, price uint64, offered, accepted, missed uint32) link.OfferCount {
	return link.OfferCount{Window: window, Price: price, Offered: offered, Accepted: accepted, Missed: missed}
}

func report(from, until uint64, counts ...link.OfferCount) link.OffersReport {
	return link.OffersReport{From: from, Until: until, Counts: counts}
}

func TestSettleWaitsForMoreThanHalf(t *testing.T) {
	b := NewBook(5)
	require.False(t, b.Ready(), "there is no oracle yet")
	b.SetOracles(four)
	require.EqualValues(t, 5, b.From())
	honest := report(5, 9, offer(6, 100, 10, 4, 1), offer(8, 120, 3, 0, 0))
	b.Take("a", honest)
	b.Take("b", honest)
	require.False(t, b.Ready())
	require.Empty(t, b.Settle(20))
	require.EqualValues(t, 5, b.From())
	b.Take("stranger", honest)
	require.False(t, b.Ready())
	b.Take("c", report(5, 7, offer(6, 100, 10, 4, 1)))
	require.True(t, b.Ready())
	require.Equal(t, []link.OfferCount{offer(6, 100, 10, 4, 1)}, b.Settle(20), "three have passed window 7, not yet window 8")
	require.EqualValues(t, 7, b.From())
	require.Empty(t, b.Settle(20), "once")
	b.Take("d", report(5, 9, offer(6, 100, 10, 4, 1), offer(8, 120, 3, 0, 0)))
	require.Empty(t, b.Settle(8), "no window that the chain has not passed")
	require.Equal(t, []link.OfferCount{offer(8, 120, 3, 0, 0)}, b.Settle(20))

	b.Take("a", honest)
	b.Take("b", honest)
	b.Take("c", honest)
	require.Empty(t, b.Settle(20), "what was taken does not come back")
	require.EqualValues(t, 9, b.From())
}

// A window that half of the oracles did not see whole is left out; those after it are not.
func TestSettleLeavesHolesOut(t *testing.T) {
	b := NewBook(0)
	b.SetOracles(four)
	b.Take("a", report(0, 9, offer(3, 100, 10, 4, 1), offer(6, 100, 8, 2, 0)))
	b.Take("b", report(0, 9, offer(3, 100, 10, 4, 1), offer(6, 100, 8, 2, 0)))
	b.Take("c", report(5, 9, offer(6, 100, 8, 2, 0)))
	b.Take("d", report(5, 9))
	require.Equal(t, []link.OfferCount{offer(6, 100, 8, 2, 0)}, b.Settle(20))
	require.EqualValues(t, 9, b.From())
}

// An oracle that tells of a window again, as after it has reconnected, is believed the second time.
func TestTakesTheNewerWord(t *testing.T) {
	b := NewBook(0)
	b.SetOracles([]string{"a"})
	b.Take("a", report(0, 4, offer(2, 100, 1, 1, 0), offer(3, 100, 7, 1, 0), offer(3, 120, 1, 0, 0)))
	b.Take("a", report(3, 5, offer(3, 100, 9, 2, 1), offer(4, 100, 1, 0, 0)))
	require.Equal(t, []link.OfferCount{offer(2, 100, 1, 1, 0), offer(3, 100, 9, 2, 1), offer(4, 100, 1, 0, 0)}, b.Settle(20))
}

func TestForgetsOraclesThatLeft(t *testing.T) {
	b := NewBook(0)
	b.SetOracles([]string{"a", "b"})
	b.Take("a", report(0, 2, offer(1, 100, 1, 1, 0)))
	b.SetOracles([]string{"b"})
	require.False(t, b.Ready())
	b.Take("a", report(2, 4, offer(3, 100, 1, 1, 0)))
	b.Take("b", report(0, 4, offer(3, 100, 2, 1, 0)))
	require.Equal(t, []link.OfferCount{offer(3, 100, 2, 1, 0)}, b.Settle(100))
}

// Who may still tell is waited for, but not for ever; who says that it has seen nothing is not.
func TestSettleWaitsForWhoMayTell(t *testing.T) {
	b := NewBook(0)
	b.SetOracles(four)
	b.Take("a", report(0, 5, offer(3, 100, 10, 4, 1)))
	b.Take("b", report(0, 5, offer(3, 100, 10, 4, 1)))
	b.Take("c", report(4, 100))
	require.Empty(t, b.Settle(5))
	require.Zero(t, b.From(), "the fourth may know")
	b.Take("d", report(4, 5))
	require.Empty(t, b.Settle(5))
	require.EqualValues(t, 5, b.From(), "it does not")

	b = NewBook(0)
	b.SetOracles(four)
	b.Take("a", report(0, 200, offer(3, 100, 10, 4, 1), offer(180, 100, 9, 4, 1)))
	b.Take("b", report(0, 200, offer(3, 100, 10, 4, 1), offer(180, 100, 9, 4, 1)))
	b.Take("c", report(4, 200, offer(180, 100, 9, 4, 1)))
	require.Empty(t, b.Settle(3+patience))
	require.EqualValues(t, 3, b.From(), "of the windows before none told")
	require.Equal(t, []link.OfferCount{offer(180, 100, 9, 4, 1)}, b.Settle(200))
}

// Whatever links do, and whatever fewer than half of the oracles say, what is taken are the true counts, each once.
func TestSettleTakesTheTruthOnce(t *testing.T) {
	settled := 0
	rapid.Check(t, func(t *rapid.T) {
		truth := map[uint64][]link.OfferCount{}
		const windows = 30
		for w := range uint64(windows) {
			if rapid.Bool().Draw(t, "offers") {
				for _, price := range []uint64{100, 120}[:rapid.IntRange(1, 2).Draw(t, "prices")] {
					n := rapid.Uint32Range(1, 50).Draw(t, "offered")
					truth[w] = append(truth[w], offer(w, price, n, rapid.Uint32Range(0, n).Draw(t, "accepted"), rapid.Uint32Range(0, 9).Draw(t, "missed")))
				}
			}
		}
		of := func(from, until uint64) link.OffersReport {
			r := report(from, until)
			for w := from; w < until; w++ {
				r.Counts = append(r.Counts, truth[w]...)
			}
			return r
		}
		b := NewBook(0)
		b.SetOracles(four)
		told := map[string]uint64{}
		taken := map[[2]uint64]link.OfferCount{}
		settle := func(limit uint64) {
			for _, c := range b.Settle(limit) {
				key := [2]uint64{c.Window, c.Price}
				require.NotContains(t, taken, key)
				require.Less(t, c.Window, limit)
				require.Contains(t, truth[c.Window], c)
				taken[key] = c
				settled++
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"told": func(t *rapid.T) {
				id := rapid.SampledFrom(four[1:]).Draw(t, "oracle")
				if until := rapid.Uint64Range(told[id], windows).Draw(t, "until"); until > told[id] {
					b.Take(id, of(told[id], until))
					told[id] = until
				}
			},
			"lied": func(t *rapid.T) {
				from := rapid.Uint64Range(0, 2*windows).Draw(t, "from")
				until := rapid.Uint64Range(from, 3*windows).Draw(t, "until")
				lie := report(from, until)
				for w := from; w < until; w++ {
					lie.Counts = append(lie.Counts, offer(w, rapid.SampledFrom([]uint64{7, 100, 120}).Draw(t, "price"), 1<<20, 1<<20, 0))
				}
				b.Take("a", lie)
			},
			"reconnected": func(t *rapid.T) {
				id := rapid.SampledFrom(four[1:]).Draw(t, "oracle")
				told[id] = b.From()
			},
			"restarted": func(t *rapid.T) {
				b = NewBook(b.From())
				b.SetOracles(four)
				for _, id := range four {
					told[id] = b.From()
				}
			},
			"settled": func(t *rapid.T) { settle(rapid.Uint64Range(0, windows).Draw(t, "limit")) },
		})
		for _, id := range four[1:] {
			if from := max(told[id], b.From()); from < windows {
				b.Take(id, of(from, windows))
			}
		}
		settle(windows)
		for w := range uint64(windows) {
			for _, c := range truth[w] {
				require.Equal(t, c, taken[[2]uint64{w, c.Price}])
			}
		}
		require.EqualValues(t, windows, b.From())
	})
	require.NotZero(t, settled)
}

// An oracle that never stops telling takes a bounded part of the memory, and what it drops it has not told.
func TestBookIsBounded(t *testing.T) {
	b := NewBook(0)
	b.SetOracles([]string{"a", "b"})
	for i := range uint64(3 * maxCounts) {
		b.Take("a", report(2*i, 2*i+1, offer(2*i, 100, 1, 1, 0)))
	}
	v := b.oracles["a"]
	require.LessOrEqual(t, len(v.counts), maxCounts)
	require.LessOrEqual(t, len(v.spans), maxSpans)
	b.Take("b", report(0, 6*maxCounts))
	got := b.Settle(6 * maxCounts)
	require.Empty(t, got, "the lower of two is none")

	b = NewBook(0)
	b.SetOracles([]string{"a"})
	for i := range uint64(maxCounts + 10) {
		b.Take("a", report(i, i+1, offer(i, 100, 1, 1, 0)))
	}
	require.Len(t, b.Settle(2*maxCounts), maxSpans, "older spans were dropped")
}

func TestClassIsTheMedian(t *testing.T) {
	b := NewBook(0)
	b.SetOracles([]string{"a", "b", "c"})
	require.Empty(t, b.Class())
	tell := func(id string, class ...link.ClassCount) { b.Take(id, link.OffersReport{Class: class}) }
	tell("a", link.ClassCount{Price: 100, Offers: 10, Accepted: 5}, link.ClassCount{Price: 200, Offers: 1 << 40, Accepted: 1 << 40})
	tell("b", link.ClassCount{Price: 100, Offers: 12, Accepted: 4}, link.ClassCount{Price: 150, Offers: 3})
	tell("c", link.ClassCount{Price: 100, Offers: 11, Accepted: 11}, link.ClassCount{Price: 150, Offers: 5, Accepted: 1})
	require.True(t, b.Ready(), "a report without windows is a word, too")
	require.Equal(t, []pricing.Count{{Price: 100, Offers: 11, Accepted: 5}, {Price: 150, Offers: 3}}, b.Class())
	b.Take("a", report(0, 1))
	require.Len(t, b.Class(), 2, "later reports say nothing of the class")
	require.True(t, slices.IsSortedFunc(b.Class(), func(x, y pricing.Count) int { return int(x.Price) - int(y.Price) }))
}
