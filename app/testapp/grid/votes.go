package grid

import (
	"crypto/sha256"
	"slices"

	"github.com/stretchr/testify/require"

	"cosmossdk.io/collections"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/app/testapp"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Gas of an attestation; what it takes is known before, so that the transactions of all executors are the same.
const (
	gasPerAttest   = 500_000
	gasPerVote     = 20_000
	gasPerBodyByte = 90
	gasPerReadByte = 10 // a vote reads its round, with the bodies that were posted
)

// maxVotes of one transaction keep its gas under what a free one may ask for.
const maxVotes = 500

// Rounds returns the rounds of a kind that wait for a result; of all kinds if it is empty.
func (g *Grid) Rounds(kind string) []oracletypes.Round {
	g.tb.Helper()

	ctx := g.Context()
	var out []oracletypes.Round
	err := g.App.OracleKeeper.OpenRounds.Walk(ctx, nil, func(key collections.Pair[string, []byte], id uint64) (bool, error) {
		if kind != "" && key.K1() != kind {
			return false, nil
		}
		round, err := g.App.OracleKeeper.Rounds.Get(ctx, id)
		out = append(out, round)

		return false, err
	})
	require.NoError(g.tb, err)

	return out
}

// Round returns a round that is kept.
func (g *Grid) Round(id uint64) oracletypes.Round {
	g.tb.Helper()

	round, err := g.App.OracleKeeper.Rounds.Get(g.Context(), id)
	require.NoError(g.tb, err)

	return round
}

// Truth is what an honest oracle votes in the rounds that it has not voted in. Like the worker it leaves a match round alone while
// the body may still have to come from itself.
func (g *Grid) Truth(oracle *Oracle) []oracletypes.Vote {
	g.tb.Helper()

	g.indexNodes()
	var votes []oracletypes.Vote
	for _, round := range append(g.Rounds(""), g.lateMatches()...) {
		voted := slices.ContainsFunc(round.Votes, func(v oracletypes.RecordedVote) bool {
			return v.Operator == oracle.Operator.String()
		})
		if voted {
			continue
		}
		if vote, ok := g.vote(oracle, round); ok {
			votes = append(votes, vote)
		}
	}

	return votes
}

// lateMatches are decided match rounds in which a vote still counts as taking part.
func (g *Grid) lateMatches() []oracletypes.Round {
	var out []oracletypes.Round
	for id := range g.batches {
		round, err := g.App.OracleKeeper.Rounds.Get(g.Context(), id)
		if err != nil || round.Deadline <= g.Last().Time.Unix() {
			delete(g.batches, id)
			continue
		}
		if round.Status == oracletypes.ROUND_STATUS_EXECUTED {
			out = append(out, round)
		}
	}
	slices.SortFunc(out, func(a, b oracletypes.Round) int { return int(a.Id) - int(b.Id) })

	return out
}

func (g *Grid) vote(oracle *Oracle, round oracletypes.Round) (oracletypes.Vote, bool) {
	g.tb.Helper()

	switch round.Kind {
	case nodestypes.RoundKindBenchmark:
		id, _, err := nodestypes.DecodeBenchmarkSubject(round.Subject)
		require.NoError(g.tb, err)
		seen := g.nodes[id].measure()

		return oracletypes.Vote{RoundId: round.Id, Body: g.encode(&seen)}, true
	case nodestypes.RoundKindLiveness:
		seen := g.liveness()

		return oracletypes.Vote{RoundId: round.Id, Body: g.encode(&seen)}, true
	case jobstypes.RoundKindMatches:
		return g.matchVote(oracle, round)
	case jobstypes.RoundKindServices:
		seen := g.services()

		return oracletypes.Vote{RoundId: round.Id, Body: g.encode(&seen)}, true
	default:
		outcome, ms, done := g.work(round.Subject)
		if !done {
			return oracletypes.Vote{}, false
		}

		return g.Claim(round, &outcome, ms), true
	}
}

// Claim is a vote with its body.
func (g *Grid) Claim(round oracletypes.Round, report interface{ Marshal() ([]byte, error) }, meter uint64) oracletypes.Vote {
	g.tb.Helper()

	body := g.encode(report)
	claim := sha256.Sum256(body)

	return oracletypes.Vote{RoundId: round.Id, Claim: claim[:], Meter: meter, Body: body}
}

func (g *Grid) encode(report interface{ Marshal() ([]byte, error) }) []byte {
	g.tb.Helper()

	body, err := report.Marshal()
	require.NoError(g.tb, err)

	return body
}

// liveness is what is down but not INACTIVE, up but INACTIVE, and up with another boot id.
func (g *Grid) liveness() nodestypes.LivenessObservation {
	g.tb.Helper()

	var seen nodestypes.LivenessObservation
	for index := uint32(1); index <= uint32(len(g.Nodes)); index++ {
		truth := g.Nodes[index]
		known := g.Node(truth)
		switch inactive := known.Status == nodestypes.NODE_STATUS_INACTIVE; {
		case truth.Down && !inactive:
			seen.Down = append(seen.Down, index)
		case !truth.Down && inactive:
			seen.Up = append(seen.Up, index)
		}
		if !truth.Down && truth.Boot != known.Boot {
			seen.Restarted = append(seen.Restarted, nodestypes.Restart{Index: index, Boot: truth.Boot})
		}
	}

	return seen
}

func (g *Grid) matchVote(oracle *Oracle, round oracletypes.Round) (oracletypes.Vote, bool) {
	g.tb.Helper()

	body, ok := g.batches[round.Id]
	if !ok {
		height, err := jobstypes.DecodeMatchSubject(round.Subject)
		require.NoError(g.tb, err)
		batch := g.batch(height)
		body = g.encode(&batch)
		g.batches[round.Id] = body
	}
	claim := sha256.Sum256(body)
	vote := oracletypes.Vote{RoundId: round.Id, Claim: claim[:]}

	given := slices.ContainsFunc(round.Votes, func(v oracletypes.RecordedVote) bool { return len(v.Body) > 0 })
	if given || round.Status != oracletypes.ROUND_STATUS_OPEN {
		return vote, true
	}
	rank, members := g.rank(oracle, round)
	params, err := g.App.OracleKeeper.Params.Get(g.Context())
	require.NoError(g.tb, err)
	if g.Last().Height+1 >= round.OpenedHeight+int64(rank)*int64(params.ProposerDelay) {
		vote.Body = body

		return vote, true
	}

	return vote, rank > members-int(round.Quorum)
}

func (g *Grid) rank(oracle *Oracle, round oracletypes.Round) (rank, members int) {
	g.tb.Helper()

	set, err := g.App.OracleKeeper.Sets.Get(g.Context(), round.Set)
	require.NoError(g.tb, err)
	operators := make([]sdk.AccAddress, len(set.Operators))
	for i, operator := range set.Operators {
		operators[i], err = sdk.AccAddressFromBech32(operator)
		require.NoError(g.tb, err)
	}
	rank = slices.IndexFunc(oracletypes.Ranks(round.Id, operators), func(a sdk.AccAddress) bool { return a.Equals(oracle.Operator.Address) })

	return rank, len(operators)
}

// Attest signs the free transactions of votes, as many as the params ask for.
func (g *Grid) Attest(oracle *Oracle, votes ...oracletypes.Vote) [][]byte {
	g.tb.Helper()

	params, err := g.App.OracleKeeper.Params.Get(g.Context())
	require.NoError(g.tb, err)
	var txs [][]byte
	for some := range slices.Chunk(votes, min(maxVotes, int(params.MaxVotesPerAttest))) {
		gas := uint64(gasPerAttest + gasPerVote*len(some))
		for _, vote := range some {
			gas += gasPerBodyByte * uint64(len(vote.Body))
			for _, posted := range g.Round(vote.RoundId).Votes {
				gas += gasPerReadByte * uint64(len(posted.Body))
			}
		}
		txs = append(txs, g.TxPaying(oracle.Feeder, gas, nil, &oracletypes.MsgAttest{Feeder: oracle.Feeder.String(), Votes: some}))
	}

	return txs
}

// Votes signs what all oracles, or the given ones, truly see.
func (g *Grid) Votes(oracles ...*Oracle) [][]byte {
	g.tb.Helper()

	if len(oracles) == 0 {
		oracles = g.Oracles
	}
	var txs [][]byte
	for _, oracle := range oracles {
		txs = append(txs, g.Attest(oracle, g.Truth(oracle)...)...)
	}

	return txs
}

// Turn executes a block of the oracles' votes and requires that all are taken. Without arguments all oracles vote.
func (g *Grid) Turn(oracles ...*Oracle) *testapp.Block {
	g.tb.Helper()

	block := g.Succeed(g.Votes(oracles...)...)
	g.requireNoRefusal(block)
	g.indexNodes()

	return block
}

func (g *Grid) requireNoRefusal(block *testapp.Block) {
	g.tb.Helper()
	for i, result := range block.Results {
		var data sdk.TxMsgData
		require.NoError(g.tb, data.Unmarshal(result.Data))
		for _, any := range data.MsgResponses {
			var answer oracletypes.MsgAttestResponse
			require.NoError(g.tb, answer.Unmarshal(any.Value))
			require.Empty(g.tb, answer.Refused, "transaction %d of block %d", i, block.Height)
		}
	}
}
