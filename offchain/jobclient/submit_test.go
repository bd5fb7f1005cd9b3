package jobclient

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/match"
	"github.com/foggrid/fogd/offchain/match/constraint"
	"github.com/foggrid/fogd/offchain/registry/client"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const jobText = `version: 1
name: test
module: task.wasm
inputs: [words.txt]
tasks: 3
min_success: 2
price: {cap_per_task_hour: 0.5FOG}
max_duration: 10m
constraints:
  regions: [eu]
  attributes: {tier: gold, a: b}
`

func jobFile(t *testing.T, text, module string) *jobfile.File {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"fog.yaml": text, "task.wasm": module, "words.txt": "some words"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	f, err := jobfile.Load(filepath.Join(dir, "fog.yaml"))
	require.NoError(t, err)
	return f
}

func TestPushBringsAllThatTheSpecNames(t *testing.T) {
	w := newWorld(t)
	p, err := Pack(t.Context(), jobFile(t, jobText, "\x00asm1234"), t.TempDir(), nil)
	require.NoError(t, err)

	var missing *MissingError
	require.ErrorAs(t, CheckPushed(t.Context(), w.registry, p), &missing)
	require.Equal(t, &MissingError{StageModule, p.Module}, missing)

	var stages []Stage
	observe := func(s Stage) client.Progress { stages = append(stages, s); return nil }
	require.NoError(t, Push(t.Context(), w.registry, p, observe))
	require.Equal(t, []Stage{StageModule, StageInputs, StageSpec}, stages)
	require.NoError(t, CheckPushed(t.Context(), w.registry, p))
	spec, err := w.registry.ReadBlob(t.Context(), client.RepoSpecs, p.SpecDigest, jobfile.MaxSpecBytes)
	require.NoError(t, err)
	parsed, err := jobfile.ParseSpec(spec)
	require.NoError(t, err)
	require.Equal(t, p.SpecDigest, parsed.Digest())
	require.Equal(t, p.Inputs, parsed.Inputs)
}

func TestPackRefusesWhatIsNoModule(t *testing.T) {
	_, err := Pack(t.Context(), jobFile(t, jobText, "#!/bin/sh"), t.TempDir(), nil)
	require.ErrorContains(t, err, "not a WebAssembly module")
}

func TestPushRefusesAModuleThatChanged(t *testing.T) {
	w := newWorld(t)
	f := jobFile(t, jobText, "\x00asm1234")
	p, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.Dir(), "task.wasm"), []byte("\x00asmXXXX"), 0o600))
	require.ErrorContains(t, Push(t.Context(), w.registry, p, nil), "changed")
}

func TestSubmit(t *testing.T) {
	w := newWorld(t)
	f := jobFile(t, jobText, "\x00asm1234")
	p, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	out, err := w.client.Submit(t.Context(), f, p, "salt")
	require.NoError(t, err)
	require.Equal(t, uint64(42), out.Funded)
	require.False(t, out.Existed)
	require.Len(t, w.sent, 1)
	msg := w.sent[0].(*jobstypes.MsgSubmitJob)
	require.NoError(t, msg.Validate(w.client.Chain.Codec().Accounts()))
	require.Equal(t, uint64(500_000), msg.PriceCap)
	require.Equal(t, uint32(2), msg.MinSuccess)
	require.Equal(t, "a", msg.Constraints.Attributes[0].Key, "sorted, as the chain wants them")
	require.Equal(t, p.SpecDigest.String(), msg.SpecDigest)
	require.Equal(t, p.Module.String(), msg.ImageDigest)

	// ⌈500000 · 600 / 3600⌉ = 83334 and 1 % of it, rounded up, for each of 3 tasks
	budget, err := w.client.Budget(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, uint64(3*(83_334+834)), budget)
}

func TestSubmitConditionAndWishes(t *testing.T) {
	w := newWorld(t)
	other, far := w.job("other", 1), w.job("far", 1)
	f := jobFile(t, jobText+`  where: >
    region == "eu" && cpu_single >= 2000
    && attr.tpm == true
wishes:
  work: 1000
  failure_cost: 0.02FOG
  place: -33.8688,151.2093
  latency_price: 1FOG
  prefer: [{where: class == 3, weight: 7}]
  affinity: [{job: `+other+`, weight: 8}]
  anti_affinity: [{job: `+far+`}]
  spread: region
  pack: 9
  max_per_node: 1
  max_per_owner: 2
  gang: true
`, "\x00asm1234")
	p, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	out, err := w.client.Submit(t.Context(), f, p, "salt") // validates the message
	require.NoError(t, err)
	msg := w.sent[0].(*jobstypes.MsgSubmitJob)
	require.Equal(t, `region == "eu" && cpu_single >= 2000 && attr.tpm == true`, msg.Constraints.Where)
	require.Equal(t, &jobstypes.Wishes{
		Work: 1000, FailureCost: 20_000, LatencyPrice: 1_000_000, Place: &nodestypes.Location{Latitude: -33_868_800, Longitude: 151_209_300},
		Prefer:   []jobstypes.Preference{{Where: "class == 3", Weight: 7}},
		Affinity: []jobstypes.Affinity{{JobId: other, Weight: 8}, {JobId: far, Apart: true}},
		Spread:   jobstypes.SPREAD_REGION, Pack: 9, PerNode: 1, PerOwner: 2, Gang: true,
	}, msg.Wishes)

	w.refuse = &chain.TxError{Codespace: jobstypes.ModuleName, Code: jobstypes.ErrJobExists.ABCICode()}
	again, err := w.client.Submit(t.Context(), f, p, "salt")
	require.NoError(t, err)
	require.Equal(t, out.JobID, again.JobID)
	f.Wishes.Gang = false
	_, err = w.client.Submit(t.Context(), f, p, "salt")
	require.ErrorIs(t, err, ErrSaltTaken, "a job with other wishes is another job")

	none, err := jobfile.Parse([]byte("version: 1\nname: x\nmodule: x\nprice: {cap_per_task_hour: 1}\nmax_duration: 1s\n"))
	require.NoError(t, err)
	msg, err = Message(none, p, w.owner, "s")
	require.NoError(t, err)
	require.Nil(t, msg.Wishes)
}

// TestLimitsAreTheChains: what a job file may say the chain takes, and no less.
func TestLimitsAreTheChains(t *testing.T) {
	require.Equal(t, jobstypes.MaxCondition, jobfile.MaxCondition)
	require.Equal(t, jobstypes.MaxPreferences, jobfile.MaxPreferences)
	require.Equal(t, jobfile.Ufog(jobstypes.MaxWeight), jobfile.MaxWeight)
	require.NoError(t, (&jobstypes.Wishes{Work: jobfile.MaxWork}).Validate())
	require.Error(t, (&jobstypes.Wishes{Work: jobfile.MaxWork + 1}).Validate())
}

func TestSubmitIsIdempotent(t *testing.T) {
	w := newWorld(t)
	f := jobFile(t, jobText, "\x00asm1234")
	p, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.NoError(t, err)
	first, err := w.client.Submit(t.Context(), f, p, "salt")
	require.NoError(t, err)

	w.refuse = &chain.TxError{Codespace: jobstypes.ModuleName, Code: jobstypes.ErrJobExists.ABCICode()}
	again, err := w.client.Submit(t.Context(), f, p, "salt")
	require.NoError(t, err)
	require.True(t, again.Existed)
	require.Equal(t, first.JobID, again.JobID)

	f.Tasks++
	_, err = w.client.Submit(t.Context(), f, p, "salt")
	require.ErrorIs(t, err, ErrSaltTaken)
}

func TestWatchEndsWithTheJob(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 2)
	var seen []jobstypes.TaskCounts
	job, err := w.client.Watch(t.Context(), id, func(j jobstypes.Job) bool {
		seen = append(seen, j.Counts)
		w.mu.Lock()
		next := w.jobs[id]
		switch len(seen) {
		case 1:
			next.Counts = jobstypes.TaskCounts{Matched: 2}
		case 2:
			next.Counts = jobstypes.TaskCounts{Succeeded: 2}
			next.Status, next.CloseReason = jobstypes.JOB_STATUS_CLOSED, jobstypes.CLOSE_REASON_COMPLETED
		}
		w.jobs[id] = next
		w.mu.Unlock()
		w.node.Advance()
		go func() { // blocks go on without news
			time.Sleep(20 * time.Millisecond)
			w.node.Advance()
		}()
		return false
	})
	require.NoError(t, err)
	require.Equal(t, []jobstypes.TaskCounts{{Pending: 2}, {Matched: 2}, {Succeeded: 2}}, seen)
	require.Equal(t, uint32(2), Settled(job.Counts))
	require.True(t, Attested(job.Counts))

	open := w.job("b", 1)
	job, err = w.client.Watch(t.Context(), open, func(jobstypes.Job) bool { return true })
	require.NoError(t, err)
	require.Equal(t, jobstypes.JOB_STATUS_OPEN, job.Status)
}

func TestAcceptTakesAllReportedSlices(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 1)
	for i := range uint32(600) {
		s := jobstypes.Slice{JobId: id, Number: i, Status: jobstypes.SLICE_STATUS_REPORTED}
		if i%3 == 0 {
			s.Status = jobstypes.SLICE_STATUS_MATCHED
		}
		w.slices[id] = append(w.slices[id], s)
	}
	n, err := w.client.Accept(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, 400, n)
	require.Len(t, w.sent, 2)
	accounts := w.client.Chain.Codec().Accounts()
	for _, m := range w.sent {
		require.NoError(t, m.(*jobstypes.MsgAcceptResult).Validate(accounts))
	}
	require.Len(t, w.sent[0].(*jobstypes.MsgAcceptResult).Slices, jobstypes.MaxSlicesPerMsg)
}

func TestWithdrawTakesWhatIsFree(t *testing.T) {
	w := newWorld(t)
	id := w.job("a", 1)
	account := accountOf(t, id)
	w.accounts[account] = escrowtypes.Account{Id: account, Balance: 10, Locked: 10}
	got, err := w.client.Withdraw(t.Context(), id)
	require.NoError(t, err)
	require.Zero(t, got)
	require.Empty(t, w.sent, "nothing is free, so nothing is sent")

	w.accounts[account] = escrowtypes.Account{Id: account, Balance: 10, Locked: 3}
	event, err := sdk.TypedEventToEvent(&escrowtypes.EventWithdrawn{Account: account, Owner: w.owner, Amount: 7})
	require.NoError(t, err)
	w.events = []abci.Event{abci.Event(event)}
	got, err = w.client.Withdraw(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, uint64(7), got)
	require.Equal(t, "0ufog", w.sent[0].(*escrowtypes.MsgWithdraw).Amount.String(), "zero means all")
}

func TestExplainCountsNodes(t *testing.T) {
	job, other := match.ID{1}, match.ID{2}
	node := func(id byte, region string, cpu uint64) match.Node {
		return match.Node{
			ID: match.ID{id}, Index: uint32(id), Owner: match.ID{id, 1}, Free: match.Resources{CPUMilli: cpu, MemoryMiB: 100, StorageMiB: 100},
			Region: region, Prices: match.Prices{CPU: 1}, CPUSingle: 1,
		}
	}
	pending := match.Pending{
		Job: job, Slice: 4, Owner: match.ID{9}, First: 8, Count: 2, Task: match.Resources{CPUMilli: 1000, MemoryMiB: 1},
		Constraints: match.Constraints{Regions: []string{"eu"}}, PriceCap: 10, MaxDuration: 60, TaskBudget: 10,
	}
	stranger := pending
	stranger.Job = other
	snapshot := match.Snapshot{
		Nodes:   []match.Node{node(1, "us", 1000), node(2, "us", 1000), node(3, "eu", 500), node(4, "eu", 1000)},
		Funds:   []match.Funds{{Owner: match.ID{4, 1}, Available: 1000}, {Owner: match.ID{3, 1}, Available: 1000}},
		Pending: []match.Pending{stranger, pending},
		Params:  match.Params{MaxItems: 10, MaxSliceTasks: 256, Fee: 100, Collateral: 3000},
	}
	policy := match.Learned{Config: match.DefaultConfig()}
	got, err := explain(policy, snapshot, job)
	require.NoError(t, err)
	require.Equal(t, []Waiting{{
		Slice: 4, FirstTask: 8, Tasks: 2, Nodes: 4, Able: 1,
		Excluded: []Exclusion{{match.ReasonRegion.String(), 2}, {match.ReasonCPU.String(), 1}},
	}}, got)

	// A node without an outcome that has a task gets no second one, if the policy tries nodes one task at a time.
	snapshot.Nodes[3].Free.CPUMilli, snapshot.Nodes[3].Running = 5000, 1
	got, err = explain(policy, snapshot, job)
	require.NoError(t, err)
	require.Zero(t, got[0].Able)
	require.Contains(t, got[0].Excluded, Exclusion{match.ReasonProbation.String(), 1})
	policy.Config.TryOne = false
	got, err = explain(policy, snapshot, job)
	require.NoError(t, err)
	require.Equal(t, 1, got[0].Able)
}

// A service has replicas, a time that is paid for, and ports; what is of tasks stays empty.
func TestServiceMessage(t *testing.T) {
	f, err := jobfile.Load("../jobfile/testdata/good/service.yaml")
	require.NoError(t, err)
	owner := sdk.AccAddress(make([]byte, 20)).String()
	m, err := Message(f, Packed{SpecDigest: artifact.DigestOf([]byte("spec")), Module: artifact.DigestOf([]byte("image")), Arch: "amd64"}, owner, "salt")
	require.NoError(t, err)
	require.Equal(t, jobstypes.JOB_TYPE_SERVICE, m.Type)
	require.Equal(t, f.ReplicaCount(), m.Replicas)
	require.Equal(t, uint64(f.FundedTime), m.FundedTime)
	require.Zero(t, m.Tasks)
	require.Zero(t, m.MinSuccess)
	require.Zero(t, m.MaxDuration)
	require.Len(t, m.Ports, len(f.Ports))
	for i, p := range m.Ports {
		require.Equal(t, f.Ports[i].Name, p.Name)
		require.Equal(t, f.Ports[i].ContainerPort, p.ContainerPort)
		require.Equal(t, f.Ports[i].HostPort, p.HostPort)
		require.NotEqual(t, jobstypes.PROTOCOL_UNSPECIFIED, p.Protocol)
	}
}

// Nodes on Nomad get secrets only of jobs that say so; others that need some do not go there.
func TestSecretsKeepOffNomad(t *testing.T) {
	f := &jobfile.File{}
	require.Empty(t, where(f))
	f.Constraints.Where = `region == "eu" || gpus > 0`
	require.Equal(t, f.Constraints.Where, where(f))
	f.Secrets = []jobfile.SecretRef{{Name: "A", Path: "a"}}
	for own, want := range map[string]string{
		"": `!has(attr["nomad.region"])`, `region == "eu" || gpus > 0`: `(region == "eu" || gpus > 0) && !has(attr["nomad.region"])`,
	} {
		f.Constraints.Where = own
		require.Equal(t, want, where(f))
		_, err := constraint.Compile(where(f))
		require.NoError(t, err)
	}
	f.SecretsOnNomad = true
	require.Equal(t, f.Constraints.Where, where(f))
}
