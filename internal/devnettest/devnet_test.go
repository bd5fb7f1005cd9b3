package devnettest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/profile"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// The steps build on each other: what one leaves is where the next begins, and the first that fails ends the story.
func TestDevnet(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: the real programs on a real devnet, which takes minutes")
	}
	g := newGrid(t, devnet.Options{
		Validators: 1, Oracles: 4,
		NodesParams: func(p *nodestypes.Params) { p.ModelMinNodes, p.ModelPeriod = 1, 30 },
	})
	var unmatched [2]string
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a deposit that is too small is refused", g.smallDeposit},
		{"a node registers and becomes ACTIVE", g.register},
		{"a node registers twice", g.registerTwice},
		{"locked money stays", g.withdrawLocked},
		{"jobs that no node can take say why", func(t *testing.T) { unmatched = g.submitUnmatched(t) }},
		{"a job whose module nobody has is refused", g.unknownModule},
		{"the oracles agree on classes", g.classify},
		{"a job completes and its result is checked", g.complete},
		{"its matches can be computed again, its runs rate the node", g.learnt},
		{"the agent sets the price", g.letAgentPrice},
		{"an agent is killed in mid-task and comes back", g.killAgent},
		{"a job runs in a container, also when its agent is killed", g.container},
		{"an interrupted watch, and an oracle that is killed while a job runs", g.killOracle},
		{"the chain is killed in mid-job", g.killValidator},
		{"jobs that no node took give all money back", func(t *testing.T) { g.expired(t, unmatched) }},
		{"the agent knows what was offered", g.priceEvidence},
		{"an agent is killed for good", g.loseNode},
		{"down leaves nothing running", g.down},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// registration is the command by which the provider's machine is registered.
func registration(salt, deposit string) []string {
	return []string{
		"node", "register", "--salt", salt, "--region", "local", "--location", "50.11,-8.68", "--datacenter", "home", "--memory", "1GiB", "--price-cpu", "2FOG",
		"--price-memory", "0.5FOG", "--price-storage", "0.1FOG", "--headroom", "50", "--deposit", deposit,
	}
}

func (g *grid) smallDeposit(t *testing.T) {
	g.refused(t, g.net.ProviderHome(), []string{"deposit", "raise --deposit"}, registration("test", "1FOG")...)
}

func (g *grid) register(t *testing.T) {
	var out struct {
		NodeID string `json:"node_id"`
	}
	g.asProvider(t, &out, registration("test", "100FOG")...)
	g.node = out.NodeID
	require.Equal(t, nodestypes.NODE_STATUS_PENDING, g.nodeNow(t).Status)
	require.NoError(t, g.net.StartAgent(t.Context()))
	g.active(t)
}

// active waits until the node takes work.
func (g *grid) active(t *testing.T) {
	t.Helper()
	until(t, "the node to be ACTIVE", func() bool {
		node := g.nodeNow(t)
		require.True(t, node.Status.Live(), "the node is %s: %s", node.Status, node.JailReason)
		return node.Status == nodestypes.NODE_STATUS_ACTIVE
	})
}

func (g *grid) registerTwice(t *testing.T) {
	before := g.provider(t)
	var again struct {
		NodeID  string `json:"node_id"`
		Existed bool   `json:"existed"`
		TxHash  string `json:"tx_hash"`
	}
	g.run(t, g.net.ProviderHome(), &again, registration("test", "100FOG")...)
	require.Equal(t, g.node, again.NodeID)
	require.True(t, again.Existed)
	require.Empty(t, again.TxHash)
	g.refused(t, g.net.ProviderHome(), []string{"agent key", g.node, "--home"}, registration("other", "100FOG")...)
	require.Equal(t, before, g.provider(t))
}

// withdrawLocked tries the tool, which looks before it sends, and the chain itself.
func (g *grid) withdrawLocked(t *testing.T) {
	before := g.provider(t)
	require.GreaterOrEqual(t, before.Locked, uint64(100_000_000))
	g.refused(t, g.net.ProviderHome(), []string{"more than is free", "locked"}, "node", "withdraw", "50FOG")
	_, err := g.broadcaster(t, g.net.ProviderHome(), devnet.KeyMain).Send(t.Context(), &escrowtypes.MsgWithdraw{
		Owner: before.Owner, Account: before.Id, Amount: escrowtypes.Coin(before.Free() + 1),
	})
	require.ErrorIs(t, err, escrowtypes.ErrInsufficientFree)
	require.Equal(t, before, g.provider(t))
}

// submitUnmatched submits a job whose constraint nothing satisfies and one whose price is under every ask.
func (g *grid) submitUnmatched(t *testing.T) (ids [2]string) {
	for i, j := range []struct {
		job
		reason string
	}{
		{job{name: "nowhere", module: "spin.wasm", cap: "5FOG", deadline: 100, constraint: "regions: [atlantis], where: cpu_single > 0"}, "region not asked for"},
		{job{name: "cheap", module: "spin.wasm", cap: "0.01FOG", deadline: 100}, "asks more than the price cap"},
	} {
		ids[i] = g.submit(t, j.job)
		var status struct {
			Waiting []struct {
				Nodes    int `json:"nodes"`
				Able     int `json:"able"`
				Excluded []struct {
					Reason string `json:"reason"`
					Nodes  int    `json:"nodes"`
				} `json:"excluded"`
			} `json:"waiting"`
		}
		g.developer(t, &status, "job", "status", ids[i])
		require.Len(t, status.Waiting, 1)
		require.Equal(t, 1, status.Waiting[0].Nodes)
		require.Zero(t, status.Waiting[0].Able)
		require.Len(t, status.Waiting[0].Excluded, 1)
		require.Equal(t, j.reason, status.Waiting[0].Excluded[0].Reason)
	}
	g.whyWaits(t, ids[0], `cpu_single > 0`, `allow region "local"`)
	return ids
}

func (g *grid) unknownModule(t *testing.T) {
	path := g.file(t, job{name: "unknown", module: "pi.wasm", cap: "5FOG", deadline: 60})
	_, before := g.wallet(t)
	g.refused(t, g.net.DeveloperHome(), []string{"the registry has no module sha256:", "push the job first"}, "job", "submit", "--no-push", path)
	_, after := g.wallet(t)
	require.Equal(t, before, after, "a refused job costs nothing, not even a fee")
}

// finish waits for the job's results, accepts them, takes what is left and checks that every ufog is where it belongs.
func (g *grid) finish(t *testing.T, id string) {
	t.Helper()
	g.developer(t, nil, "job", "watch", "--results", id)
	g.settle(t, id, filepath.Join(g.work, "results", id))
	require.NotZero(t, g.job(t, id).Fees, "a task of seconds earns the oracles their part")
}

func (g *grid) settle(t *testing.T, id, dir string) {
	t.Helper()
	before := g.provider(t)
	g.developer(t, nil, "job", "result", id, "-o", dir, "--accept")
	j := g.job(t, id)
	require.Equal(t, jobstypes.CLOSE_REASON_COMPLETED, j.CloseReason)
	require.Equal(t, j.Funded, j.Paid+j.Fees+j.Refunded)
	require.NotZero(t, j.Paid)
	var paid, collateral uint64
	for _, s := range g.slices(t, id) {
		require.Equal(t, jobstypes.SLICE_STATUS_SETTLED, s.Status, "each slice is done once")
		require.Zero(t, s.CollateralBurned)
		paid += s.Paid
		collateral += s.CollateralReturned
	}
	require.Equal(t, j.Paid, paid)
	after := g.provider(t)
	require.Equal(t, before.Balance+paid, after.Balance, "the provider is paid once")
	require.Equal(t, before.Locked-collateral, after.Locked)
	g.takeBack(t, j)
}

// takeBack withdraws what a closed job has left, which is all that was given back.
func (g *grid) takeBack(t *testing.T, j jobstypes.Job) {
	t.Helper()
	account := g.account(t, j.Account)
	require.Equal(t, j.Refunded, account.Balance)
	require.Zero(t, account.Locked)
	g.requireChange(t, func() int64 {
		g.developer(t, nil, "job", "withdraw", j.Id)
		return int64(j.Refunded)
	})
}

// complete runs a job that computes something, and spoils its result in the registry's folder before it is fetched.
func (g *grid) complete(t *testing.T) {
	id := g.submit(t, job{name: "pi", module: "pi.wasm", args: `"-samples", "1000"`, tasks: 3, cap: "5FOG", deadline: 3600, constraint: `where: 'region == "local" && cpu_single > 0'`})
	g.developer(t, nil, "job", "watch", "--results", id)
	var fetched struct {
		Tasks []struct {
			Digest string `json:"digest"`
			Dir    string `json:"dir"`
		} `json:"tasks"`
	}
	g.developer(t, &fetched, "job", "result", id, "-o", filepath.Join(g.work, "honest"))
	require.Len(t, fetched.Tasks, 3)
	for _, task := range fetched.Tasks {
		require.FileExists(t, filepath.Join(task.Dir, "pi.json"))
	}
	_, hex, ok := strings.Cut(fetched.Tasks[1].Digest, ":")
	require.True(t, ok)
	blob := filepath.Join(filepath.Dir(g.net.ProviderHome()), "registry", "data", "blobs", "sha256", hex[:2], hex)
	honest, err := os.ReadFile(blob)
	require.NoError(t, err)
	info, err := os.Stat(blob)
	require.NoError(t, err)
	spoilt := bytes.Replace(honest, []byte(`"samples":1000`), []byte(`"samples":9999`), 1)
	require.NotEqual(t, honest, spoilt)
	// Size and time stay, so that the registry notices nothing and serves it.
	write := func(content []byte) {
		require.NoError(t, os.Chmod(blob, 0o600))
		require.NoError(t, os.WriteFile(blob, content, 0o600))
		require.NoError(t, os.Chtimes(blob, info.ModTime(), info.ModTime()))
	}
	write(spoilt)
	dir := filepath.Join(g.work, "spoilt")
	g.refused(t, g.net.DeveloperHome(), []string{"digest"}, "job", "result", id, "-o", dir, "--accept")
	require.NoFileExists(t, filepath.Join(dir, "1", "pi.json"))
	require.Equal(t, jobstypes.JOB_STATUS_OPEN, g.job(t, id).Status, "a spoilt result is not accepted")
	write(honest)
	g.settle(t, id, dir)
	g.lastJob = id
}

// spinner is a job that is still running while something is done to the grid.
func spinner(name string) job {
	return job{name: name, module: "spin.wasm", args: `"-rounds", "200000000"`, cap: "5FOG", deadline: 3600}
}

func (g *grid) killAgent(t *testing.T) {
	id := g.submit(t, spinner("agent"))
	g.agentRuns(t, id)
	require.NoError(t, g.net.StopAgent(t.Context(), true))
	require.NoError(t, g.net.StartAgent(t.Context(), g.agentArgs...))
	g.finish(t, id)
	require.Len(t, g.slices(t, id), 1)
	g.active(t)
}

func (g *grid) killOracle(t *testing.T) {
	id := g.submit(t, spinner("oracle"))
	g.interruptedWatch(t, id)
	g.running(t, id)
	const away = 3
	operator := g.net.State().Oracles[away].Operator
	require.NoError(t, g.net.StopOracle(t.Context(), away, true))
	g.finish(t, id)
	for _, s := range g.slices(t, id) {
		require.Len(t, s.AttestedBy, 3)
		require.NotContains(t, s.AttestedBy, operator)
	}
	g.startOracle(t, away)
}

// startOracle starts an oracle and waits until it votes in a round that was opened after that.
func (g *grid) startOracle(t *testing.T, i int) {
	t.Helper()
	back, err := g.chain.Height(t.Context())
	require.NoError(t, err)
	require.NoError(t, g.net.StartOracle(t.Context(), i))
	g.awaitVote(t, i, back)
}

// awaitVote waits until an oracle votes in a round that was opened after a height.
func (g *grid) awaitVote(t *testing.T, i int, back int64) {
	t.Helper()
	defer func() {
		if t.Failed() {
			g.autopsy(t, i)
		}
	}()
	operator := g.net.State().Oracles[i].Operator
	until(t, "the oracle to vote again", func() bool {
		rounds, err := oracletypes.NewQueryClient(g.chain.Latest()).Rounds(t.Context(), &oracletypes.QueryRoundsRequest{
			Pagination: &query.PageRequest{Reverse: true, Limit: 20},
		})
		require.NoError(t, err)
		for _, r := range rounds.Rounds {
			if _, voted := voteOf(r, operator); voted && r.OpenedHeight > back {
				return true
			}
		}
		return false
	})
}

// autopsy shows what an oracle does that should have voted: its standing on chain, and where its goroutines are.
func (g *grid) autopsy(t *testing.T, i int) {
	t.Helper()
	o := g.net.State().Oracles[i]
	standing, err := oracletypes.NewQueryClient(g.chain.Latest()).Oracle(t.Context(), &oracletypes.QueryOracleRequest{Operator: o.Operator})
	t.Logf("%s on chain: %v, error %v", o.Name, standing, err)
	if p, err := os.FindProcess(o.PID); err == nil {
		t.Logf("%s is asked for its stacks: error %v", o.Name, p.Signal(syscall.SIGQUIT))
		time.Sleep(2 * time.Second) // until they are written
	}
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(o.Home)), "logs", o.Name+".log"))
	t.Logf("the end of the log of %s, error %v:\n%s", o.Name, err, raw[max(0, len(raw)-30_000):])
}

// voteOf returns an oracle's vote in a round, if it has voted.
func voteOf(r oracletypes.Round, operator string) (oracletypes.RecordedVote, bool) {
	for _, v := range r.Votes {
		if v.Operator == operator {
			return v, true
		}
	}
	return oracletypes.RecordedVote{}, false
}

// interruptedWatch follows a job and is told to stop, as by ctrl-C.
func (g *grid) interruptedWatch(t *testing.T, id string) {
	t.Helper()
	cmd := g.command(g.net.DeveloperHome(), "job", "watch", id)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	first := make([]byte, 1) // it has begun
	_, err = io.ReadFull(stderr, first)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(stderr)
	require.NoError(t, err)
	var exit *exec.ExitError
	require.True(t, errors.As(cmd.Wait(), &exit), "an interrupted watch fails")
	require.Equal(t, 130, exit.ExitCode())
	require.Contains(t, string(rest), "interrupted")
}

func (g *grid) killValidator(t *testing.T) {
	id := g.submit(t, spinner("validator"))
	g.agentRuns(t, id)
	before, err := g.chain.Height(t.Context())
	require.NoError(t, err)
	require.NoError(t, g.net.StopValidator(t.Context(), 0, true))
	require.NoError(t, g.net.StartValidator(0))
	until(t, "the chain to go on", func() bool {
		height, err := g.chain.Height(t.Context())
		require.True(t, err == nil || errors.Is(err, chain.ErrUnavailable), "%v", err)
		return height > before
	})
	g.finish(t, id)
	require.Len(t, g.slices(t, id), 1)
}

func (g *grid) expired(t *testing.T, ids [2]string) {
	for _, id := range ids {
		until(t, "the deadline of "+id, func() bool { return g.job(t, id).Status == jobstypes.JOB_STATUS_CLOSED })
		g.allBack(t, id)
	}
}

// allBack checks that an expired job cost nothing.
func (g *grid) allBack(t *testing.T, id string) {
	t.Helper()
	j := g.job(t, id)
	require.Equal(t, jobstypes.CLOSE_REASON_EXPIRED, j.CloseReason)
	require.Zero(t, j.Paid)
	require.Zero(t, j.Fees)
	require.Equal(t, j.Funded, j.Refunded)
	g.takeBack(t, j)
}

func (g *grid) loseNode(t *testing.T) {
	g.active(t)
	before := g.provider(t)
	lost := g.nodeNow(t).Statistics.Lost
	j := spinner("lost")
	j.args, j.deadline = `"-rounds", "1000000000000000"`, 60
	id := g.submit(t, j)
	g.agentRuns(t, id)
	running := g.slices(t, id)[0]
	require.Equal(t, before.Locked+running.Collateral, g.provider(t).Locked)
	require.NoError(t, g.net.StopAgent(t.Context(), true))
	until(t, "the node to be INACTIVE", func() bool { return g.nodeNow(t).Status == nodestypes.NODE_STATUS_INACTIVE })
	until(t, id+" to be closed", func() bool { return g.job(t, id).Status == jobstypes.JOB_STATUS_CLOSED })
	slices := g.slices(t, id)
	require.Equal(t, jobstypes.SLICE_STATUS_LOST, slices[0].Status)
	require.Zero(t, slices[0].Paid)
	burned := running.Collateral * 5 / 100
	require.NotZero(t, burned)
	require.Equal(t, burned, slices[0].CollateralBurned)
	after := g.provider(t)
	require.Equal(t, before.Balance-burned, after.Balance, "5 % of the collateral is gone")
	require.Equal(t, before.Locked, after.Locked)
	require.Equal(t, lost+1, g.nodeNow(t).Statistics.Lost)
	g.allBack(t, id)
	holds, err := escrowtypes.NewQueryClient(g.chain.Latest()).Invariants(t.Context(), &escrowtypes.QueryInvariantsRequest{})
	require.NoError(t, err)
	require.True(t, holds.Holds, "%v", holds)
}

func (g *grid) down(t *testing.T) {
	p, err := profile.Load(g.net.ProviderHome())
	require.NoError(t, err)
	require.Equal(t, g.node, p.NodeID)
	home := filepath.Dir(g.net.ProviderHome())
	require.NotEmpty(t, processesOf(t, home))
	g.run(t, g.work, nil, "devnet", "down", "--dir", home)
	until(t, "processes to be gone", func() bool { return len(processesOf(t, home)) == 0 })
	for _, p := range g.net.Status() {
		require.False(t, p.Running, p.Name)
	}
}

// processesOf lists the command lines that name the devnet's folder.
func processesOf(t *testing.T, home string) (lines []string) {
	t.Helper()
	all, err := process.Processes()
	require.NoError(t, err)
	for _, p := range all {
		line, err := p.Cmdline()
		if err != nil { // it has just ended
			continue
		}
		if strings.Contains(line, home) && int(p.Pid) != os.Getpid() {
			lines = append(lines, line)
		}
	}
	return lines
}
