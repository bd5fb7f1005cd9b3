package app_test

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/foggrid/fogd/app/testapp"
	"github.com/foggrid/fogd/app/testapp/grid"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// machineChecks is how many chains the machine test lives through unless -rapid.checks says otherwise.
const machineChecks = "30"

// rapidTB lets the grid fail the property instead of the test, so that rapid can shrink it.
type rapidTB struct {
	testing.TB
	t *rapid.T
}

func (tb rapidTB) Helper()                           { tb.t.Helper() }
func (tb rapidTB) Errorf(format string, args ...any) { tb.t.Errorf(format, args...) }
func (tb rapidTB) FailNow()                          { tb.t.FailNow() }

// machine does random things to a grid. Every step is a block of signed transactions; most messages fit the state, some do not.
type machine struct {
	*grid.Grid
	tb    testing.TB
	seed  uint64
	owned map[escrowtypes.ID]*testapp.Account
	jobs  []escrowtypes.ID
	done  bool
}

func newMachine(outer testing.TB, t *rapid.T) *machine {
	tb := rapidTB{TB: outer, t: t}
	m := &machine{tb: tb, owned: make(map[escrowtypes.ID]*testapp.Account), seed: rapid.Uint64().Draw(t, "seed")}
	m.Grid = grid.New(tb, grid.Config{
		Providers: 2, Developers: 2,
		SliceTasks: rapid.Uint32Range(1, 8).Draw(t, "slice"),
		Jobs: func(p *jobstypes.Params) {
			p.AcceptWindow = rapid.SampledFrom([]uint64{0, 60, 3_600}).Draw(t, "accept window")
			p.OutcomeWindow, p.OutcomeFinal = 600, 7_200
			p.MaxSlicesPerBlock = rapid.Uint32Range(1, 8).Draw(t, "slices per block")
			p.MatchIdle = 1
			p.ServiceEpoch, p.ServiceWindow, p.ServiceStart = 60, 20, 200
			p.ServiceCollateral, p.EpochFee = 3_600, 500
			p.MaxFailedEpochs = rapid.Uint32Range(1, 3).Draw(t, "failed epochs")
		},
		Nodes: func(p *nodestypes.Params) {
			p.ProbationTasks = rapid.Uint32Range(0, 3).Draw(t, "probation")
			p.LivenessEpoch, p.LostGrace = 20, 60
		},
		Oracle: func(p *oracletypes.Params) {
			p.Epoch, p.MissWindow, p.MaxMissed, p.DowntimeJail = 600, 10, 4, 60
			p.UnbondingTime, p.RoundRetention = 600, 600
			p.MaxReportsPerBlock = rapid.Uint32Range(2, 10).Draw(t, "reports per block")
		},
	})
	m.Work, m.Serve = m.outcome, m.health
	m.AddNodes(1, 8)

	return m
}

// outcome of a slice is fixed by chance at its match: success, some or all tasks failed for some reason, or never an end.
func (m *machine) outcome(s jobstypes.Slice) (jobstypes.Outcome, uint64, bool) {
	chance := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%d/%d", m.seed, s.JobId, s.Number, s.Attempt))
	ms := uint64(binary.BigEndian.Uint32(chance[4:])) % (2_000 * s.MaxDuration)
	ended := m.done || m.Last().Time.Unix()-s.MatchedTime >= int64(chance[0])%100
	reason := jobstypes.FailureReason(1 + chance[1]%8)
	switch chance[2] % 8 {
	case 0:
		return jobstypes.Outcome{}, 0, false
	case 1:
		return grid.Failure(s, reason), ms, ended
	case 2:
		outcome := grid.Failure(s, reason)
		outcome.Failures = outcome.Failures[:1+int(chance[3])%len(outcome.Failures)]

		return outcome, ms, ended
	default:
		return grid.Success(s), ms, ended
	}
}

// health of a slice in an epoch is fixed by chance too: most do well.
func (m *machine) health(s jobstypes.Slice) grid.Health {
	chance := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%d/%d", m.seed, s.JobId, s.Number, m.Last().Time.Unix()/60))
	switch {
	case chance[0] < 24:
		return grid.Unhealthy
	case chance[0] < 48:
		return grid.NotRunning
	default:
		return grid.Well
	}
}

// block executes transactions that may fail but must not panic, and checks everything.
func (m *machine) block(since time.Duration, txs ...[]byte) {
	block := m.NextBlockAfter(since, txs...)
	for _, result := range block.Results {
		panicked := result.Codespace == sdkerrors.RootCodespace && result.Code == sdkerrors.ErrPanic.ABCICode()
		require.False(m.tb, panicked, result.Log)
	}
	m.SyncSequences()
	m.CheckInvariants()
}

func (m *machine) send(from *testapp.Account, msgs ...sdk.Msg) {
	m.block(time.Second, m.Tx(from, msgs...))
}

func (m *machine) account(t *rapid.T, from []*testapp.Account) *testapp.Account {
	return rapid.SampledFrom(from).Draw(t, "account")
}

func (m *machine) anyJob(t *rapid.T) (escrowtypes.ID, *testapp.Account) {
	if len(m.jobs) == 0 {
		t.Skip("no job yet")
	}
	id := rapid.SampledFrom(m.jobs).Draw(t, "job")

	return id, m.owned[id]
}

func (m *machine) anyNode(t *rapid.T) *grid.Node {
	return m.Nodes[rapid.Uint32Range(1, uint32(len(m.Nodes))).Draw(t, "node")]
}

func (m *machine) submit(t *rapid.T) {
	developer := m.account(t, m.Developers)
	msg := m.JobMsg(developer, rapid.Uint32Range(1, 20).Draw(t, "tasks"))
	msg.Engine = rapid.SampledFrom([]nodestypes.Engine{nodestypes.ENGINE_WASM, nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER}).Draw(t, "engine")
	msg.PriceCap = grid.TaskPrice * rapid.SampledFrom([]uint64{9, 10, 11, 12, 13}).Draw(t, "cap") / 10
	msg.MaxDuration = rapid.Uint64Range(59, 600).Draw(t, "duration")
	msg.Deadline = rapid.SampledFrom([]uint64{1, 100, 1_000, 10_000}).Draw(t, "deadline")
	msg.MinSuccess = rapid.Uint32Range(0, msg.Tasks).Draw(t, "min success")
	m.send(developer, msg)
	if msg.MaxDuration >= 60 { // the least that the params allow
		id := grid.JobID(developer, msg)
		m.jobs = append(m.jobs, id)
		m.owned[id] = developer
	}
}

func (m *machine) serve(t *rapid.T) {
	developer := m.account(t, m.Developers)
	msg := m.ServiceMsg(developer, rapid.Uint32Range(1, 3).Draw(t, "replicas"), rapid.Uint64Range(79, 1_000).Draw(t, "funded time"))
	msg.Deadline = rapid.SampledFrom([]uint64{100, 1_000}).Draw(t, "deadline")
	m.send(developer, msg)
	if msg.FundedTime >= 80 { // what a slice holds
		id := grid.JobID(developer, msg)
		m.jobs = append(m.jobs, id)
		m.owned[id] = developer
	}
}

// changeService sends one of the messages that an owner has for a service, or for a job that is none.
func (m *machine) changeService(t *rapid.T) {
	id, owner := m.anyJob(t)
	job := id.Bech32(jobstypes.JobHRP)
	spec := "sha256:" + strings.Repeat(rapid.SampledFrom([]string{"0", "1"}).Draw(t, "spec"), 64)
	m.send(owner, rapid.SampledFrom([]sdk.Msg{
		&jobstypes.MsgUpdateService{Owner: owner.String(), JobId: job, SpecDigest: spec, ImageDigest: spec},
		&jobstypes.MsgScaleService{Owner: owner.String(), JobId: job, Replicas: rapid.Uint32Range(1, 4).Draw(t, "replicas")},
		&jobstypes.MsgTopUpJob{Owner: owner.String(), JobId: job, Amount: rapid.Uint64Range(1, 5_000_000).Draw(t, "amount")},
	}).Draw(t, "message"))
}

func (m *machine) cancel(t *rapid.T) {
	id, owner := m.anyJob(t)
	m.send(owner, &jobstypes.MsgCancelJob{Owner: owner.String(), JobId: id.Bech32(jobstypes.JobHRP)})
}

func (m *machine) accept(t *rapid.T) {
	id, owner := m.anyJob(t)
	m.send(owner, &jobstypes.MsgAcceptResult{Owner: owner.String(), JobId: id.Bech32(jobstypes.JobHRP)})
}

func (m *machine) claim(t *rapid.T) {
	id, owner := m.anyJob(t)
	slice := rapid.Uint64Range(0, 3).Draw(t, "slice")
	m.send(owner, &jobstypes.MsgClaimTimeout{Sender: owner.String(), JobId: id.Bech32(jobstypes.JobHRP), Slices: []uint64{slice}})
}

func (m *machine) withdraw(t *rapid.T) {
	if len(m.jobs) > 0 && rapid.Bool().Draw(t, "of a job") {
		id, owner := m.anyJob(t)
		account := escrowtypes.JobAccountID(id).Bech32(escrowtypes.AccountHRP)
		m.send(owner, &escrowtypes.MsgWithdraw{Owner: owner.String(), Account: account, Amount: escrowtypes.Coin(0)})

		return
	}
	owner := m.account(t, m.Providers)
	amount := rapid.Uint64Range(0, 30_000_000_000).Draw(t, "amount")
	m.send(owner, &escrowtypes.MsgWithdraw{Owner: owner.String(), Amount: escrowtypes.Coin(amount)})
}

func (m *machine) deposit(t *rapid.T) {
	owner := m.account(t, m.Providers)
	m.send(owner, m.DepositMsg(owner, rapid.Uint64Range(1, 10_000_000_000).Draw(t, "amount")))
}

func (m *machine) register(t *rapid.T) {
	if len(m.Nodes) >= 6 {
		t.Skip("enough nodes")
	}
	owner := m.account(t, m.Providers)
	m.send(owner, m.RegisterMsgs(owner, rapid.Uint32Range(1, 8).Draw(t, "cores"))...)
}

// change sends one of the messages that an owner has for a node.
func (m *machine) change(t *rapid.T) {
	node := m.anyNode(t)
	owner, id := node.Owner.String(), node.ID.Bech32(nodestypes.NodeHRP)
	price := rapid.Uint64Range(5_000_000, 12_000_000).Draw(t, "price")
	capacity := nodestypes.Resources{CpuMilli: 1_000 * rapid.Uint64Range(1, 8).Draw(t, "cores"), MemoryMib: 1 << 11, StorageMib: 1 << 10}
	m.send(node.Owner, rapid.SampledFrom([]sdk.Msg{
		&nodestypes.MsgDrainNode{Owner: owner, NodeId: id},
		&nodestypes.MsgResumeNode{Owner: owner, NodeId: id},
		&nodestypes.MsgRetireNode{Owner: owner, NodeId: id},
		&nodestypes.MsgUpdateNode{Owner: owner, NodeId: id, Prices: &nodestypes.Prices{Cpu: price, Memory: 1_000_000}},
		&nodestypes.MsgUpdateNode{Owner: owner, NodeId: id, Capacity: &capacity},
		&nodestypes.MsgUpdateNode{Owner: owner, NodeId: id, Engines: []nodestypes.Engine{nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER}},
	}).Draw(t, "message"))
}

// machineFails switches a machine off or on, or restarts it as another one than it was.
func (m *machine) machineFails(t *rapid.T) {
	node := m.anyNode(t)
	if rapid.Bool().Draw(t, "switch") {
		node.Down = !node.Down
	} else {
		node.Restart()
		node.Percent = rapid.SampledFrom([]uint64{100, 100, 80, 50}).Draw(t, "percent")
	}
}

// bond moves the bonds of oracles, and lets jailed ones ask to return.
func (m *machine) bond(t *rapid.T) {
	oracle := rapid.SampledFrom(m.Oracles).Draw(t, "oracle").Operator
	amount := escrowtypes.Coin(rapid.Uint64Range(1, 4_000_000_000).Draw(t, "amount"))
	m.send(oracle, rapid.SampledFrom([]sdk.Msg{
		&oracletypes.MsgBond{Operator: oracle.String(), Amount: amount},
		&oracletypes.MsgUnbond{Operator: oracle.String(), Amount: amount},
		&oracletypes.MsgUnjail{Operator: oracle.String()},
	}).Draw(t, "message"))
}

// vote lets every oracle say the truth, lie or be silent, for some blocks.
func (m *machine) vote(t *rapid.T) {
	for range rapid.IntRange(1, 4).Draw(t, "blocks") {
		var txs [][]byte
		for _, oracle := range m.Oracles {
			mood := rapid.IntRange(0, 19).Draw(t, "mood")
			if m.jailed(oracle) && mood > 5 {
				txs = append(txs, m.Tx(oracle.Operator, &oracletypes.MsgUnjail{Operator: oracle.Operator.String()}))
				continue
			}
			votes := m.Truth(oracle)
			if mood == 0 || len(votes) == 0 {
				continue
			}
			if mood == 1 {
				for i := range votes {
					votes[i] = m.falsified(t, votes[i])
				}
			}
			txs = append(txs, m.Attest(oracle, votes...)...)
			if mood == 2 { // once more, which is refused
				txs = append(txs, m.Attest(oracle, votes[:1]...)...)
			}
		}
		m.block(time.Duration(rapid.IntRange(1, 15).Draw(t, "seconds"))*time.Second, txs...)
	}
}

func (m *machine) jailed(oracle *grid.Oracle) bool {
	record, err := m.App.OracleKeeper.Oracle(m.Context(), oracle.Operator.Address)
	require.NoError(m.tb, err)

	return record.Jailed
}

// falsified is a vote that the chain has to take but that is not true, or one that it must not take.
func (m *machine) falsified(t *rapid.T, vote oracletypes.Vote) oracletypes.Vote {
	round := m.Round(vote.RoundId)
	switch {
	case rapid.IntRange(0, 3).Draw(t, "garbage") == 0:
		vote.Body = rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "body")
	case round.Kind == jobstypes.RoundKindOutcome:
		outcome := jobstypes.Outcome{ResultRoot: make([]byte, sha256.Size)}
		if rapid.Bool().Draw(t, "stranger's task") {
			outcome.Failures = []jobstypes.TaskFailure{{Task: 1_000, Reason: jobstypes.FAILURE_REASON_NODE}}
		}
		vote = m.Claim(round, &outcome, rapid.Uint64().Draw(t, "meter"))
	case round.Kind == jobstypes.RoundKindMatches:
		height, err := jobstypes.DecodeMatchSubject(round.Subject)
		require.NoError(m.tb, err)
		batch := jobstypes.MatchBatch{Height: height}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			if len(m.jobs) == 0 {
				break
			}
			id, _ := m.anyJob(t)
			batch.Items = append(batch.Items, jobstypes.MatchItem{
				JobId: id.Bech32(jobstypes.JobHRP), Slice: rapid.Uint32Range(0, 2).Draw(t, "slice"),
				Count: rapid.Uint32Range(1, 20).Draw(t, "count"), NodeIndex: rapid.Uint32Range(1, 7).Draw(t, "index"),
				Price: grid.TaskPrice,
			})
		}
		vote = m.Claim(round, &batch, 0)
	case round.Kind == jobstypes.RoundKindServices:
		vote.Body = m.falseServices(t)
	case round.Kind == nodestypes.RoundKindLiveness:
		seen := nodestypes.LivenessObservation{Down: []uint32{1, 3, 9}, Up: []uint32{2}}
		body, err := seen.Marshal()
		require.NoError(m.tb, err)
		vote.Body = body
	}

	return vote
}

// falseServices names slices that may not be there, or do what they do not.
func (m *machine) falseServices(t *rapid.T) []byte {
	var seen jobstypes.ServiceObservation
	if len(m.jobs) > 0 {
		id, _ := m.anyJob(t)
		item := jobstypes.ServiceItem{JobId: id.Bech32(jobstypes.JobHRP), Slice: rapid.Uint32Range(0, 3).Draw(t, "slice"), Attempt: 1}
		seen.NotRunning = append(seen.NotRunning, item)
		item.Slice++
		seen.Started = append(seen.Started, item)
	}
	body, err := seen.Marshal()
	require.NoError(m.tb, err)

	return body
}

// conspiracy: a quorum votes for the same false outcome, which the chain executes as it stands, or refuses to.
func (m *machine) conspiracy(t *rapid.T) {
	rounds := append(m.Rounds(jobstypes.RoundKindOutcome), m.Rounds(jobstypes.RoundKindMatches)...)
	rounds = append(rounds, m.Rounds(jobstypes.RoundKindServices)...)
	if len(rounds) == 0 {
		t.Skip("no round")
	}
	round := rapid.SampledFrom(rounds).Draw(t, "round")
	vote := oracletypes.Vote{RoundId: round.Id}
	if round.Rule == oracletypes.ROUND_RULE_CLAIM {
		vote.Claim = make([]byte, sha256.Size)
	}
	vote = m.falsified(t, vote)
	var txs [][]byte
	for _, oracle := range m.Oracles {
		txs = append(txs, m.Attest(oracle, vote)...)
	}
	m.block(time.Second, txs...)
}

func (m *machine) wait(t *rapid.T) {
	seconds := rapid.SampledFrom([]int{5, 5, 20, 60, 120, 700, 3_700}).Draw(t, "seconds")
	m.block(time.Duration(seconds) * time.Second)
}

// finish lets all be honest and awake until every job has ended, which it must.
func (m *machine) finish() {
	m.done = true
	for _, job := range m.Jobs(jobstypes.JOB_STATUS_OPEN) {
		if job.IsService() && job.CancelledTime == 0 {
			id, err := escrowtypes.ParseID(jobstypes.JobHRP, job.Id)
			require.NoError(m.tb, err)
			m.send(m.owned[id], &jobstypes.MsgCancelJob{Owner: job.Owner, JobId: job.Id})
		}
	}
	for range 600 {
		if len(m.Jobs(jobstypes.JOB_STATUS_OPEN)) == 0 {
			break
		}
		m.block(100*time.Second, m.Votes()...)
	}
	for _, id := range m.jobs {
		job := m.Job(id)
		require.Equal(m.tb, jobstypes.JOB_STATUS_CLOSED, job.Status, "%s %+v", job.Id, job.Counts)
		burned := uint64(0)
		if job.IsService() {
			burned = job.Service.Burned
		}
		require.Equal(m.tb, job.Funded, job.Paid+job.Fees+job.Refunded+burned, job.Id)
		account, err := m.App.EscrowKeeper.Account(m.Context(), escrowtypes.JobAccountID(id))
		require.NoError(m.tb, err)
		require.Zero(m.tb, account.Locked, job.Id)
	}
	for _, node := range m.Nodes {
		require.Zero(m.tb, m.Node(node).Reserved, "%s holds no work", node.ID)
		require.Empty(m.tb, m.Node(node).PortsInUse, "%s holds no ports", node.ID)
	}
	m.CheckInvariants()
}

// Whatever users, machines and oracles do: money is conserved, capacity and queues are what the slices say, and all jobs end.
func TestMachine(t *testing.T) {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		require.NoError(t, flag.Set("rapid.checks", machineChecks))
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t, rt)
		rt.Repeat(map[string]func(*rapid.T){
			"submit": m.submit, "submit more": m.submit, "cancel": m.cancel, "accept": m.accept, "claim": m.claim,
			"withdraw": m.withdraw, "deposit": m.deposit, "bond": m.bond, "serve": m.serve, "change service": m.changeService,
			"register": m.register, "change": m.change, "machine fails": m.machineFails,
			"vote": m.vote, "vote more": m.vote, "vote most": m.vote, "vote again": m.vote, "conspiracy": m.conspiracy,
			"vote on": m.vote, "vote still": m.vote, "wait": m.wait,
		})
		m.finish()
	})
}
