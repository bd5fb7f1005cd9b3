package app_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/app/testapp"
	"github.com/foggrid/fogd/app/testapp/grid"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Epochs of a minute; the fourth missed one of the last ten jails.
const (
	scenarioEpoch     = 60
	scenarioMaxMissed = 3
	scenarioJail      = 90
)

// scenario is a grid of four oracles of which some may be away and some may lie.
type scenario struct {
	*grid.Grid
	t    *testing.T
	away map[*grid.Oracle]bool
	liar map[*grid.Oracle]bool
}

func newScenario(t *testing.T) *scenario {
	g := grid.New(t, grid.Config{
		SliceTasks: 1,
		Nodes:      func(p *nodestypes.Params) { p.ProbationTasks = 0 },
		Jobs:       func(p *jobstypes.Params) { p.AcceptWindow = 0 },
		Oracle: func(p *oracletypes.Params) {
			p.Epoch, p.MissWindow, p.MaxMissed, p.DowntimeJail = scenarioEpoch, 10, scenarioMaxMissed, scenarioJail
		},
	})
	g.AddNodes(1, 16)

	return &scenario{Grid: g, t: t, away: make(map[*grid.Oracle]bool), liar: make(map[*grid.Oracle]bool)}
}

// lie is what the liar says: every task failed, every machine is down, and another batch than all others compute.
func (s *scenario) lie(round oracletypes.Round, truth oracletypes.Vote) oracletypes.Vote {
	switch round.Kind {
	case jobstypes.RoundKindOutcome:
		subject, err := jobstypes.DecodeOutcomeSubject(round.Subject)
		require.NoError(s.t, err)
		slice, err := s.App.JobsKeeper.Slice(s.Context(), subject.Job, subject.Slice)
		require.NoError(s.t, err)
		outcome := grid.Failure(slice, jobstypes.FAILURE_REASON_EXIT)

		return s.Claim(round, &outcome, 3_600_000)
	case jobstypes.RoundKindMatches:
		claim := sha256.Sum256(truth.Claim)

		return oracletypes.Vote{RoundId: round.Id, Claim: claim[:]}
	case nodestypes.RoundKindLiveness:
		seen := nodestypes.LivenessObservation{Down: []uint32{1}}
		body, err := seen.Marshal()
		require.NoError(s.t, err)

		return oracletypes.Vote{RoundId: round.Id, Body: body}
	default:
		return truth
	}
}

// turn executes a block of the votes of those who are there and not jailed.
func (s *scenario) turn(txs ...[]byte) {
	s.t.Helper()

	for _, oracle := range s.Oracles {
		if s.away[oracle] || s.oracle(oracle).Jailed {
			continue
		}
		votes := s.Truth(oracle)
		if s.liar[oracle] {
			for i, vote := range votes {
				votes[i] = s.lie(s.Round(vote.RoundId), vote)
			}
		}
		txs = append(txs, s.Attest(oracle, votes...)...)
	}
	s.Succeed(txs...)
}

// epochs passes so many epochs and a job of eight slices in each.
func (s *scenario) epochs(n int) (jobs []escrowtypes.ID) {
	s.t.Helper()

	developer := s.Developers[0]
	for range n {
		for epoch := s.epoch(); s.epoch() == epoch; {
			s.turn()
		}
		msg := s.JobMsg(developer, 8)
		jobs = append(jobs, grid.JobID(developer, msg))
		s.turn(s.Tx(developer, msg))
	}
	for epoch := s.epoch(); s.epoch() == epoch; {
		s.turn()
	}

	return jobs
}

func (s *scenario) epoch() uint64 {
	s.t.Helper()

	epoch, err := s.App.OracleKeeper.Epoch.Get(s.Context())
	require.NoError(s.t, err)

	return epoch.Number
}

func (s *scenario) oracle(o *grid.Oracle) oracletypes.Oracle {
	s.t.Helper()

	record, err := s.App.OracleKeeper.Oracle(s.Context(), o.Operator.Address)
	require.NoError(s.t, err)

	return record
}

// earned is what an oracle got of fees: what is free in its account.
func (s *scenario) earned(o *grid.Oracle) uint64 {
	s.t.Helper()

	account, err := s.App.EscrowKeeper.Account(s.Context(), escrowtypes.OracleAccountID(o.Operator.Address))
	require.NoError(s.t, err)

	return account.Free()
}

// requireRight requires that all tasks of the jobs count as what they were, by the word of these oracles.
func (s *scenario) requireRight(jobs []escrowtypes.ID, by ...*grid.Oracle) {
	s.t.Helper()

	for _, id := range jobs {
		require.Equal(s.t, jobstypes.CLOSE_REASON_COMPLETED, s.Job(id).CloseReason)
		for _, slice := range s.Slices(id) {
			require.Equal(s.t, grid.Success(slice), *slice.Outcome)
			require.EqualValues(s.t, 1_000, slice.MeteredMs)
			require.Len(s.t, slice.AttestedBy, len(by))
			for _, oracle := range by {
				require.Contains(s.t, slice.AttestedBy, oracle.Operator.String())
			}
		}
	}
	s.CheckInvariants()
}

// Four oracles: one goes away and comes back, one lies. Outcomes are right all the time; who misses too much is slashed and jailed,
// and can come back.
func TestOneOracleLiesAndOneIsAway(t *testing.T) {
	s := newScenario(t)
	honest, other, liar, away := s.Oracles[0], s.Oracles[1], s.Oracles[2], s.Oracles[3]
	s.requireRight(s.epochs(1), s.Oracles...)
	bond := s.oracle(honest).Bond

	// Away for two epochs: a quorum is left, and the misses are counted but not yet punished.
	s.away[away] = true
	s.requireRight(s.epochs(2), honest, other, liar)
	s.away[away] = false
	require.EqualValues(t, 2, s.oracle(away).MissedEpochs)
	require.Equal(t, bond, s.oracle(away).Bond)
	require.False(t, s.oracle(away).Jailed)
	require.Zero(t, s.Burned())

	// The liar is outvoted, earns nothing and misses each epoch.
	before := s.earned(liar)
	s.liar[liar] = true
	s.requireRight(s.epochs(scenarioMaxMissed), honest, other, away)
	require.Equal(t, before, s.earned(liar))
	require.EqualValues(t, scenarioMaxMissed, s.oracle(liar).MissedEpochs)
	require.EqualValues(t, 2, s.oracle(away).MissedEpochs)
	require.Equal(t, nodestypes.NODE_STATUS_ACTIVE, s.Node(s.Nodes[1]).Status, "one oracle alone sees no node down")
	require.Zero(t, s.Burned())

	// While the liar lies and another is away there is no quorum; nothing is decided until that one is back.
	developer := s.Developers[0]
	id := s.Submit(developer, s.JobMsg(developer, 8))
	s.turn()
	s.turn()
	s.away[away] = true
	for range 5 {
		s.turn()
	}
	rounds := s.Rounds(jobstypes.RoundKindOutcome)
	require.Len(t, rounds, 8)
	for _, round := range rounds {
		require.Len(t, round.Votes, 3)
	}
	s.away[away] = false
	s.turn()
	s.requireRight([]escrowtypes.ID{id}, honest, other, away)

	// The fourth epoch of lies: a thousandth of the bond is burned, and the liar is jailed, with a clean slate.
	for !s.oracle(liar).Jailed {
		s.turn()
	}
	record := s.oracle(liar)
	require.Equal(t, bond-bond/1_000, record.Bond)
	require.Equal(t, bond/1_000, s.Burned())
	require.Zero(t, record.MissedEpochs)
	require.False(t, record.Tombstoned)
	require.EqualValues(t, 2, s.oracle(away).MissedEpochs)
	s.CheckInvariants()

	// Its votes are refused and cost a fee; without it three of three decide.
	id = s.Submit(developer, s.JobMsg(developer, 8))
	s.turn()
	vote := s.Truth(liar)[0]
	attest := &oracletypes.MsgAttest{Feeder: liar.Feeder.String(), Votes: []oracletypes.Vote{vote}}
	refused := s.NextBlock(s.TxPaying(liar.Feeder, testapp.DefaultGas, testapp.Ufog(2*testapp.DefaultFee), attest)).Results[0]
	require.Equal(t, oracletypes.ErrJailed.ABCICode(), refused.Code, refused.Log)
	require.Equal(t, oracletypes.ErrJailed.Codespace(), refused.Codespace)
	require.EqualValues(t, testapp.DefaultBalance-2*testapp.DefaultFee, s.Balance(liar.Feeder.Address))
	s.turn()
	s.requireRight([]escrowtypes.ID{id}, honest, other, away)

	// Once its time is over it can return, and an honest one counts again.
	unjail := &oracletypes.MsgUnjail{Operator: liar.Operator.String()}
	s.Refused("may return", liar.Operator, unjail)
	for s.Last().Time.Unix() < record.JailedUntil {
		s.turn()
	}
	s.liar[liar] = false
	s.Succeed(s.Tx(liar.Operator, unjail))
	s.requireRight(s.epochs(1), s.Oracles...)
	require.Zero(t, s.oracle(liar).MissedEpochs)
	for _, oracle := range []*grid.Oracle{honest, other} {
		require.Equal(t, bond, s.oracle(oracle).Bond)
		require.Zero(t, s.oracle(oracle).MissedEpochs)
	}
	require.Equal(t, bond/1_000, s.Burned())
}
