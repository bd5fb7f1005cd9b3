package cmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/nodeclient"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// nodeHealth is how a node stands with the rules that could jail it.
type nodeHealth struct {
	// Uptime of the window in thousandths, and the least that is asked for. Announced hours count as up.
	Uptime    uint64 `json:"uptime_thousandths"`
	MinUptime uint64 `json:"min_uptime_thousandths"`
	// Away is for how many seconds of the window the node was away unannounced, AwayLeft how many more it may be.
	Away     int64 `json:"away_seconds"`
	AwayLeft int64 `json:"away_left_seconds"`
	// Transitions to INACTIVE that count in the window; with JailTransitions of them it is jailed.
	Transitions     int   `json:"transitions"`
	JailTransitions int   `json:"jail_transitions"`
	Window          int64 `json:"window_seconds"`
	// Next is what would jail it next, in words.
	Next string `json:"next"`
	// Benchmark says when the machine is measured next.
	Benchmark string `json:"benchmark"`
}

func healthOf(n nodestypes.Node, p nodestypes.Params, now int64) nodeHealth {
	window := int64(p.TransitionWindow)
	h := nodeHealth{
		MinUptime: uint64(p.MinUptimePercent) * 10, Away: n.Away(now, p), Transitions: n.Transitions(now, p), JailTransitions: int(p.JailTransitions),
		Window: window, Benchmark: nextBenchmark(n, now),
	}
	h.Uptime = uint64((window - h.Away) * 1000 / window)
	h.AwayLeft = max(0, p.MostAway()-h.Away)
	switch left := h.JailTransitions - h.Transitions; {
	case n.Status == nodestypes.NODE_STATUS_JAILED:
		h.Next = "it is jailed: " + n.JailReason
	case !n.Status.Live():
	case left <= 1:
		h.Next = "going down once more, unannounced"
	default:
		h.Next = fmt.Sprintf("going down %d times more within %s, or being away for %s more, unannounced", left, span(window), span(h.AwayLeft))
	}
	return h
}

func nextBenchmark(n nodestypes.Node, now int64) string {
	switch {
	case !n.Status.Live():
		return ""
	case n.BenchmarkUntil > now:
		return "under way, until " + when(n.BenchmarkUntil) + " at the latest"
	case n.Status == nodestypes.NODE_STATUS_JAILED && n.Condemned && n.Offences > 1:
		return "none: jailed for good"
	case n.BenchmarkPending && n.Status == nodestypes.NODE_STATUS_JAILED:
		return "when its owner asks for it (fog node resume)"
	case n.BenchmarkPending:
		return "after the joint benchmark of its owner's nodes, if one is under way; otherwise when its owner asks for it (fog node resume)"
	}
	return "when the agent starts again, or more is declared"
}

func span(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int64(d/(24*time.Hour)))
	}
	return d.String()
}

// nodeLimits are what the node's grade and hours let it do.
type nodeLimits struct {
	Grade string `json:"grade"`
	// Takes and Lacks are profiles of jobs for which the network is good enough, and not.
	Takes []string `json:"takes"`
	Lacks []string `json:"lacks"`
	// Services says whether the node is there for enough of the week to take services.
	Services bool `json:"services"`
}

func limitsOf(n nodestypes.Node, p jobstypes.Params) nodeLimits {
	l := nodeLimits{Grade: n.Grade.Letter(), Takes: []string{}, Lacks: []string{}, Services: p.TakesServices(n)}
	for profile := range jobstypes.Profile_name {
		kind := jobstypes.Profile(profile)
		switch {
		case kind == jobstypes.PROFILE_UNSPECIFIED:
		case n.Grade >= p.ProfileGrade(kind):
			l.Takes = append(l.Takes, jobfile.ProfileName(kind))
		default:
			l.Lacks = append(l.Lacks, jobfile.ProfileName(kind))
		}
	}
	slices.Sort(l.Takes)
	slices.Sort(l.Lacks)
	return l
}

// String is what the node takes, in words.
func (l nodeLimits) String() string {
	text := strings.Join(l.Takes, ", ")
	if len(l.Lacks) > 0 {
		text += "; its network is not good enough for " + strings.Join(l.Lacks, ", ")
	}
	if !l.Services {
		text += "; no services, as it is offline for too much of the week"
	}
	return text
}

// nodeEarnings are what a node has earned and what lies in its owner's account.
type nodeEarnings struct {
	// Paid since the registration: the chain keeps no shorter times.
	Paid uint64 `json:"paid_since_registration"`
	// Collateral of the work that runs on the node, Deposit of the node; both are locked in the account.
	Collateral uint64 `json:"collateral"`
	Deposit    uint64 `json:"deposit"`
	// Of all nodes of the owner.
	Account      string `json:"account"`
	Balance      uint64 `json:"balance"`
	Locked       uint64 `json:"locked"`
	Withdrawable uint64 `json:"withdrawable"`
}

// readStanding fills in what the chain says of a node besides its record.
func (v *nodeView) readStanding(ctx context.Context, ch *chain.Client, now time.Time) error {
	c := &nodeclient.Client{Chain: ch}
	p, err := c.Params(ctx)
	if err != nil {
		return err
	}
	jobs, err := jobstypes.NewQueryClient(ch.Latest()).Params(ctx, &jobstypes.QueryParamsRequest{})
	if err != nil {
		return err
	}
	account, err := c.Account(ctx, v.node.Owner)
	if err != nil {
		return err
	}
	if v.Oracles.Liveness, err = c.Sightings(ctx, v.node); err != nil {
		return err
	}
	if v.Oracles.Benchmark, err = c.Measurements(ctx, v.node); err != nil {
		return err
	}
	v.Health, v.Limits, v.Hours = healthOf(v.node, p, now.Unix()), limitsOf(v.node, jobs.Params), viewHours(v.node, now)
	v.Earnings = nodeEarnings{
		Paid: v.node.Statistics.Paid, Deposit: v.node.Deposit, Account: account.Id, Balance: account.Balance, Locked: account.Locked, Withdrawable: account.Free(),
	}
	for _, s := range v.running {
		v.Earnings.Collateral += s.Collateral
	}
	return nil
}

// nodeOracles is what the oracles said of a node in their newest votes, as long as the chain remembers those.
type nodeOracles struct {
	Liveness  []nodeclient.Sighting    `json:"liveness"`
	Benchmark []nodeclient.Measurement `json:"benchmark"`
}

// standing are names and values of how a node stands.
func (v nodeView) standing() []string {
	h, e := v.Health, v.Earnings
	return []string{
		"takes", v.Limits.String(), "hours", v.Hours.String(),
		"uptime", fmt.Sprintf("%s of %s, at least %s; %d of %d times down", perMille(uint32(h.Uptime)), span(h.Window), perMille(uint32(h.MinUptime)), h.Transitions, h.JailTransitions),
		"would jail it", h.Next, "measured next", h.Benchmark,
		"earned", fmt.Sprintf("%s since registration; %s can be withdrawn from %s", fog(e.Paid), fog(e.Withdrawable), e.Account),
		"locked", fmt.Sprintf("%s deposit, %s collateral of what runs", fog(e.Deposit), fog(e.Collateral)),
	}
}

// printOracles shows what each oracle said.
func printOracles(w io.Writer, o nodeOracles) error {
	rows := [][]string{{"ORACLE", "SAYS", "LAST VOTE", "NAMED IT", "WHY"}}
	for _, s := range o.Liveness {
		why := ""
		if s.Network != nil {
			why = fmt.Sprintf("round trip %.1f ms, jitter %.1f ms, %.2f %% lost", float64(s.Network.RttUs)/1000, float64(s.Network.JitterUs)/1000, float64(s.Network.LossPpm)/10_000)
		}
		if s.Boot != "" {
			why = strings.TrimPrefix(why+"; the agent was started again", "; ")
		}
		rows = append(rows, []string{s.Oracle, s.Says, when(s.Time), when(s.Named), why})
	}
	if len(rows) > 1 {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		if err := table(w, rows); err != nil {
			return err
		}
	}
	rows = [][]string{{"ORACLE", "MEASURED", "ONE CORE", "ALL CORES", "MEMORY MiB", "DISK MiB/s"}}
	for _, m := range o.Benchmark {
		b := m.Measured
		row := []string{m.Oracle, when(m.Time), num(b.CpuSingle), num(b.CpuAll), num(b.MemoryMib), num(b.DiskRead)}
		if !m.Reached {
			row = []string{m.Oracle, when(m.Time), "not reached"}
		}
		rows = append(rows, row)
	}
	if len(rows) == 1 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return table(w, rows)
}
