package keeper_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	sdk "github.com/cosmos/cosmos-sdk/types"

	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	"github.com/foggrid/fogd/x/jobs/keeper"
	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// machine does random things to a world: whatever happens, the invariants hold and every ufog is somewhere.
type machine struct {
	*world
	t    *rapid.T
	jobs []string
	// periodic jobs, whose runs are put to jobs as they come.
	periodic []string
	runs     map[string]uint64
	nodes    []nodestypes.Node
	minted   uint64
	salt     int
	matched  int
	// services are those of jobs.
	services []string
}

// newMachine has random params and five nodes of three providers.
func newMachine(t *rapid.T) *machine {
	w := newWorld(t)
	m := &machine{world: w, t: t, runs: map[string]uint64{}}
	w.setParams(func(p *types.Params) {
		p.Fee = rapid.Uint32Range(0, 1000).Draw(t, "fee")
		p.Collateral = rapid.Uint32Range(0, 10_000).Draw(t, "collateral")
		p.AcceptWindow = rapid.SampledFrom([]uint64{0, 50, 3600}).Draw(t, "accept_window")
		p.MaxAttempts = rapid.Uint32Range(1, 3).Draw(t, "max_attempts")
		p.MaxSlicesPerBlock = rapid.SampledFrom([]uint32{1, 3, 2000}).Draw(t, "max_slices_per_block")
		p.OutcomeFinal = 5000
		p.MatchIdle = 0
		p.RunFee = rapid.SampledFrom([]uint64{0, 7}).Draw(t, "run_fee")
		p.MaxRunsPerBlock = rapid.SampledFrom([]uint32{1, 50}).Draw(t, "max_runs_per_block")
		p.ServiceWindow = rapid.SampledFrom([]uint64{1, 60}).Draw(t, "service_window")
		p.ServiceStart = p.HeldSeconds() + rapid.Uint64Range(0, 600).Draw(t, "service_start")
		p.EpochFee = rapid.SampledFrom([]uint64{0, 7}).Draw(t, "epoch_fee")
		p.MaxFailedEpochs = rapid.Uint32Range(1, 3).Draw(t, "max_failed_epochs")
	})
	for i := range uint32(5) {
		owner := fmt.Sprintf("prov%d", i%3)
		n := w.addNode(owner, i+1, rapid.Uint64Range(0, 8000).Draw(t, "price"))
		if i != 0 { // the first one runs no containers
			w.nodes.change(w.Ctx, n.Id, func(n *nodestypes.Node) { n.Engines = bothEngines })
		}
		m.nodes = append(m.nodes, n)
	}
	m.minted = w.Supply()
	return m
}

func TestJobsStateMachine(t *testing.T) {
	var matched, settled, reruns, runs int
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		w := m.world
		m.submitSome(t)
		m.submitSome(t)
		m.submitPeriodicSome(t)
		m.serveSome(t)
		t.Repeat(map[string]func(*rapid.T){
			"submit": m.submitSome,
			"repeat": m.submitPeriodicSome,
			"top up": m.topUpSome,
			"stop": func(t *rapid.T) {
				m.onPeriodic(t, func(id string) { m.refused(m.tryCancel("dev", id), types.ErrJobClosed) })
			},
			"serve":   m.serveSome,
			"judge":   m.judgeSome,
			"match":   m.matchSome,
			"report":  m.reportSome,
			"flip":    m.flip,
			"condemn": m.condemn,
			"cancel": func(t *rapid.T) {
				m.onJob(t, func(job types.Job) { m.refused(m.tryCancel("dev", job.Id), types.ErrJobClosed) })
			},
			"accept":   m.accept,
			"withdraw": m.withdrawSome,
			"claim":    m.claim,
			"time": func(t *rapid.T) {
				w.after(rapid.SampledFrom([]int64{1, 7, 60, 130, 3700, 6000}).Draw(t, "seconds"))
			},
			"": func(*rapid.T) {
				m.learnRuns()
				w.checkJobs(w.Ctx)
				if w.Supply() > m.minted {
					t.Fatalf("ufog were made: %d of %d", w.Supply(), m.minted)
				}
			},
		})
		w.NextBlock()
		w.CheckInvariants()
		m.windDown()
		matched += m.matched
		for _, n := range m.runs {
			runs += int(n)
		}
		for _, id := range m.jobs {
			job := w.job(id)
			settled += int(job.Counts.Succeeded)
			for number := range job.NextSlice {
				if w.slice(id, number).Rerun != nil {
					reruns++
				}
			}
		}
	})
	t.Logf("%d items matched, %d tasks succeeded, %d slices of reruns, %d runs of periodic jobs", matched, settled, reruns, runs)
	require.NotZero(t, runs)
	require.NotZero(t, matched, "the machine never matched anything")
	require.NotZero(t, settled)
	require.NotZero(t, reruns)
}

var bothEngines = []nodestypes.Engine{nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER}

// windDown lets time pass until nothing is open: nothing can hang.
func (m *machine) windDown() {
	for _, id := range m.periodic {
		m.refused(m.tryCancel("dev", id), types.ErrJobClosed)
	}
	for _, id := range m.services {
		m.refused(m.tryCancel("dev", id), types.ErrJobClosed)
	}
	m.learnRuns()
	for range 400 {
		m.after(6000)
		open := false
		for _, id := range m.jobs {
			open = open || m.job(id).Status == types.JOB_STATUS_OPEN
		}
		if !open {
			m.check()
			for _, id := range m.jobs {
				job, burned := m.job(id), uint64(0)
				if job.IsService() {
					burned = job.Service.Burned
				}
				if job.Funded != job.Paid+job.Fees+job.Refunded+burned {
					m.t.Fatalf("%s: funded %d, paid %d, fees %d, refunded %d, burned %d", id, job.Funded, job.Paid, job.Fees, job.Refunded, burned)
				}
			}
			for i := range 3 {
				if a := m.provider(fmt.Sprintf("prov%d", i)); a.locked != 0 {
					m.t.Fatalf("prov%d still has %d locked", i, a.locked)
				}
			}
			return
		}
	}
	m.t.Fatalf("jobs never ended")
}

// refused fails the test if an error is not one of those that a message may be refused with.
func (m *machine) refused(err error, may ...error) {
	if err == nil || slices.ContainsFunc(may, func(e error) bool { return errors.Is(err, e) }) {
		return
	}
	m.t.Fatalf("refused with %v", err)
}

func (m *machine) submitSome(t *rapid.T) {
	if len(m.jobs)-len(m.services) >= 5 {
		t.Skip("enough jobs")
	}
	m.salt++
	msg := m.jobMsg("dev", fmt.Sprint(m.salt), rapid.SampledFrom([]uint32{1, 2, 5, 20, 300}).Draw(t, "tasks"))
	msg.PriceCap = rapid.Uint64Range(4000, 15_000).Draw(t, "cap")
	msg.MaxDuration = rapid.Uint64Range(60, 400).Draw(t, "max_duration")
	msg.Deadline = rapid.SampledFrom([]uint64{10_000, 500, 10}).Draw(t, "deadline")
	msg.Engine = rapid.SampledFrom([]nodestypes.Engine{nodestypes.ENGINE_WASM, nodestypes.ENGINE_WASM, nodestypes.ENGINE_DOCKER}).Draw(t, "engine")
	job := m.submit(msg)
	m.minted += job.Funded
	m.jobs = append(m.jobs, job.Id)
}

func (m *machine) submitPeriodicSome(t *rapid.T) {
	if len(m.periodic) >= 2 {
		t.Skip("enough periodic jobs")
	}
	m.salt++
	msg := m.periodicMsg("dev", fmt.Sprint(m.salt), rapid.Uint32Range(1, 3).Draw(t, "runs"))
	msg.Schedule = rapid.SampledFrom([]string{"* * * * *", "*/10 * * * *", "@hourly"}).Draw(t, "schedule")
	msg.Overlap = types.Overlap(rapid.IntRange(0, 2).Draw(t, "overlap"))
	msg.Deadline = rapid.SampledFrom([]uint64{10_000, 10}).Draw(t, "deadline")
	p, err := m.k.Params(m.Ctx)
	m.must(err, "params")
	part, err := types.TermsOf(msg.PriceCap, msg.MaxDuration, p.Fee)
	m.must(err, "terms")
	funded := ((part.Budget+part.Fee)*uint64(msg.Tasks) + p.RunFee) * uint64(msg.Runs)
	m.minted += funded
	m.periodic = append(m.periodic, m.submitPeriodic(msg, funded).Id)
}

func (m *machine) onPeriodic(t *rapid.T, do func(id string)) {
	if len(m.periodic) == 0 {
		t.Skip("no periodic jobs")
	}
	do(rapid.SampledFrom(m.periodic).Draw(t, "periodic job"))
}

func (m *machine) topUpSome(t *rapid.T) {
	m.onPeriodic(t, func(id string) {
		amount := rapid.Uint64Range(1, 2*runCost).Draw(t, "amount")
		m.minted += amount
		m.refused(m.topUp("dev", id, amount), types.ErrJobClosed)
	})
}

// learnRuns takes the runs that EndBlock has started among the jobs that things happen to.
func (m *machine) learnRuns() {
	for _, id := range m.periodic {
		for m.runs[id] < m.periodicJob(id).Runs {
			m.runs[id]++
			m.jobs = append(m.jobs, m.run(id, m.runs[id]).Id)
		}
	}
}

func (m *machine) onJob(t *rapid.T, do func(types.Job)) {
	if len(m.jobs) == 0 {
		t.Skip("no jobs")
	}
	do(m.job(rapid.SampledFrom(m.jobs).Draw(t, "job")))
}

// matchSome sends a batch of which some items may be stale.
func (m *machine) matchSome(t *rapid.T) {
	height, open := m.rounds.match(m.Ctx)
	if !open {
		m.NextBlock()
		if height, open = m.rounds.match(m.Ctx); !open {
			t.Skip("no match round")
		}
	}
	var items []types.MatchItem
	queue, err := keeper.NewQueryServer(m.k).Pending(m.Ctx, &types.QueryPendingRequest{})
	m.must(err, "queue")
	for range rapid.IntRange(1, 6).Draw(t, "items") {
		node := rapid.SampledFrom(m.nodes).Draw(t, "node")
		if len(queue.Pending) == 0 || rapid.IntRange(0, 4).Draw(t, "stale") == 4 {
			job := m.job(rapid.SampledFrom(m.jobs).Draw(t, "job"))
			items = append(items, item(job.Id, uint32(rapid.IntRange(0, int(job.NextSlice)-1).Draw(t, "slice")), 1, node))
			continue
		}
		s := rapid.SampledFrom(queue.Pending).Draw(t, "slice").Slice
		count := min(s.TaskCount, rapid.SampledFrom([]uint32{1, 2, 3, 44, 256}).Draw(t, "count"))
		items = append(items, item(s.JobId, s.Number, count, node))
	}
	m.matched += int(m.recordMatches(height, items...).Matched)
}

func (m *machine) reportSome(t *rapid.T) {
	subjects := m.rounds.subjects(m.Ctx, types.RoundKindOutcome)
	if len(subjects) == 0 {
		t.Skip("nothing runs")
	}
	subject, err := types.DecodeOutcomeSubject(rapid.SampledFrom(subjects).Draw(t, "round"))
	m.must(err, "subject")
	id := subject.Job.Bech32(types.JobHRP)
	s := m.slice(id, subject.Slice)
	var failures []types.TaskFailure
	mode := rapid.SampledFrom([]int{1, 0, 2, 3}).Draw(t, "mode") // 0: all well, 1: some fail, 2: half, 3: all
	for task := s.FirstTask; task < s.FirstTask+s.TaskCount && mode > 0; task++ {
		if rapid.IntRange(mode, 3).Draw(t, "fails") < 3 {
			continue
		}
		reason := types.FailureReason(rapid.IntRange(1, 8).Draw(t, "reason"))
		f := types.TaskFailure{Task: task, Reason: reason}
		if reason == types.FAILURE_REASON_EXIT {
			f.ExitCode = rapid.Uint32Range(1, 2).Draw(t, "code")
		}
		failures = append(failures, f)
	}
	m.must(m.tryReport(id, subject.Slice, subject.Attempt, rapid.Uint64Range(0, 500_000).Draw(t, "ms"), failures...), "report")
}

func (m *machine) flip(t *rapid.T) {
	n := m.world.nodes.get(m.Ctx, rapid.SampledFrom(m.nodes).Draw(t, "node").Id)
	if n.Status == nodestypes.NODE_STATUS_ACTIVE {
		m.down(n)
	} else {
		m.up(n)
	}
}

func (m *machine) condemn(t *rapid.T) {
	n := rapid.SampledFrom(m.nodes).Draw(t, "node")
	id, err := nodestypes.ParseNodeID(n.Id)
	m.must(err, "node id")
	award := rapid.Uint64Range(0, 1000).Draw(t, "award")
	owner, err := m.Addresses.StringToBytes(n.Owner)
	m.must(err, "owner")
	account := escrowtypes.ProviderAccountID(owner)
	if m.Escrow.Lock(m.Ctx, account, award) != nil {
		t.Skip("no deposit")
	}
	used, err := m.k.AfterNodeCondemned(m.Ctx, id, award)
	m.must(err, "condemn")
	if used > award {
		t.Fatalf("used %d of %d", used, award)
	}
	m.must(m.Escrow.Unlock(m.Ctx, account, award-used), "unlock the rest of the deposit")
}

func (m *machine) accept(t *rapid.T) {
	m.onJob(t, func(job types.Job) {
		m.refused(m.Tx(func(ctx sdk.Context) error {
			_, err := m.server().AcceptResult(ctx, &types.MsgAcceptResult{Owner: job.Owner, JobId: job.Id})
			return err
		}), types.ErrSliceState)
	})
}

func (m *machine) claim(t *rapid.T) {
	m.onJob(t, func(job types.Job) {
		number := uint32(rapid.IntRange(0, int(job.NextSlice)-1).Draw(t, "slice"))
		m.refused(m.Tx(func(ctx sdk.Context) error {
			_, err := m.server().ClaimTimeout(ctx, &types.MsgClaimTimeout{Sender: job.Owner, JobId: job.Id, Slices: []uint64{uint64(number)}})
			return err
		}), types.ErrSliceState, types.ErrNotDue)
	})
}

func (m *machine) withdrawSome(t *rapid.T) {
	m.onJob(t, func(job types.Job) {
		a := m.jobAccount(job.Id)
		if a.balance == a.locked {
			t.Skip("nothing is free")
		}
		m.NextBlock() // what came in with this block can go out with the next
		a = m.jobAccount(job.Id)
		if a.balance > a.locked {
			m.withdraw(job.Id, rapid.Uint64Range(1, a.balance-a.locked).Draw(t, "amount"))
		}
	})
}
