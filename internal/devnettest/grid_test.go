package devnettest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/profile"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// patience is how long anything may take on a busy machine. Nothing here is right or wrong for being slow.
const patience = 5 * time.Minute

// grid is the devnet under test, with the programs that were built for it.
type grid struct {
	net       *devnet.Devnet
	chain     *chain.Client
	bin, work string
	fog       string
	node      string
	agentArgs []string
	// lastJob is the newest one that completed.
	lastJob string
}

// newGrid builds the programs and the tasks and starts chain, registry and oracles, in a folder of its own.
func newGrid(t *testing.T, options devnet.Options) *grid {
	bin := programs(t)
	g := &grid{bin: bin, work: t.TempDir(), fog: filepath.Join(bin, "fog")}
	for _, task := range []string{"pi.wasm", "spin.wasm"} {
		require.NoError(t, os.Link(filepath.Join(bin, task), filepath.Join(g.work, task)))
	}
	home := filepath.Join(t.TempDir(), "net")
	options.Home, options.Fogd, options.Fog, options.Step = home, filepath.Join(bin, "fogd"), g.fog, t.Logf
	var err error
	g.net, err = devnet.New(options)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			g.showLogs(t, home)
		}
		if err := g.net.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	require.NoError(t, g.net.Up(t.Context()))
	g.chain, err = g.net.Dial()
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := g.chain.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// built is where the programs are, once the first test has built them.
var built struct {
	once sync.Once
	dir  string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(built.dir); err != nil { // of nothing, if nothing was built
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// programs builds fog, fogd and the tasks for all tests of the package and returns the folder that holds them.
func programs(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		var err error
		built.dir, err = os.MkdirTemp("", "devnettest")
		require.NoError(t, err)
		build(t, filepath.Join(built.dir, "fog"), "github.com/foggrid/fogd/cmd/fog")
		build(t, filepath.Join(built.dir, "fogd"), "github.com/foggrid/fogd/cmd/fogd")
		build(t, filepath.Join(built.dir, "pi.wasm"), "github.com/foggrid/fogd/examples/pi", "GOOS=wasip1", "GOARCH=wasm")
		build(t, filepath.Join(built.dir, "spin.wasm"), "./testdata/spin", "GOOS=wasip1", "GOARCH=wasm")
	})
	return built.dir
}

func build(t *testing.T, out, pkg string, env ...string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Env = append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "go build %s: %s", pkg, text)
}

// showLogs prints the end of each process's log.
func (g *grid) showLogs(t *testing.T, home string) {
	logs, err := filepath.Glob(filepath.Join(home, "logs", "*.log"))
	if err != nil {
		t.Error(err)
	}
	for _, name := range logs {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("the end of %s:\n%s", filepath.Base(name), raw[max(0, len(raw)-4000):])
	}
}

// command is fog as its user would call it.
func (g *grid) command(home string, args ...string) *exec.Cmd {
	cmd := exec.Command(g.fog, append([]string{"--home", home, "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "FOGD="+filepath.Join(g.bin, "fogd"))
	return cmd
}

// run calls fog, which must succeed, and reads its answer into out.
func (g *grid) run(t *testing.T, home string, out any, args ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := g.command(home, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "fog %s: %s", strings.Join(args, " "), &stderr)
	if out != nil {
		require.NoError(t, json.Unmarshal(stdout.Bytes(), out), "fog %s: %s", strings.Join(args, " "), &stdout)
	}
}

// refused calls fog, which must fail with exit code 1 and say all the words.
func (g *grid) refused(t *testing.T, home string, words []string, args ...string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := g.command(home, args...)
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &exit, "fog %s succeeded", strings.Join(args, " "))
	require.Equal(t, 1, exit.ExitCode(), "fog %s: %s", strings.Join(args, " "), &stderr)
	for _, word := range words {
		require.Contains(t, stderr.String(), word)
	}
}

func (g *grid) developer(t *testing.T, out any, args ...string) {
	t.Helper()
	g.run(t, g.net.DeveloperHome(), out, args...)
}

// job is what a job file of a test says; the other fields are the same for all.
type job struct {
	name, module, args, cap, constraint string
	// image is a Go package to run in a container in place of the module.
	image           string
	tasks, deadline int
	// cpu of a task; 250m if empty.
	cpu string
}

// file writes the job's file and returns its path.
func (g *grid) file(t *testing.T, j job) string {
	t.Helper()
	program := "module: " + j.module
	if j.image != "" {
		program = "engine: docker\nbuild: " + j.image
	}
	text := fmt.Sprintf("version: 1\nname: %s\n%s\nargs: [%s]\ntasks: %d\nresources: {cpu: %s, memory: 64MiB, storage: 1MiB}\n"+
		"price: {cap_per_task_hour: %s}\nmax_duration: 1h\ndeadline: %ds\n", j.name, program, j.args, max(1, j.tasks), cmp.Or(j.cpu, "250m"), j.cap, j.deadline)
	if j.constraint != "" {
		text += "constraints: {" + j.constraint + "}\n"
	}
	path := filepath.Join(g.work, j.name+".yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// submit sends a job and checks that its price is all that the developer's wallet loses besides the transaction's fee.
func (g *grid) submit(t *testing.T, j job) string {
	t.Helper()
	var out struct {
		JobID  string `json:"job_id"`
		Funded uint64 `json:"funded"`
	}
	path := g.file(t, j)
	g.requireChange(t, func() int64 {
		g.developer(t, &out, "job", "submit", path)
		return -int64(out.Funded)
	})
	return out.JobID
}

// requireChange checks that the developer's wallet changes by what act returns, less the fees of its transactions, to the ufog.
func (g *grid) requireChange(t *testing.T, act func() int64) {
	t.Helper()
	from, before := g.wallet(t)
	want := act()
	to, after := g.wallet(t)
	require.Equal(t, want, int64(after)-int64(before)+g.fees(t, from, to))
}

// wallet of the developer, and the height at which it was read.
func (g *grid) wallet(t *testing.T) (height int64, amount uint64) {
	t.Helper()
	height, err := g.chain.Height(t.Context())
	require.NoError(t, err)
	resp, err := banktypes.NewQueryClient(g.chain.AtHeight(height)).Balance(t.Context(), &banktypes.QueryBalanceRequest{
		Address: g.net.State().Developer, Denom: escrowtypes.Denom,
	})
	require.NoError(t, err)
	return height, resp.Balance.Amount.Uint64()
}

// fees that the developer paid after one height and up to another.
func (g *grid) fees(t *testing.T, from, to int64) (sum int64) {
	t.Helper()
	if from == to {
		return 0
	}
	errEnd := errors.New("end")
	err := g.chain.Follow(t.Context(), from+1, func(_ context.Context, block chain.Block) error {
		for _, tx := range block.Txs {
			var payer string
			var fee int64
			for _, e := range tx.Events {
				for _, a := range e.Attributes {
					switch {
					case e.Type == sdk.EventTypeTx && a.Key == sdk.AttributeKeyFeePayer:
						payer = a.Value
					case e.Type == sdk.EventTypeTx && a.Key == sdk.AttributeKeyFee && a.Value != "":
						coins, err := sdk.ParseCoinsNormalized(a.Value)
						if err != nil {
							return err
						}
						fee = coins.AmountOf(escrowtypes.Denom).Int64()
					}
				}
			}
			if payer == g.net.State().Developer {
				sum += fee
			}
		}
		if block.Height >= to {
			return errEnd
		}
		return nil
	})
	require.ErrorIs(t, err, errEnd)
	return sum
}

func (g *grid) job(t *testing.T, id string) jobstypes.Job {
	t.Helper()
	resp, err := jobstypes.NewQueryClient(g.chain.Latest()).Job(t.Context(), &jobstypes.QueryJobRequest{Id: id})
	require.NoError(t, err)
	return resp.Job
}

func (g *grid) slices(t *testing.T, id string) []jobstypes.Slice {
	t.Helper()
	resp, err := jobstypes.NewQueryClient(g.chain.Latest()).Slices(t.Context(), &jobstypes.QuerySlicesRequest{JobId: id})
	require.NoError(t, err)
	return resp.Slices
}

func (g *grid) nodeNow(t *testing.T) nodestypes.Node {
	t.Helper()
	resp, err := nodestypes.NewQueryClient(g.chain.Latest()).Node(t.Context(), &nodestypes.QueryNodeRequest{Id: g.node})
	require.NoError(t, err)
	return resp.Node
}

// provider is the provider's escrow account.
func (g *grid) provider(t *testing.T) escrowtypes.Account {
	t.Helper()
	owner, err := g.chain.Codec().Accounts().StringToBytes(g.net.State().Provider)
	require.NoError(t, err)
	return g.account(t, escrowtypes.ProviderAccountID(owner).Bech32(escrowtypes.AccountHRP))
}

func (g *grid) account(t *testing.T, id string) escrowtypes.Account {
	t.Helper()
	resp, err := escrowtypes.NewQueryClient(g.chain.Latest()).Account(t.Context(), &escrowtypes.QueryAccountRequest{Id: id})
	require.NoError(t, err)
	return resp.Account
}

// broadcaster signs with a key of a home.
func (g *grid) broadcaster(t *testing.T, home, key string) *chain.Broadcaster {
	t.Helper()
	p, err := profile.Load(home)
	require.NoError(t, err)
	store, closeStore, err := g.net.OpenSecrets(t.Context(), home)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := closeStore(); err != nil {
			t.Log(err)
		}
	})
	b, err := p.Broadcaster(t.Context(), g.chain, store, key)
	require.NoError(t, err)
	return b
}

// until asks until the answer is yes.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !yes(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited for %s", what)
		}
	}
}

// running waits until the job's only slice is on the node.
func (g *grid) running(t *testing.T, id string) {
	t.Helper()
	until(t, id+" to run", func() bool {
		counts := g.job(t, id).Counts
		require.Zero(t, counts.Expired+counts.Cancelled+counts.Lost, "the job must run, but it is %v", counts)
		return counts.Pending == 0
	})
}

// agentRuns waits until the agent has begun a task of the job.
func (g *grid) agentRuns(t *testing.T, id string) {
	t.Helper()
	g.running(t, id)
	until(t, "the agent to start "+id, func() bool {
		started, err := filepath.Glob(filepath.Join(g.net.ProviderHome(), "agent", "runs", "attempts", id+"_*", "tasks", "*"))
		require.NoError(t, err)
		return len(started) > 0 || g.job(t, id).Counts.Matched == 0
	})
}
