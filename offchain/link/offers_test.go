package link

import (
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/foggrid/fogd/offchain/link/linkpb"
)

// collector takes offers as an agent does: what it has, it does not ask for again.
type collector struct {
	mu      sync.Mutex
	from    uint64
	asked   int
	reports []OffersReport
}

func (c *collector) From() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return c.from
}

func (c *collector) Take(_ string, r OffersReport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from = r.Until
	c.reports = append(c.reports, r)
}

func (c *collector) taken() []OffersReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reports
}

func testOffers(from, until uint64) OffersReport {
	return OffersReport{
		From: from, Until: until,
		Counts: []OfferCount{{Window: from, Price: 7, Offered: 3, Accepted: 2, Missed: 1}, {Window: from, Price: 9, Missed: 4}},
	}
}

func TestOffersFromWhereTheyEnded(t *testing.T) {
	asked := make(chan uint64, 10)
	s, addr := startOracle(t, func(o *ServerOptions) {
		o.Handlers.Offers = func(s *Session, from uint64) {
			asked <- from
			first := testOffers(from, from+2)
			first.Class = []ClassCount{{Price: 5, Offers: 100, Accepted: 40}, {Price: 6, Offers: 90, Accepted: 30}}
			if err := s.SendOffers(first); err != nil {
				t.Error(err)
			}
		}
	})
	var got collector
	opts := agentOptions(t, addr)
	opts.Offers = &got
	runAgent(t, opts)
	session := sessionOf(t, s, testNode)
	require.Zero(t, <-asked)
	require.NoError(t, session.SendOffers(testOffers(2, 5)))
	require.ErrorIs(t, session.SendOffers(testOffers(5, 4)), ErrMalformed)
	eventually(t, "no offers", func() bool { return len(got.taken()) == 2 })
	want := testOffers(0, 2)
	want.Class = []ClassCount{{Price: 5, Offers: 100, Accepted: 40}, {Price: 6, Offers: 90, Accepted: 30}}
	require.Equal(t, []OffersReport{want, testOffers(2, 5)}, got.taken())

	session.Drop("lost")
	require.EqualValues(t, 5, <-asked, "what the agent has is not asked for again")
	eventually(t, "no offers after the loss", func() bool { return len(got.taken()) == 3 })
}

// An oracle of an earlier release, or one that does not count, is not asked: it would take the request for a breach.
func TestOffersAreNotAskedOfWhoHasNone(t *testing.T) {
	s, addr := startOracle(t, nil)
	var got collector
	opts := agentOptions(t, addr)
	opts.Offers = &got
	c, _ := runAgent(t, opts)
	_, err := sessionOf(t, s, testNode).Ping(t.Context())
	require.NoError(t, err)
	require.True(t, c.State().Connected)
	require.Zero(t, got.asked)
}

func TestHostileOfferRequests(t *testing.T) {
	request := &linkpb.AgentMessage{Body: &linkpb.AgentMessage_Offers{Offers: &linkpb.OffersRequest{From: 1}}}
	serve := func(o *ServerOptions) { o.Handlers.Offers = func(*Session, uint64) {} }
	for name, c := range map[string]struct {
		change func(*ServerOptions)
		times  int
	}{"twice": {serve, 2}, "of an oracle that does not serve them": {nil, 1}} {
		t.Run(name, func(t *testing.T) {
			_, addr := startOracle(t, c.change)
			a := connectRaw(t, addr)
			for range c.times {
				a.send(request)
			}
			require.Equal(t, codes.InvalidArgument, status.Code(a.dropped()))
		})
	}
}

// An agent leaves an oracle whose offers break their form, and takes none of them.
func TestHostileOffers(t *testing.T) {
	for name, change := range map[string]func(*OffersReport){
		"before what was asked for": func(r *OffersReport) { r.From = 2 },
		"backwards":                 func(r *OffersReport) { r.Until = 2 },
		"outside of their windows":  func(r *OffersReport) { r.Counts[1].Window = 5 },
		"before their windows":      func(r *OffersReport) { r.Counts[0].Window = 2 },
		"the same price twice":      func(r *OffersReport) { r.Counts[1].Price = 7 },
		"windows out of order":      func(r *OffersReport) { r.Counts[0].Window = 4 },
		"more accepted than made":   func(r *OffersReport) { r.Counts[0].Accepted = 4 },
		"too many":                  func(r *OffersReport) { r.Counts[0].Missed = maxOffers + 1 },
		"a long list":               func(r *OffersReport) { r.Class = make([]ClassCount, MaxClassCounts+1) },
		"a class out of order":      func(r *OffersReport) { r.Class = []ClassCount{{Price: 1}, {Price: 1}} },
		"a class that takes more":   func(r *OffersReport) { r.Class = []ClassCount{{Accepted: 1}} },
	} {
		t.Run(name, func(t *testing.T) {
			bad := testOffers(3, 5)
			change(&bad)
			addr := startRawOracle(t, func(stream linkpb.Link_ConnectServer) error {
				if err := stream.Send(&linkpb.OracleMessage{Body: &linkpb.OracleMessage_Welcome{
					Welcome: &linkpb.Welcome{Protocol: 1, OracleId: testOracle, Offers: true},
				}}); err != nil {
					return err
				}
				if _, err := stream.Recv(); err != nil { // the request
					return err
				}
				if err := stream.Send(offersToProto(bad)); err != nil {
					return err
				}
				<-stream.Context().Done()
				return errScriptOver
			})
			got := collector{from: 3}
			opts := agentOptions(t, addr)
			opts.Offers = &got
			c, _ := runAgent(t, opts)
			eventually(t, "the oracle is not left", func() bool { return c.State().LastError != nil })
			require.ErrorIs(t, c.State().LastError, ErrMalformed)
			require.Empty(t, got.taken())
		})
	}
}

func TestWindowOf(t *testing.T) {
	for height, want := range map[int64]uint64{-1: 0, 0: 0, OffersWindow - 1: 0, OffersWindow: 1, 10*OffersWindow + 5: 10} {
		require.Equal(t, want, WindowOf(height))
	}
}

// FuzzOffers: whatever an oracle sends, the agent gets offers that are in order and the same after a round trip, or none.
func FuzzOffers(f *testing.F) {
	seed := testOffers(1, 3)
	seed.Class = []ClassCount{{Price: 5, Offers: 2, Accepted: 1}}
	for _, r := range []OffersReport{seed, {}, {From: 1<<64 - 1, Until: 1<<64 - 1}} {
		b, err := offersToProto(r).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var m linkpb.OracleMessage
		if m.Unmarshal(b) != nil || m.GetOffers() == nil {
			return
		}
		r, err := offersFromProto(m.GetOffers())
		if err != nil {
			return
		}
		for _, c := range r.Counts {
			if c.Window < r.From || c.Window >= r.Until || c.Accepted > c.Offered {
				t.Fatalf("%+v of %+v", c, r)
			}
		}
		if again, err := offersFromProto(offersToProto(r).GetOffers()); err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v came back as %+v, %v", r, again, err)
		}
	})
}
