package keeper_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cosmossdk.io/collections"

	"github.com/foggrid/fogd/x/oracle/types"
)

// cast is a vote as the model remembers it.
type cast struct {
	claim string
	meter uint64
	body  bool
}

// asked is a round as the model remembers it.
type asked struct {
	kind     string
	members  []string
	quorum   int
	deadline int64
	votes    map[int]cast
	// said is how the round ended, once it has.
	said types.RoundStatus
}

// machine drives the module with random votes, liars among them, and compares it with a model after each block.
type machine struct {
	c        *chain
	rounds   map[uint64]*asked
	subjects int
	executed uint64
}

func TestMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "oracles")
		m := &machine{rounds: map[uint64]*asked{}}
		m.c = withOracles(t, n, func(p *types.Params) {
			p.MinBond, p.UnbondingTime, p.MaxReportsPerBlock, p.VoteGrace = 1_000_000, 20, 3, 4
			p.Epoch, p.MissWindow, p.MaxMissed, p.DowntimeJail, p.RoundRetention = 8, 4, 2, 5, 15
			p.RefusedVoteFee = 3
		})
		t.Repeat(map[string]func(*rapid.T){
			"open":   m.open,
			"vote":   m.vote,
			"votes":  m.vote, // twice as often
			"cancel": m.cancel,
			"money":  m.money,
			"unjail": m.unjail,
			"block":  m.block,
			"":       m.check,
		})
	})
}

func (m *machine) open(t *rapid.T) {
	kind := rapid.SampledFrom([]string{types.KindOutcome, types.KindMatches, types.KindLiveness}).Draw(t, "kind")
	m.subjects++
	now := m.c.Ctx.BlockTime().Unix()
	deadline := now + rapid.Int64Range(1, 12).Draw(t, "seconds")
	_, err := m.c.k.OpenRound(m.c.Ctx, kind, fmt.Append(nil, "s", m.subjects), deadline, deadline+rapid.Int64Range(0, 12).Draw(t, "more"))
	must(t, err)
	m.learn(t)
}

// learn takes rounds that the module opened, itself or when asked, into the model.
func (m *machine) learn(t *rapid.T) {
	for _, r := range m.c.export(t).Rounds {
		if m.rounds[r.Id] != nil {
			continue
		}
		set, err := m.c.k.Sets.Get(m.c.Ctx, r.Set)
		must(t, err)
		if want := 2*len(set.Operators)/3 + 1; int(r.Quorum) != want || r.Status != types.ROUND_STATUS_OPEN || len(r.Votes) > 0 {
			t.Fatalf("round %d opened as %v", r.Id, r)
		}
		m.rounds[r.Id] = &asked{
			kind: r.Kind, members: set.Operators, quorum: int(r.Quorum), deadline: r.Deadline, votes: map[int]cast{},
		}
	}
}

// vote of any oracle for a true or a false claim, in any round there ever was.
func (m *machine) vote(t *rapid.T) {
	if len(m.rounds) == 0 {
		t.Skip()
	}
	ids := make([]uint64, 0, len(m.rounds))
	for id := range m.rounds {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(t, "round")
	i := rapid.IntRange(0, m.c.n-1).Draw(t, "oracle")
	body := rapid.SampledFrom([]string{"ok", "ok", "ok", "lie", "fail", "bad"}).Draw(t, "body")
	vote := claim(id, body, rapid.Uint64Range(0, 9).Draw(t, "meter"))
	switch {
	case m.rounds[id].kind == types.KindLiveness:
		vote = observation(id, body)
	case rapid.Bool().Draw(t, "hash only"):
		vote.Body = nil
	}
	want := m.takes(t, i, vote)
	_, err := m.c.attest(i, vote, types.Vote{RoundId: 1 << 40})
	if want != (err == nil) {
		t.Fatalf("vote of %d in %d: taken %t, want %t (%v)", i, id, err == nil, want, err)
	}
	if want {
		m.rounds[id].votes[i] = cast{claim: string(vote.Claim), meter: vote.Meter, body: len(vote.Body) > 0}
	}
}

// takes says by the rules whether the vote must be taken.
func (m *machine) takes(t *rapid.T, i int, vote types.Vote) bool {
	o, r := m.c.oracle(t, i), m.rounds[vote.RoundId]
	p, err := m.c.k.Params.Get(m.c.Ctx)
	must(t, err)
	_, voted := r.votes[i]
	if o.Jailed || o.Bond < p.MinBond || voted || !slices.Contains(r.members, o.Operator) || string(vote.Body) == "bad" {
		return false
	}
	state, err := m.c.k.Rounds.Get(m.c.Ctx, vote.RoundId)
	if err != nil { // long over
		return false
	}
	if r.kind == types.KindMatches && len(vote.Body) > 0 {
		resp, err := m.c.queries.Round(m.c.Ctx, &types.QueryRoundRequest{Id: vote.RoundId})
		must(t, err)
		rank := int64(slices.Index(resp.Ranks, o.Operator))
		if m.c.Ctx.BlockHeight() < state.OpenedHeight+rank*int64(p.ProposerDelay) {
			return false
		}
	}
	now := m.c.Ctx.BlockTime().Unix()
	switch state.Status {
	case types.ROUND_STATUS_OPEN:
		return now <= r.deadline
	case types.ROUND_STATUS_EXECUTED, types.ROUND_STATUS_FAILED:
		return now <= state.EndedTime+int64(p.VoteGrace)
	}
	return false
}

func (m *machine) cancel(t *rapid.T) {
	if m.subjects == 0 {
		t.Skip()
	}
	subject := fmt.Append(nil, "s", rapid.IntRange(1, m.subjects).Draw(t, "subject"))
	for _, kind := range []string{types.KindOutcome, types.KindMatches, types.KindLiveness} {
		must(t, m.c.k.CancelRounds(m.c.Ctx, kind, subject))
	}
}

func (m *machine) money(t *rapid.T) {
	i := rapid.IntRange(0, m.c.n-1).Draw(t, "oracle")
	amount := rapid.Uint64Range(1, 3000).Draw(t, "amount")
	var err error
	if rapid.Bool().Draw(t, "bond") {
		err = m.c.bond(i, amount)
	} else {
		_, err = m.c.unbond(i, amount)
	}
	if err != nil {
		t.Logf("money: %v", err)
	}
}

func (m *machine) unjail(t *rapid.T) {
	i := rapid.IntRange(0, m.c.n-1).Draw(t, "oracle")
	o := m.c.oracle(t, i)
	_, err := m.c.msgs.Unjail(m.c.Ctx, &types.MsgUnjail{Operator: o.Operator})
	if may := o.Jailed && m.c.Ctx.BlockTime().Unix() >= o.JailedUntil; may != (err == nil) {
		t.Fatalf("unjail %v: %v", o, err)
	}
}

// block ends one and checks what it decided.
func (m *machine) block(t *rapid.T) {
	now := m.c.Ctx.BlockTime().Unix()
	m.c.NextBlockAfter(time.Duration(rapid.Int64Range(1, 4).Draw(t, "seconds")) * time.Second)
	m.c.CheckInvariants()
	reports := 0
	for _, r := range m.c.export(t).Rounds {
		a := m.rounds[r.Id]
		if a == nil { // a reopening, learnt below
			continue
		}
		if a.said == types.ROUND_STATUS_UNSPECIFIED && (r.Status == types.ROUND_STATUS_EXECUTED || r.Status == types.ROUND_STATUS_FAILED) {
			reports++
			if r.Status == types.ROUND_STATUS_EXECUTED {
				m.executed++
			}
		}
		m.checkRound(t, r, a, now)
	}
	if reports > 3 {
		t.Fatalf("%d reports in a block", reports)
	}
	m.learn(t)
}

func (m *machine) checkRound(t *rapid.T, r types.Round, a *asked, now int64) {
	if a.said != types.ROUND_STATUS_UNSPECIFIED && a.said != r.Status {
		t.Fatalf("round %d was %s and is %s", r.Id, a.said, r.Status)
	}
	waits, err := m.c.k.Accepted.Has(m.c.Ctx, r.Id)
	must(t, err)
	claims := map[string]int{}
	bodies := map[string]bool{}
	for _, v := range a.votes {
		claims[v.claim]++
		bodies[v.claim] = bodies[v.claim] || v.body
	}
	merged := a.kind == types.KindLiveness && len(a.votes) >= a.quorum
	decided := merged && (len(a.votes) == len(a.members) || now >= a.deadline)
	for c, n := range claims {
		decided = decided || (a.kind != types.KindLiveness && n >= a.quorum && bodies[c])
	}
	switch r.Status {
	case types.ROUND_STATUS_OPEN:
		// A block looks at so many due rounds only: one whose deadline decides it may stand in the queue behind others.
		due, err := m.c.k.RoundQueue.Has(m.c.Ctx, collections.Join(a.deadline, r.Id))
		must(t, err)
		queued := merged && len(a.votes) < len(a.members) && due
		if decided != waits && !queued {
			t.Fatalf("round %d: decided %t, waits for execution %t", r.Id, decided, waits)
		}
		if now >= a.deadline && !waits && m.dueHandled(t, now) {
			t.Fatalf("round %d is open after its deadline", r.Id)
		}
		return
	case types.ROUND_STATUS_EXECUTED, types.ROUND_STATUS_FAILED:
		if !decided || waits {
			t.Fatalf("round %d is %s without a quorum, or still waits", r.Id, r.Status)
		}
		if len(r.Claim) > 0 && claims[string(r.Claim)] < a.quorum {
			t.Fatalf("round %d accepted a claim of %d", r.Id, claims[string(r.Claim)])
		}
	case types.ROUND_STATUS_EXPIRED:
		if a.said == types.ROUND_STATUS_UNSPECIFIED && (decided || now < a.deadline) {
			t.Fatalf("round %d expired at %d, its deadline is %d, decided %t", r.Id, now, a.deadline, decided)
		}
	}
	a.said = r.Status
}

// dueHandled says whether the block had room to look at all that was due.
func (m *machine) dueHandled(t *rapid.T, now int64) bool {
	iter, err := m.c.k.RoundQueue.Iterate(m.c.Ctx, collections.NewPrefixUntilPairRange[int64, uint64](now))
	must(t, err)
	left := iter.Valid()
	must(t, iter.Close())
	return !left
}

// check is what holds after every step.
func (m *machine) check(t *rapid.T) {
	g := m.c.export(t)
	must(t, g.Validate(m.c.Addresses))
	if got := m.c.executions(); got != m.executed {
		t.Fatalf("%d executions, %d rounds were executed", got, m.executed)
	}
	for i := range m.c.n {
		under, err := m.c.k.UnbondingsOf(m.c.Ctx, operator(i))
		must(t, err)
		held := m.c.oracle(t, i).Bond
		for _, u := range under {
			held += u.Amount
		}
		if locked := m.c.locked(t, i); held != locked {
			t.Fatalf("oracle %d: bond and unbondings %d, locked %d", i, held, locked)
		}
	}
	indexOf := map[string]int{}
	for i := range m.c.n {
		indexOf[m.c.Text(operator(i))] = i
	}
	open, queued := 0, 0
	for _, r := range g.Rounds {
		if r.Status == types.ROUND_STATUS_OPEN {
			open++
		}
		inQueue, err := m.c.k.RoundQueue.Has(m.c.Ctx, collections.Join(r.Queued, r.Id))
		must(t, err)
		if !inQueue {
			t.Fatalf("round %d has no entry in the queue", r.Id)
		}
		for _, v := range r.Votes {
			if was := m.rounds[r.Id].votes[indexOf[v.Operator]]; was.claim != string(v.Claim) || was.meter != v.Meter {
				t.Fatalf("round %d: the vote of %s is %v, was %v", r.Id, v.Operator, v, was)
			}
		}
	}
	must(t, m.c.k.OpenRounds.Walk(m.c.Ctx, nil, func(collections.Pair[string, []byte], uint64) (bool, error) {
		open--
		return false, nil
	}))
	must(t, m.c.k.RoundQueue.Walk(m.c.Ctx, nil, func(collections.Pair[int64, uint64]) (bool, error) {
		queued++
		return false, nil
	}))
	if open != 0 || queued != len(g.Rounds) {
		t.Fatalf("index of open rounds is off by %d; %d entries in the queue for %d rounds", open, queued, len(g.Rounds))
	}
}
