package link

import "github.com/foggrid/fogd/offchain/link/linkpb"

// OffersWindow is how many heights of snapshots make a window of offers. It is the same everywhere, so that a window of one oracle can be
// held against that of another.
const OffersWindow = 64

// WindowOf is the window of a height.
func WindowOf(height int64) uint64 { return uint64(max(height, 0)) / OffersWindow }

const (
	// MaxOfferCounts and MaxClassCounts are the most of one report.
	MaxOfferCounts = 512
	MaxClassCounts = 256

	maxOffers      = 1 << 24 // in a window
	maxClassOffers = 1 << 48
)

// OffersReport is what the matching offered to a node in the windows from From up to, and without, Until, which the oracle has seen
// whole. Windows without counts had no offers.
type OffersReport struct {
	From, Until uint64
	// Counts by increasing window, then price.
	Counts []OfferCount
	// Class is what was offered to nodes of the node's class of late, by increasing price.
	Class []ClassCount
}

// OfferCount is what was offered to a node that asked a lead price (pricing.Mix) of Price ufog; see match.Offers.
type OfferCount struct {
	Window, Price             uint64
	Offered, Accepted, Missed uint32
}

// ClassCount is what was offered to nodes about a price; Offers hold what they missed, too.
type ClassCount struct{ Price, Offers, Accepted uint64 }

// Validate checks the form of a report, not its truth.
func (r OffersReport) Validate() error {
	switch {
	case r.From > r.Until:
		return malformed("offers of windows from %d to before %d", r.From, r.Until)
	case len(r.Counts) > MaxOfferCounts, len(r.Class) > MaxClassCounts:
		return malformed("offers with %d counts and %d of the class; send at most %d and %d", len(r.Counts), len(r.Class), MaxOfferCounts, MaxClassCounts)
	}
	for i, c := range r.Counts {
		switch {
		case c.Window < r.From || c.Window >= r.Until:
			return malformed("offers of window %d in a report from %d to before %d", c.Window, r.From, r.Until)
		case i > 0 && (c.Window < r.Counts[i-1].Window || c.Window == r.Counts[i-1].Window && c.Price <= r.Counts[i-1].Price):
			return malformed("offers of window %d, price %d, out of order; send them by increasing window, then price", c.Window, c.Price)
		case c.Accepted > c.Offered || c.Offered > maxOffers || c.Missed > maxOffers:
			return malformed("%d of %d offers accepted, %d missed", c.Accepted, c.Offered, c.Missed)
		}
	}
	for i, c := range r.Class {
		switch {
		case i > 0 && c.Price <= r.Class[i-1].Price:
			return malformed("the class's offers at price %d out of order; send them by increasing price", c.Price)
		case c.Accepted > c.Offers || c.Offers > maxClassOffers:
			return malformed("%d of the class's %d offers accepted", c.Accepted, c.Offers)
		}
	}
	return nil
}

// OffersTaker is who an agent collects offers for; it is called by the links of all oracles at once.
type OffersTaker interface {
	// From is the first window that is lacking.
	From() uint64
	// Take gets a report whose form was checked.
	Take(oracleID string, report OffersReport)
}

func offersToProto(r OffersReport) *linkpb.OracleMessage {
	m := &linkpb.OffersReport{From: r.From, Until: r.Until}
	for _, c := range r.Counts {
		m.Counts = append(m.Counts, &linkpb.OfferCount{
			Window: c.Window, Price: c.Price, Offered: c.Offered, Accepted: c.Accepted, Missed: c.Missed,
		})
	}
	for _, c := range r.Class {
		m.Class = append(m.Class, &linkpb.ClassCount{Price: c.Price, Offers: c.Offers, Accepted: c.Accepted})
	}
	return &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Offers{Offers: m}}
}

func offersFromProto(m *linkpb.OffersReport) (OffersReport, error) {
	r := OffersReport{From: m.GetFrom(), Until: m.GetUntil()}
	for _, c := range m.GetCounts() {
		r.Counts = append(r.Counts, OfferCount{
			Window: c.GetWindow(), Price: c.GetPrice(), Offered: c.GetOffered(), Accepted: c.GetAccepted(), Missed: c.GetMissed(),
		})
	}
	for _, c := range m.GetClass() {
		r.Class = append(r.Class, ClassCount{Price: c.GetPrice(), Offers: c.GetOffers(), Accepted: c.GetAccepted()})
	}
	return r, r.Validate()
}

// SendOffers queues a report for the agent, which must have asked for it. An agent that does not read its messages is dropped.
func (s *Session) SendOffers(r OffersReport) error {
	if err := r.Validate(); err != nil {
		return err
	}
	s.post(offersToProto(r))
	return nil
}

// takeOffersRequest passes the request on, once a stream: an answer is much larger than its question.
func (s *Session) takeOffersRequest(m *linkpb.OffersRequest) error {
	handler := s.server.opts.Handlers.Offers
	if handler == nil || s.offersAsked {
		return malformed("a request for offers that this oracle does not serve, or a second one")
	}
	s.offersAsked = true
	handler(s, m.GetFrom())
	return nil
}

// askOffers asks the oracle of a new stream, if it answers and somebody wants to know.
func (s *agentStream) askOffers(welcome *linkpb.Welcome) {
	taker := s.client.opts.Offers
	if taker == nil || !welcome.GetOffers() {
		return
	}
	s.offersAsked, s.offersFrom = true, taker.From()
	s.send(&linkpb.AgentMessage{Body: &linkpb.AgentMessage_Offers{Offers: &linkpb.OffersRequest{From: s.offersFrom}}})
}

func (s *agentStream) takeOffers(m *linkpb.OffersReport) error {
	if !s.offersAsked {
		return malformed("offers that nobody asked for")
	}
	r, err := offersFromProto(m)
	if err != nil {
		return err
	}
	if r.From < s.offersFrom {
		return malformed("offers of window %d after those before %d", r.From, s.offersFrom)
	}
	s.offersFrom = r.Until
	s.client.opts.Offers.Take(s.client.opts.OracleID, r)
	return nil
}
