package oracle

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

const (
	// hintsKept is for how long an agent's word of a service is believed; agents say it every ten seconds.
	hintsKept = 45 * time.Second
	// dialLimit is how long a service may take to accept a connection, maxDials how many are under way at once.
	dialLimit = 2 * time.Second
	maxDials  = 64
)

// ward is one slice of a service that this oracle looks after.
type ward struct {
	attempt
	// node is the one whose agent says how the service is; empty if the oracles see for themselves.
	node     string
	provider string
	started  bool
	// address (host:port) of a TCP port of the service, empty if there is none.
	address string
}

// sight is how a service was at one look.
type sight int

const (
	sightUnknown sight = iota
	sightWell
	sightRunning // but not known to be healthy
	sightUnhealthy
	sightDown
)

// chart is what was seen of one ward since the last vote.
type chart struct {
	ward
	first  time.Time // when the ward came
	hint   link.ProgressState
	hinted time.Time
	last   sight
	seen   map[sight]int
}

// infirmary looks at the services on the grid from time to time: their agents say how they are, and this oracle knocks at their ports.
type infirmary struct {
	log *slog.Logger
	// list are the wards, knock opens a connection to an address.
	list  func(context.Context) ([]ward, error)
	knock func(ctx context.Context, address string) error

	mu     sync.Mutex
	charts map[attempt]*chart
	// answered is the last round that was answered, answer what was said: it is said again if it did not get through.
	answered uint64
	answer   jobstypes.ServiceObservation
}

func newInfirmary(w *Worker) *infirmary {
	return &infirmary{log: w.log, list: w.wards, knock: knock, charts: map[attempt]*chart{}}
}

// knock connects to a TCP port.
func knock(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// wards are the slices of services that are on nodes.
func (w *Worker) wards(ctx context.Context) ([]ward, error) {
	queries := jobstypes.NewQueryClient(w.cfg.Chain.Latest())
	running, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QueryServicesResponse, error) {
		return queries.Services(ctx, &jobstypes.QueryServicesRequest{Pagination: page})
	}, func(r *jobstypes.QueryServicesResponse) []jobstypes.RunningSlice { return r.Services })
	if err != nil {
		return nil, err
	}
	list := make([]jobstypes.Slice, len(running))
	for i, r := range running {
		list[i] = r.Slice
	}
	if err := w.nurses.round(ctx, list); err != nil {
		return nil, err
	}
	var out []ward
	for _, s := range list {
		at, err := w.nurses.onNomad(ctx, s)
		if err != nil {
			return nil, err
		}
		wd := ward{
			attempt: attempt{s.JobId, s.Number, s.Attempt}, node: s.NodeId, provider: s.Provider, started: s.Serving.StartedTime > 0,
		}
		if at.served {
			wd.node = ""
		}
		tcp := slices.IndexFunc(s.Serving.Ports, func(p jobstypes.Port) bool { return p.Protocol == jobstypes.PROTOCOL_TCP })
		if tcp >= 0 {
			host, err := w.nodes.address(ctx, s.NodeId)
			if err != nil {
				return nil, err
			}
			wd.address = net.JoinHostPort(host, strconv.Itoa(int(s.Serving.Ports[tcp].HostPort)))
		}
		out = append(out, wd)
	}
	return out, nil
}

// note takes an agent's word; that of a stranger, or of a service that is none, is not kept.
func (f *infirmary) note(node string, p link.Progress, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.charts[attempt{p.JobID, p.Slice, p.Attempt}]; c != nil && c.node != "" && c.node == node {
		c.hint, c.hinted = p.State, now
	}
}

// observe takes what this oracle has seen itself of a service that no agent runs.
func (f *infirmary) observe(a attempt, state link.ProgressState, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.charts[a]; c != nil && c.node == "" {
		c.hint, c.hinted = state, now
	}
}

// run looks at all wards every so often until the context ends.
func (f *infirmary) run(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := f.visit(ctx, time.Now); err != nil && ctx.Err() == nil {
			f.log.Warn("the services cannot be read; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// visit looks at each ward once.
func (f *infirmary) visit(ctx context.Context, now func() time.Time) error {
	wards, err := f.list(ctx)
	if err != nil {
		return err
	}
	f.admit(wards, now())
	doors := make([]error, len(wards))
	g, dialing := errgroup.WithContext(ctx)
	g.SetLimit(maxDials)
	for i, w := range wards {
		if w.address != "" {
			g.Go(func() error { doors[i] = f.knock(dialing, w.address); return nil })
		}
	}
	if err := g.Wait(); err != nil || ctx.Err() != nil {
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, w := range wards {
		if c := f.charts[w.attempt]; c != nil {
			c.last = c.look(now(), doors[i])
			c.seen[c.last]++
		}
	}
	return nil
}

// admit opens charts of wards that are new and closes those of wards that have gone.
func (f *infirmary) admit(wards []ward, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	here := map[attempt]bool{}
	for _, w := range wards {
		here[w.attempt] = true
		c := f.charts[w.attempt]
		if c == nil {
			c = &chart{first: now, seen: map[sight]int{}}
			f.charts[w.attempt] = c
		}
		c.ward = w
	}
	for a := range f.charts {
		if !here[a] {
			delete(f.charts, a)
		}
	}
}

// look judges by the agent's word and the closed or open door. A service that its agent calls healthy but that cannot be reached is not
// there for those who pay for it.
func (c *chart) look(now time.Time, door error) sight {
	heard := !c.hinted.IsZero() && now.Sub(c.hinted) <= hintsKept
	switch {
	case !heard && now.Sub(c.first) <= hintsKept:
		return sightUnknown // this oracle may just have begun
	case !heard, c.hint == link.ProgressDown:
		return sightDown
	case c.hint == link.ProgressUnhealthy:
		return sightUnhealthy
	case door != nil:
		return sightDown
	case c.hint == link.ProgressServing:
		return sightWell
	}
	return sightRunning
}

// round is what this oracle says of the epoch that has ended; after it the next one begins.
func (f *infirmary) round(id uint64, operator string) (jobstypes.ServiceObservation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id == f.answered {
		return f.answer, nil
	}
	var o jobstypes.ServiceObservation
	knocked, closed := 0, 0
	for _, c := range f.charts {
		most := c.most()
		if c.address != "" && most != sightUnknown {
			knocked++
			if most == sightDown {
				closed++
			}
		}
		clear(c.seen)
		item := jobstypes.ServiceItem{JobId: c.job, Slice: c.slice, Attempt: c.attempt.attempt}
		switch {
		case c.provider == operator: // others judge it
		case most == sightDown:
			o.NotRunning = append(o.NotRunning, item)
		case most == sightUnhealthy:
			o.Unhealthy = append(o.Unhealthy, item)
		case !c.started && c.last == sightWell:
			o.Started = append(o.Started, item)
		}
	}
	if knocked >= suspicionFloor && 2*closed > knocked {
		return o, fmt.Errorf("%w: %d of %d services cannot be reached, so it is more likely that this oracle is cut off", errAbstain, closed, knocked)
	}
	for _, list := range []*[]jobstypes.ServiceItem{&o.NotRunning, &o.Unhealthy, &o.Started} {
		slices.SortFunc(*list, jobstypes.CompareServiceItems)
		*list = (*list)[:min(len(*list), jobstypes.MaxServiceItems)]
	}
	f.answered, f.answer = id, o
	return o, nil
}

// most is how the service was at more than half of the looks that showed anything, sightRunning if it was now so and now so.
func (c *chart) most() sight {
	all := 0
	for _, s := range []sight{sightWell, sightRunning, sightUnhealthy, sightDown} {
		all += c.seen[s]
	}
	if all == 0 {
		return sightUnknown
	}
	for _, s := range []sight{sightWell, sightUnhealthy, sightDown} {
		if 2*c.seen[s] > all {
			return s
		}
	}
	return sightRunning
}

// answerServices votes for what was seen of services since the last vote.
func (w *Worker) answerServices(ctx context.Context, round oracletypes.Round) error {
	o, err := w.infirmary.round(round.Id, w.cfg.Operator)
	if err != nil {
		return err
	}
	body, err := o.Marshal()
	if err != nil {
		return err
	}
	if len(o.NotRunning)+len(o.Unhealthy)+len(o.Started) > 0 {
		w.log.Info("services", "round", round.Id, "not_running", len(o.NotRunning), "unhealthy", len(o.Unhealthy), "started", len(o.Started))
	}
	return settled(w.voter.cast(ctx, oracletypes.Vote{RoundId: round.Id, Body: body}, 0))
}
