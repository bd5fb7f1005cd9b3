package devnettest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/devnet"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// The clocks of the quorum's devnet, in seconds: an epoch has at most one liveness round, so that it is the claims that decide whether
// the liar missed it. The fourth missed epoch jails.
const (
	quorumEpoch    = 6
	quorumLiveness = 20
	quorumMissed   = 3
	quorumJail     = 15
	// quorumRounds of a task are some seconds of work, in which an oracle can be killed.
	quorumRounds = 150_000_000
	// quorumSnapshots is the number of blocks between two.
	quorumSnapshots = 10
)

// Who is who in the quorum's devnet, by number.
const (
	lying = 2
	away  = 3
	down  = 3
)

// quorum is a grid of four validators and four oracles, one of whom lies.
type quorum struct {
	*grid
	liar  *liar
	fresh fresh
	// honest operators, sorted.
	honest []string
	// supply in ufog, and the job that waits and its round, when the step that needs them was there.
	supply  uint64
	waiting string
	stuck   int64
	// jobs that were settled.
	jobs []string
}

// The steps build on each other as those of TestDevnet do.
func TestQuorum(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: four validators and four oracles, which takes minutes")
	}
	g := newGrid(t, devnet.Options{
		Validators: 4, Oracles: 4, SnapshotInterval: quorumSnapshots,
		NodesParams: func(p *nodestypes.Params) { p.LivenessEpoch = quorumLiveness },
		OracleParams: func(p *oracletypes.Params) {
			p.Epoch, p.MaxMissed, p.DowntimeJail = quorumEpoch, quorumMissed, quorumJail
			// A slash takes an oracle out of the set, and nothing else does: an honest vote may come too late.
			p.MinBond, p.RefusedVoteFee = 10_000_000_000, 0
		},
	})
	q := &quorum{grid: g}
	for i, o := range g.net.State().Oracles {
		if i != lying {
			q.honest = append(q.honest, o.Operator)
		}
	}
	require.NoError(t, g.net.StopOracle(t.Context(), lying, false))
	q.liar = g.startLiar(t.Context(), t, lying)
	t.Cleanup(func() {
		if err := errors.Join(q.liar.end(), q.fresh.stop()); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a node is measured by those who do not lie", q.measure},
		{"a job completes although one oracle lies", q.outvote},
		{"while another is away, nothing is decided", q.leave},
		{"a validator goes down and catches up", q.stopValidator},
		{"a node joins by state sync", q.syncState},
		{"who was away comes back, and the job completes", q.comeBack},
		{"the liar is slashed and jailed", q.jail},
		{"three of three decide without it", q.refuse},
		{"the liar returns and is honest", q.unjail},
		{"every miss, every burned ufog and every fee", q.audit},
		{"all nodes have the same state", q.compare},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

func (q *quorum) measure(t *testing.T) {
	q.register(t)
	all := q.rounds(t)
	for _, r := range all {
		if r.Kind != oracletypes.KindBenchmark {
			continue
		}
		require.Equal(t, oracletypes.ROUND_STATUS_EXECUTED, r.Status)
		require.Len(t, r.Votes, 4)
		var truth []nodestypes.BenchmarkObservation
		for _, operator := range q.honest {
			v, voted := voteOf(r, operator)
			require.True(t, voted)
			o, err := nodestypes.DecodeBenchmarkBody(v.Body)
			require.NoError(t, err)
			truth = append(truth, o)
		}
		// Of four the lower median counts: with the highest made up, that is the middle of the other three.
		want, n := nodestypes.Medians(truth)
		require.Equal(t, 3, n)
		got := q.nodeNow(t).Measured
		want.RttUs = min(truth[0].Measured.RttUs, truth[1].Measured.RttUs, truth[2].Measured.RttUs) // here the lowest is made up
		require.Equal(t, want, got)
		q.supply = q.supplyNow(t)
		return
	}
	t.Fatal("no benchmark round")
}

// rounds of all statuses, as they are now.
func (q *quorum) rounds(t *testing.T) []oracletypes.Round {
	t.Helper()
	height, err := q.chain.Height(t.Context())
	require.NoError(t, err)
	all, err := rounds(t.Context(), q.chain, height, oracletypes.ROUND_STATUS_UNSPECIFIED)
	require.NoError(t, err)
	return all
}

func (q *quorum) supplyNow(t *testing.T) uint64 {
	t.Helper()
	resp, err := banktypes.NewQueryClient(q.chain.Latest()).SupplyOf(t.Context(), &banktypes.QuerySupplyOfRequest{Denom: escrowtypes.Denom})
	require.NoError(t, err)
	return resp.Amount.Amount.Uint64()
}

// pi submits a job of short tasks.
func (q *quorum) pi(t *testing.T, name string, tasks int) string {
	t.Helper()
	return q.submit(t, job{name: name, module: "pi.wasm", args: `"-samples", "1000"`, tasks: tasks, cap: "5FOG", deadline: 3600})
}

// piResult is what each of so many tasks of pi must write, by a second implementation.
func piResult(tasks int) func(uint32) (name, content string) {
	return func(task uint32) (string, string) {
		source, inside := rand.NewPCG(1, uint64(task)), 0
		for range 1000 {
			r := source.Uint64()
			x, y := r>>33, r&(1<<31-1)
			if x*x+y*y < 1<<62 {
				inside++
			}
		}
		return "pi.json", fmt.Sprintf(`{"task":%d,"tasks":%d,"samples":1000,"inside":%d}`+"\n", task, tasks, inside)
	}
}

func (q *quorum) outvote(t *testing.T) {
	q.right(t, q.pi(t, "outvoted", 3), piResult(3))
}

// right waits for a job's result and checks what was decided, by whom, and what is paid.
func (q *quorum) right(t *testing.T, id string, result func(uint32) (string, string)) {
	t.Helper()
	q.developer(t, nil, "job", "watch", "--results", id)
	dir := filepath.Join(q.work, "results", id)
	q.settle(t, id, dir)
	q.jobs = append(q.jobs, id)
	parsed, err := escrowtypes.ParseID(jobstypes.JobHRP, id)
	require.NoError(t, err)
	for _, s := range q.slices(t, id) {
		var leaves [][32]byte
		for task := s.FirstTask; task < s.FirstTask+s.TaskCount; task++ {
			name, content := result(task)
			leaves = append(leaves, digestOf(t, name, content))
			got, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(int(task)), name))
			require.NoError(t, err)
			require.Equal(t, content, string(got))
		}
		root := artifact.MerkleRoot(leaves)
		require.Equal(t, jobstypes.Outcome{ResultRoot: root[:]}, *s.Outcome, "all tasks succeeded with these results")
		require.Equal(t, s.TaskCount, s.Succeeded)
		require.ElementsMatch(t, q.honest, s.AttestedBy)

		subject := jobstypes.OutcomeSubject{Job: parsed, Slice: s.Number, Attempt: s.Attempt}
		round := q.outcomeRound(t, subject)
		body, err := s.Outcome.Marshal()
		require.NoError(t, err)
		claim := sha256.Sum256(body)
		require.Equal(t, claim[:], round.Claim)
		var meters []uint64
		for _, v := range round.Votes {
			if v.Operator != q.liar.operator {
				require.Equal(t, claim[:], v.Claim)
				meters = append(meters, v.Meter)
			}
		}
		require.Len(t, meters, 3)
		require.Equal(t, oracletypes.MedianLower(meters), s.MeteredMs)
	}
}

// outcomeRound is the round about an attempt of a slice.
func (q *quorum) outcomeRound(t *testing.T, subject jobstypes.OutcomeSubject) oracletypes.Round {
	t.Helper()
	resp, err := oracletypes.NewQueryClient(q.chain.Latest()).Rounds(t.Context(), &oracletypes.QueryRoundsRequest{
		Kind: oracletypes.KindOutcome, Subject: subject.Encode(),
	})
	require.NoError(t, err)
	require.Len(t, resp.Rounds, 1)
	return resp.Rounds[0]
}

// digestOf an output folder that holds one file.
func digestOf(t *testing.T, name, content string) artifact.Digest {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(out, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(out, name), []byte(content), 0o600))
	digest, _, err := artifact.PackFile(filepath.Join(dir, "out.tar"), out, artifact.Limits{})
	require.NoError(t, err)
	return digest
}

// spun is what spin must write after so many rounds.
func spun(rounds int) func(uint32) (string, string) {
	return func(uint32) (string, string) {
		x := uint64(88172645463325252)
		for range rounds {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		return "number.txt", fmt.Sprintln(x)
	}
}

// leave kills an oracle while a task runs: the liar and two others are no quorum for any outcome.
func (q *quorum) leave(t *testing.T) {
	j := spinner("waiting")
	j.args = fmt.Sprintf(`"-rounds", "%d"`, quorumRounds)
	q.waiting = q.submit(t, j)
	q.running(t, q.waiting)
	require.NoError(t, q.net.StopOracle(t.Context(), away, true))
	until(t, "all who are left to vote", func() bool { return len(q.waits(t).Votes) == 3 })
	var err error
	q.stuck, err = q.chain.Height(t.Context())
	require.NoError(t, err)
}

// waits returns the round of the job that waits, which nothing has decided.
func (q *quorum) waits(t *testing.T) oracletypes.Round {
	t.Helper()
	id, err := escrowtypes.ParseID(jobstypes.JobHRP, q.waiting)
	require.NoError(t, err)
	slices := q.slices(t, q.waiting)
	require.Len(t, slices, 1)
	require.Equal(t, jobstypes.SLICE_STATUS_MATCHED, slices[0].Status)
	require.Zero(t, slices[0].Paid)
	round := q.outcomeRound(t, jobstypes.OutcomeSubject{Job: id, Slice: slices[0].Number, Attempt: slices[0].Attempt})
	require.Equal(t, oracletypes.ROUND_STATUS_OPEN, round.Status)
	_, voted := voteOf(round, q.net.State().Oracles[away].Operator)
	require.False(t, voted)
	return round
}

func (q *quorum) stopValidator(t *testing.T) {
	require.NoError(t, q.net.StopValidator(t.Context(), down, true))
	before, err := q.chain.Height(t.Context())
	require.NoError(t, err)
	_, err = q.chain.WaitForHeight(t.Context(), before+3)
	require.NoError(t, err, "three of four go on")
	require.NoError(t, q.net.StartValidator(down))
	v := q.net.State().Validators[down]
	c, err := chain.Dial(chain.Config{GRPC: v.GRPC, RPC: "http://" + v.Address})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	until(t, "the validator to catch up", func() bool {
		s, err := c.Status(t.Context())
		require.True(t, err == nil || errors.Is(err, chain.ErrUnavailable), "%v", err)
		return err == nil && !s.CatchingUp && s.Height > before+3
	})
}

// syncState starts a node from a snapshot that was taken while a round was open, with votes in it.
func (q *quorum) syncState(t *testing.T) {
	snapshot := (q.stuck/quorumSnapshots + 1) * quorumSnapshots
	// The two blocks after it prove what is in it.
	_, err := q.chain.WaitForHeight(t.Context(), snapshot+2)
	require.NoError(t, err)
	q.fresh.start(t, q.grid, snapshot)
	first := q.fresh.synced(t)
	require.Greater(t, first, snapshot, "the node has replayed nothing that was before the snapshot")
	require.Zero(t, (first-1)%quorumSnapshots)
	require.Len(t, q.waits(t).Votes, 3)

	_, err = q.fresh.chain.WaitForHeight(t.Context(), first)
	require.NoError(t, err)
	open := 0
	for _, r := range q.requireSameRounds(t, first) {
		if r.Kind == oracletypes.KindOutcome && r.Status == oracletypes.ROUND_STATUS_OPEN {
			require.Len(t, r.Votes, 3)
			open++
		}
	}
	require.Equal(t, 1, open)
	node, err := nodestypes.NewQueryClient(q.fresh.chain.Latest()).Node(t.Context(), &nodestypes.QueryNodeRequest{Id: q.node})
	require.NoError(t, err)
	require.Equal(t, nodestypes.NODE_STATUS_ACTIVE, node.Node.Status, "one liar alone sees no node down")
}

// requireSameRounds returns the rounds at a height, for which both nodes have the same.
func (q *quorum) requireSameRounds(t *testing.T, height int64) []oracletypes.Round {
	t.Helper()
	want, err := rounds(t.Context(), q.chain, height, oracletypes.ROUND_STATUS_UNSPECIFIED)
	require.NoError(t, err)
	got, err := rounds(t.Context(), q.fresh.chain, height, oracletypes.ROUND_STATUS_UNSPECIFIED)
	require.NoError(t, err)
	require.Equal(t, want, got)
	return got
}

func (q *quorum) comeBack(t *testing.T) {
	operator := q.net.State().Oracles[away].Operator
	until(t, "a missed epoch", func() bool { return q.oracleNow(t, operator).Oracle.MissedEpochs > 0 })
	require.Len(t, q.waits(t).Votes, 3)
	q.startOracle(t, away)
	q.right(t, q.waiting, spun(quorumRounds))
}

func (q *quorum) oracleNow(t *testing.T, operator string) *oracletypes.QueryOracleResponse {
	t.Helper()
	resp, err := oracletypes.NewQueryClient(q.chain.Latest()).Oracle(t.Context(), &oracletypes.QueryOracleRequest{Operator: operator})
	require.NoError(t, err)
	return resp
}

// jail lets slices be decided, one after the other, until the liar has been wrong for too long. Each task takes the whole node, so that
// there is one in a slice.
func (q *quorum) jail(t *testing.T) {
	whole := fmt.Sprintf("%dm", q.nodeNow(t).Capacity.CpuMilli)
	const tasks = 4
	jailed := func() bool { return q.oracleNow(t, q.liar.operator).Oracle.Jailed }
	for more := 1; !jailed(); more++ {
		id := q.submit(t, job{
			name: fmt.Sprintf("more-%d", more), module: "pi.wasm", args: `"-samples", "1000"`, cpu: whole, tasks: tasks, cap: "100FOG",
			deadline: 3600,
		})
		until(t, "the liar to be jailed or the slices to be decided", func() bool {
			counts := q.job(t, id).Counts
			return jailed() || counts.Pending+counts.Matched == 0
		})
		if jailed() {
			require.ErrorIs(t, q.operator(t, &oracletypes.MsgUnjail{Operator: q.liar.operator}), oracletypes.ErrJailed, "it is too early")
		}
		q.right(t, id, piResult(tasks))
		require.GreaterOrEqual(t, len(q.slices(t, id)), tasks)
	}
	require.NoError(t, q.liar.end())
	q.liar.requireOutvoted(t, q.rounds(t))
	record := q.oracleNow(t, q.liar.operator)
	const bond = 10_000_000_000
	require.Equal(t, uint64(bond-bond/1_000), record.Oracle.Bond, "0.1 % is gone")
	require.Zero(t, record.Oracle.MissedEpochs, "who comes out of jail begins anew")
	require.False(t, record.Oracle.Tombstoned)
	require.False(t, record.Active)
	account := q.account(t, record.Oracle.Account)
	require.Equal(t, record.Oracle.Bond, account.Locked)
	require.Zero(t, account.Free(), "lies earn nothing")
}

// refuse tries what a jailed oracle must not, while the others go on.
func (q *quorum) refuse(t *testing.T) {
	vote := oracletypes.Vote{RoundId: q.outcomeOf(t), Claim: make([]byte, sha256.Size)}
	require.ErrorIs(t, q.liar.attest(t.Context(), vote, true), sdkerrors.ErrInsufficientFee, "its votes are no longer free")
	require.ErrorIs(t, q.liar.attest(t.Context(), vote, false), oracletypes.ErrJailed)
	// The whole node, so that some milliseconds are worth more than nothing.
	whole := fmt.Sprintf("%dm", q.nodeNow(t).Capacity.CpuMilli)
	id := q.submit(t, job{name: "three", module: "pi.wasm", args: `"-samples", "1000"`, cpu: whole, cap: "100FOG", deadline: 3600})
	q.right(t, id, piResult(1))
	for _, s := range q.slices(t, id) {
		parsed, err := escrowtypes.ParseID(jobstypes.JobHRP, id)
		require.NoError(t, err)
		round := q.outcomeRound(t, jobstypes.OutcomeSubject{Job: parsed, Slice: s.Number, Attempt: s.Attempt})
		resp, err := oracletypes.NewQueryClient(q.chain.Latest()).Round(t.Context(), &oracletypes.QueryRoundRequest{Id: round.Id})
		require.NoError(t, err)
		require.ElementsMatch(t, q.honest, resp.Ranks)
		require.EqualValues(t, 3, round.Quorum)
	}
}

// outcomeOf is the number of a round about the last job.
func (q *quorum) outcomeOf(t *testing.T) uint64 {
	t.Helper()
	id, err := escrowtypes.ParseID(jobstypes.JobHRP, q.jobs[len(q.jobs)-1])
	require.NoError(t, err)
	return q.outcomeRound(t, jobstypes.OutcomeSubject{Job: id, Attempt: 1}).Id
}

// jailedFor is how many seconds the liar must still wait.
func (q *quorum) jailedFor(t *testing.T) int64 {
	t.Helper()
	s, err := q.chain.Status(t.Context())
	require.NoError(t, err)
	return q.oracleNow(t, q.liar.operator).Oracle.JailedUntil - s.Time.Unix()
}

// operator sends a message of the liar's operator.
func (q *quorum) operator(t *testing.T, msg sdk.Msg) error {
	t.Helper()
	_, err := q.broadcaster(t, q.net.State().Oracles[lying].Home, devnet.KeyOperator).Send(t.Context(), msg)
	return err
}

func (q *quorum) unjail(t *testing.T) {
	until(t, "the end of the time in jail", func() bool { return q.jailedFor(t) < 0 })
	require.NoError(t, q.operator(t, &oracletypes.MsgUnjail{Operator: q.liar.operator}))
	record := q.oracleNow(t, q.liar.operator)
	require.False(t, record.Oracle.Jailed)
	require.False(t, record.Active, "the bond is too small now")
	vote := oracletypes.Vote{RoundId: q.outcomeOf(t), Claim: make([]byte, sha256.Size)}
	require.ErrorIs(t, q.liar.attest(t.Context(), vote, false), oracletypes.ErrNotActive)
	require.NoError(t, q.operator(t, &oracletypes.MsgBond{Operator: q.liar.operator, Amount: escrowtypes.Coin(10_000_000)}))
	require.True(t, q.oracleNow(t, q.liar.operator).Active)
	q.startOracle(t, lying)
}
