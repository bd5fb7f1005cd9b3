package oracle

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/link"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

var errClosed = errors.New("nobody is at home")

// hospital is an infirmary with wards and doors that a test opens and closes.
type hospital struct {
	*infirmary
	wards []ward
	doors map[string]error
	clock time.Time
	next  uint64
}

func newHospital(wards ...ward) *hospital {
	h := &hospital{wards: wards, doors: map[string]error{}, clock: time.Unix(1_700_000_000, 0)}
	h.infirmary = &infirmary{
		log: slog.New(slog.DiscardHandler), charts: map[attempt]*chart{},
		list:  func(context.Context) ([]ward, error) { return h.wards, nil },
		knock: func(_ context.Context, address string) error { return h.doors[address] },
	}
	return h
}

func testWard(i byte, address string) ward {
	job := escrowtypes.ID{19: i}.Bech32(jobstypes.JobHRP)
	return ward{attempt: attempt{job, uint32(i), 1}, node: "node", provider: "provider", address: address}
}

func (h *hospital) says(w ward, state link.ProgressState) {
	h.note(w.node, link.Progress{JobID: w.job, Slice: w.slice, Attempt: w.attempt.attempt, State: state}, h.clock)
}

// look passes some seconds and then visits.
func (h *hospital) look(t require.TestingT, times int) {
	for range times {
		h.clock = h.clock.Add(5 * time.Second)
		require.NoError(t, h.visit(context.Background(), func() time.Time { return h.clock }))
	}
}

func (h *hospital) vote(t require.TestingT) jobstypes.ServiceObservation {
	h.next++
	o, err := h.round(h.next, "operator")
	require.NoError(t, err)
	require.NoError(t, o.Validate())
	return o
}

func item(w ward) []jobstypes.ServiceItem {
	return []jobstypes.ServiceItem{{JobId: w.job, Slice: w.slice, Attempt: w.attempt.attempt}}
}

// TestOwnSight: of a service that is on Nomad this oracle believes itself, and no agent.
func TestOwnSight(t *testing.T) {
	w := testWard(1, "host:1")
	w.node = ""
	h := newHospital(w)
	h.look(t, 1)
	h.says(w, link.ProgressServing)
	h.note("node", link.Progress{JobID: w.job, Slice: w.slice, Attempt: w.attempt.attempt, State: link.ProgressServing}, h.clock)
	h.look(t, 2)
	require.Equal(t, jobstypes.ServiceObservation{}, h.vote(t))
	h.observe(w.attempt, link.ProgressServing, h.clock)
	h.look(t, 1)
	require.Equal(t, jobstypes.ServiceObservation{Started: item(w)}, h.vote(t))
	h.look(t, 20)
	require.Equal(t, item(w), h.vote(t).NotRunning, "what was seen long ago is not seen")
}

func TestServiceThatStartsIsNamedUntilTheChainKnows(t *testing.T) {
	w := testWard(1, "host:1")
	h := newHospital(w)
	h.look(t, 1)
	require.Equal(t, jobstypes.ServiceObservation{}, h.vote(t), "nothing was heard yet")
	h.says(w, link.ProgressRunning)
	h.look(t, 3)
	require.Equal(t, jobstypes.ServiceObservation{}, h.vote(t), "it runs, but is not known to be healthy")
	h.says(w, link.ProgressServing)
	h.look(t, 1)
	require.Equal(t, jobstypes.ServiceObservation{Started: item(w)}, h.vote(t))
	again, err := h.round(h.next, "operator")
	require.NoError(t, err)
	require.Equal(t, item(w), again.Started, "the same round has the same answer")
	h.wards[0].started = true
	h.look(t, 1)
	require.Equal(t, jobstypes.ServiceObservation{}, h.vote(t))
}

func TestServiceThatCannotBeReachedDoesNotRun(t *testing.T) {
	w := testWard(1, "host:1")
	h := newHospital(w)
	h.doors["host:1"] = errClosed
	h.look(t, 1)
	h.says(w, link.ProgressServing)
	h.look(t, 3)
	require.Equal(t, jobstypes.ServiceObservation{NotRunning: item(w)}, h.vote(t), "whatever its agent says")
	h.doors["host:1"] = nil
	h.look(t, 4)
	h.doors["host:1"] = errClosed
	h.look(t, 3)
	h.says(w, link.ProgressServing)
	require.Empty(t, h.vote(t).NotRunning, "it was there most of the time")
	h.doors["host:1"] = nil
	h.says(w, link.ProgressUnhealthy)
	h.look(t, 1)
	require.Equal(t, jobstypes.ServiceObservation{Unhealthy: item(w)}, h.vote(t))
	h.clock = h.clock.Add(hintsKept)
	h.look(t, 1)
	require.Equal(t, jobstypes.ServiceObservation{NotRunning: item(w)}, h.vote(t), "its agent has gone silent")
}

func TestStrangersAndOwnNodesDoNotCount(t *testing.T) {
	w := testWard(1, "")
	h := newHospital(w)
	h.look(t, 1)
	h.note("another node", link.Progress{JobID: w.job, Slice: w.slice, Attempt: 1, State: link.ProgressServing}, h.clock)
	h.note(w.node, link.Progress{JobID: w.job, Slice: w.slice, Attempt: 2, State: link.ProgressServing}, h.clock)
	h.look(t, 1)
	require.Equal(t, jobstypes.ServiceObservation{}, h.vote(t))
	h.says(w, link.ProgressServing)
	h.wards[0].provider = "operator"
	h.look(t, 1)
	require.Equal(t, jobstypes.ServiceObservation{}, h.vote(t))
	h.wards = nil
	h.look(t, 1)
	require.Empty(t, h.charts, "nothing is remembered of what has gone")
}

func TestOracleThatReachesNothingSuspectsItself(t *testing.T) {
	h := newHospital(testWard(1, "a:1"), testWard(2, "b:1"), testWard(3, "c:1"), testWard(4, "d:1"))
	h.look(t, 1)
	for i, w := range h.wards {
		h.says(w, link.ProgressServing)
		if i > 0 {
			h.doors[w.address] = errClosed
		}
	}
	h.look(t, 3)
	_, err := h.round(1, "operator")
	require.ErrorIs(t, err, errAbstain)
	h.doors["b:1"] = nil
	h.look(t, 3)
	require.Len(t, h.vote(t).NotRunning, 2)
}

// Whatever happens, a vote is one that the chain takes, and names as failed only what failed at more than half of the looks.
func TestVotesOnServicesAreTheirDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wards []ward
		for i := range byte(3) {
			wards = append(wards, testWard(i, rapid.SampledFrom([]string{"", "host:1"}).Draw(t, "address")))
		}
		h := newHospital(wards...)
		h.look(t, 1)
		bad, all := map[string]int{}, map[string]int{}
		states, looked := map[string]link.ProgressState{}, map[string]link.ProgressState{}
		t.Repeat(map[string]func(*rapid.T){
			"hint": func(t *rapid.T) {
				w := rapid.SampledFrom(wards).Draw(t, "ward")
				states[w.job] = link.ProgressState(rapid.Uint32Range(uint32(link.ProgressStarted), uint32(link.ProgressDown)).Draw(t, "state"))
				h.says(w, states[w.job])
			},
			"door": func(t *rapid.T) {
				h.doors["host:1"] = rapid.SampledFrom([]error{nil, errClosed}).Draw(t, "door")
			},
			"look": func(t *rapid.T) {
				for _, w := range wards {
					if state, heard := states[w.job]; heard {
						h.says(w, state) // agents repeat themselves
						looked[w.job] = state
						all[w.job]++
						failed := state == link.ProgressDown || state == link.ProgressUnhealthy
						if failed || w.address != "" && h.doors[w.address] != nil {
							bad[w.job]++
						}
					}
				}
				h.clock = h.clock.Add(-5 * time.Second) // the clock stands, so that nobody is forgotten
				h.look(t, 1)
			},
			"vote": func(t *rapid.T) {
				o := h.vote(t)
				for _, named := range append(o.NotRunning, o.Unhealthy...) {
					require.Greater(t, 2*bad[named.JobId], all[named.JobId])
				}
				for _, named := range o.Started {
					require.Equal(t, link.ProgressServing, looked[named.JobId])
				}
				clear(bad)
				clear(all)
			},
		})
	})
}
