package devnettest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/chain"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// standing is what an oracle's record must be, worked out a second time from blocks, rounds and votes alone.
type standing struct {
	window   []bool
	position uint32
	missed   uint32
	bond     uint64
	jailed   bool
	// expected and voted rounds of the present epoch.
	expected, voted int
	// epochs judged, and of them missed, since the account began.
	judged, misses int
}

// account of the epochs from one height on. It begins at the end of an epoch.
type account struct {
	grid    *grid
	params  oracletypes.Params
	oracles map[string]*standing
	rounds  map[uint64]oracletypes.Round
	sets    map[uint64][]string
	// late votes by height, of those who agreed.
	late map[int64][]string
	ends int64
	// jailings by operator.
	jailings map[string][]jailing
}

// jailing is when an oracle was jailed.
type jailing struct{ height, time int64 }

// epochs works out the records of all oracles at a height from those at the end of the first epoch in which all were active.
func (g *grid) epochs(t *testing.T, to int64) *account {
	t.Helper()
	from := g.firstTurn(t)
	params, err := oracletypes.NewQueryClient(g.chain.Latest()).Params(t.Context(), &oracletypes.QueryParamsRequest{})
	require.NoError(t, err)
	a := &account{
		grid: g, params: params.Params, oracles: map[string]*standing{}, rounds: map[uint64]oracletypes.Round{},
		sets: map[uint64][]string{}, late: map[int64][]string{}, jailings: map[string][]jailing{},
	}
	for _, o := range g.net.State().Oracles {
		r := g.oracleAt(t, from, o.Operator)
		require.False(t, r.Jailed)
		a.oracles[o.Operator] = &standing{
			window: bits(r), position: r.WindowPosition, missed: r.MissedEpochs, bond: r.Bond,
		}
	}
	a.readRounds(t, to)
	errEnd := errors.New("end")
	err = g.chain.Follow(t.Context(), from, func(_ context.Context, b chain.Block) error {
		if b.Height == from {
			a.ends = b.Time.Unix() + int64(a.params.Epoch)
			return nil
		}
		if err := a.block(b); err != nil {
			return err
		}
		if b.Height == to {
			return errEnd
		}
		return nil
	})
	require.ErrorIs(t, err, errEnd)
	return a
}

// firstTurn is the first height at which an epoch of all oracles was judged.
func (g *grid) firstTurn(t *testing.T) int64 {
	t.Helper()
	before := map[string]uint32{}
	for height := int64(1); ; height++ {
		turned := 0
		for _, o := range g.net.State().Oracles {
			position := g.oracleAt(t, height, o.Operator).WindowPosition
			if position != before[o.Operator] {
				turned++
			}
			before[o.Operator] = position
		}
		if turned == len(before) {
			return height
		}
	}
}

func (g *grid) oracleAt(t *testing.T, height int64, operator string) oracletypes.Oracle {
	t.Helper()
	resp, err := oracletypes.NewQueryClient(g.chain.AtHeight(height)).Oracle(t.Context(), &oracletypes.QueryOracleRequest{Operator: operator})
	require.NoError(t, err)
	return resp.Oracle
}

// readRounds reads all rounds, who was asked in each, and the votes that came after the end.
func (a *account) readRounds(t *testing.T, height int64) {
	t.Helper()
	all, err := rounds(t.Context(), a.grid.chain, height, oracletypes.ROUND_STATUS_UNSPECIFIED)
	require.NoError(t, err)
	queries := oracletypes.NewQueryClient(a.grid.chain.AtHeight(height))
	for _, r := range all {
		a.rounds[r.Id] = r
		if _, known := a.sets[r.Set]; !known {
			resp, err := queries.Round(t.Context(), &oracletypes.QueryRoundRequest{Id: r.Id})
			require.NoError(t, err)
			a.sets[r.Set] = resp.Ranks
		}
		for _, v := range r.Votes {
			if r.ExecutedHeight > 0 && v.Height > r.ExecutedHeight && agrees(r, v) {
				a.late[v.Height] = append(a.late[v.Height], v.Operator)
			}
		}
	}
}

// agrees says whether a vote counts as taking part: one against the accepted claim does not.
func agrees(r oracletypes.Round, v oracletypes.RecordedVote) bool {
	return len(r.Claim) == 0 || string(v.Claim) == string(r.Claim)
}

// bits of a record's window.
func bits(o oracletypes.Oracle) []bool {
	out := make([]bool, 8*len(o.Window))
	for i := range out {
		out[i] = o.Window[i/8]&(1<<(i%8)) != 0
	}
	return out
}

// active oracles may vote and are judged.
func (a *account) active(s *standing) bool { return !s.jailed && s.bond >= a.params.MinBond }

// block counts what ended in a block and, if an epoch did, judges it.
func (a *account) block(b chain.Block) error {
	for _, tx := range b.Txs {
		if tx.Code != 0 {
			continue
		}
		changes, err := chain.EventsOf[*oracletypes.EventOracleChanged](tx.Events)
		if err != nil {
			return err
		}
		for _, c := range changes {
			switch s := a.oracles[c.Operator]; c.Change {
			case "unjailed":
				s.jailed = false
			case "bonded":
				s.bond += c.Amount
			}
		}
	}
	ended, err := chain.EventsOf[*oracletypes.EventRoundClosed](b.Events)
	if err != nil {
		return err
	}
	for _, e := range ended {
		if e.Status == oracletypes.ROUND_STATUS_CANCELLED {
			continue
		}
		r := a.rounds[e.RoundId]
		for _, operator := range a.sets[r.Set] {
			s := a.oracles[operator]
			if !a.active(s) {
				continue
			}
			s.expected++
			if v, ok := voteOf(r, operator); ok && v.Height <= b.Height && agrees(r, v) {
				s.voted++
			}
		}
	}
	for _, operator := range a.late[b.Height] {
		a.oracles[operator].voted++
	}
	if now := b.Time.Unix(); now >= a.ends {
		a.turn(jailing{b.Height, now})
		a.ends = now + int64(a.params.Epoch)
	}
	return nil
}

// turn judges an epoch.
func (a *account) turn(at jailing) {
	for operator, s := range a.oracles {
		if a.active(s) {
			missed := 2*s.voted < s.expected
			if s.window[s.position] {
				s.missed--
			}
			if missed {
				s.missed++
				s.misses++
			}
			s.window[s.position] = missed
			s.position = (s.position + 1) % a.params.MissWindow
			s.judged++
			if s.missed > a.params.MaxMissed {
				s.bond -= s.bond * uint64(a.params.DowntimeSlash) / 10_000
				s.jailed, s.missed, s.position = true, 0, 0
				clear(s.window)
				a.jailings[operator] = append(a.jailings[operator], at)
			}
		}
		s.expected, s.voted = 0, 0
	}
}

// requireRecords compares the account with the chain's records at its last height.
func (a *account) requireRecords(t *testing.T, to int64) {
	t.Helper()
	for i, o := range a.grid.net.State().Oracles {
		s, r := a.oracles[o.Operator], a.grid.oracleAt(t, to, o.Operator)
		t.Logf("%s: %d epochs judged, %d missed, %d in the window; bond %d, jailed at %v", o.Name, s.judged, s.misses, s.missed, s.bond, a.jailings[o.Operator])
		require.Equal(t, s.bond, r.Bond, "bond of oracle %d", i)
		require.Equal(t, s.jailed, r.Jailed, "oracle %d", i)
		require.Equal(t, s.missed, r.MissedEpochs, "misses of oracle %d", i)
		require.Equal(t, s.position, r.WindowPosition, "oracle %d", i)
		require.Equal(t, s.window, bits(r), "window of oracle %d", i)
	}
}
