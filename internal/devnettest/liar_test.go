package devnettest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/devnet"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// liar attests with an oracle's own feeder key in every round, at once, and says nothing that is true: another batch than all others
// compute, every task failed after an hour, every node is down, and the machine is faster than any.
type liar struct {
	chain    *chain.Client
	operator string
	feeder   *chain.Broadcaster
	cancel   context.CancelFunc
	done     chan struct{}
	// err and told, the claims by round and the rounds by kind, may be read once done is closed.
	err    error
	claims map[uint64][]byte
	told   map[string]int
}

// startLiar tells lies until the context ends or end is called.
func (g *grid) startLiar(ctx context.Context, t *testing.T, i int) *liar {
	t.Helper()
	o := g.net.State().Oracles[i]
	ctx, cancel := context.WithCancel(ctx)
	l := &liar{
		chain: g.chain, operator: o.Operator, feeder: g.broadcaster(t, o.Home, devnet.KeyFeeder),
		cancel: cancel, done: make(chan struct{}), claims: map[uint64][]byte{}, told: map[string]int{},
	}
	go func() {
		defer close(l.done)
		if err := l.run(ctx); ctx.Err() == nil {
			l.err = err
		}
	}()
	return l
}

// end stops the lies and returns what went wrong with them.
func (l *liar) end() error {
	l.cancel()
	<-l.done
	return l.err
}

func (l *liar) run(ctx context.Context) error {
	for height := int64(1); ; height++ {
		var err error
		if height, err = l.chain.WaitForHeight(ctx, height); err != nil {
			return err
		}
		rounds, err := rounds(ctx, l.chain, height, oracletypes.ROUND_STATUS_OPEN)
		if err != nil {
			return err
		}
		for _, round := range rounds {
			if _, told := l.claims[round.Id]; told {
				continue
			}
			vote, err := l.lie(ctx, round)
			if err != nil {
				return fmt.Errorf("a lie in %s round %d: %w", round.Kind, round.Id, err)
			}
			// One vote a transaction: refused ones among others would cost a part of the bond.
			var refused *chain.TxError
			switch err := l.attest(ctx, vote, true); {
			case err == nil:
				l.claims[round.Id] = vote.Claim
				l.told[round.Kind]++
			case errors.As(err, &refused): // the round is over, or the liar is jailed
				l.claims[round.Id] = nil
			default:
				return err
			}
		}
	}
}

// attest sends one vote.
func (l *liar) attest(ctx context.Context, vote oracletypes.Vote, free bool) error {
	_, err := l.feeder.SendTx(ctx, chain.Tx{
		Msgs: []sdk.Msg{&oracletypes.MsgAttest{Feeder: l.feeder.Address(), Votes: []oracletypes.Vote{vote}}},
		Gas:  uint64(300_500 + 100*len(vote.Body)), FeeFree: free,
	})
	return err
}

func (l *liar) lie(ctx context.Context, round oracletypes.Round) (oracletypes.Vote, error) {
	vote := oracletypes.Vote{RoundId: round.Id}
	var err error
	switch round.Kind {
	case oracletypes.KindBenchmark:
		const fast = 1 << 40
		vote.Body, err = (&nodestypes.BenchmarkObservation{Measured: nodestypes.Benchmark{
			CpuSingle: fast, CpuAll: fast, MemoryMib: fast, MemoryBandwidth: fast, DiskRead: fast, StorageMib: fast, RttUs: 1,
			BandwidthKbit: fast,
		}}).Marshal()
		return vote, err
	case oracletypes.KindLiveness:
		vote.Body, err = (&nodestypes.LivenessObservation{Down: []uint32{1}}).Marshal()
		return vote, err
	case oracletypes.KindMatches:
		vote.Body, err = l.batch(round)
	case oracletypes.KindOutcome:
		vote.Meter = 3_600_000
		vote.Body, err = l.outcome(ctx, round)
	default:
		err = fmt.Errorf("no lie for this kind")
	}
	if err != nil {
		return vote, err
	}
	claim := sha256.Sum256(vote.Body)
	vote.Claim = claim[:]
	if round.Kind == oracletypes.KindMatches {
		// The body of anybody but the proposer would be refused, the claim is not.
		first, err := l.proposes(ctx, round.Id)
		if err != nil || !first {
			vote.Body = nil
		}
		return vote, err
	}
	return vote, nil
}

// batch gives the first node a job that nobody has submitted.
func (l *liar) batch(round oracletypes.Round) ([]byte, error) {
	height, err := jobstypes.DecodeMatchSubject(round.Subject)
	if err != nil {
		return nil, err
	}
	invented := escrowtypes.ID(sha256.New().Sum(nil)[:escrowtypes.IDLength])
	batch := jobstypes.MatchBatch{Height: height, Items: []jobstypes.MatchItem{{
		JobId: invented.Bech32(jobstypes.JobHRP), Count: 1, NodeIndex: 1, Price: 1 << 40,
	}}}
	return batch.Marshal()
}

// outcome says that every task ended with exit code 1 and left nothing.
func (l *liar) outcome(ctx context.Context, round oracletypes.Round) ([]byte, error) {
	subject, err := jobstypes.DecodeOutcomeSubject(round.Subject)
	if err != nil {
		return nil, err
	}
	resp, err := jobstypes.NewQueryClient(l.chain.Latest()).Slice(ctx, &jobstypes.QuerySliceRequest{
		JobId: subject.Job.Bech32(jobstypes.JobHRP), Number: subject.Slice,
	})
	if err != nil {
		return nil, err
	}
	leaves := make([][32]byte, resp.Slice.TaskCount)
	var outcome jobstypes.Outcome
	for i := range leaves {
		leaves[i] = artifact.EmptyDigest
		outcome.Failures = append(outcome.Failures, jobstypes.TaskFailure{
			Task: resp.Slice.FirstTask + uint32(i), ExitCode: 1, Reason: jobstypes.FAILURE_REASON_EXIT,
		})
	}
	root := artifact.MerkleRoot(leaves)
	outcome.ResultRoot = root[:]
	return outcome.Marshal()
}

// proposes says whether the liar may post the body at once.
func (l *liar) proposes(ctx context.Context, round uint64) (bool, error) {
	resp, err := oracletypes.NewQueryClient(l.chain.Latest()).Round(ctx, &oracletypes.QueryRoundRequest{Id: round})
	return err == nil && len(resp.Ranks) > 0 && resp.Ranks[0] == l.operator, err
}

// rounds of a status at a height, of all statuses if it is unspecified.
func rounds(ctx context.Context, c *chain.Client, height int64, status oracletypes.RoundStatus) ([]oracletypes.Round, error) {
	queries := oracletypes.NewQueryClient(c.AtHeight(height))
	return chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*oracletypes.QueryRoundsResponse, error) {
		return queries.Rounds(ctx, &oracletypes.QueryRoundsRequest{Status: status, Pagination: page})
	}, func(r *oracletypes.QueryRoundsResponse) []oracletypes.Round { return r.Rounds })
}

// requireOutvoted checks that the lies were told and that a round was decided against each, wherever a claim is decided on.
func (l *liar) requireOutvoted(t *testing.T, all []oracletypes.Round) {
	t.Helper()
	for _, kind := range []string{oracletypes.KindBenchmark, oracletypes.KindLiveness, oracletypes.KindMatches, oracletypes.KindOutcome} {
		require.NotZero(t, l.told[kind], "no lie in a %s round", kind)
	}
	for _, r := range all {
		lie, told := l.claims[r.Id]
		if !told || lie == nil {
			continue
		}
		vote, voted := voteOf(r, l.operator)
		require.True(t, voted, "round %d", r.Id)
		require.Equal(t, lie, vote.Claim)
		require.NotEqual(t, lie, r.Claim, "round %d was decided by the liar", r.Id)
	}
}
