package selftest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/agent/bench"
	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// The attacks that Run knows; the empty one is an honest machine.
const (
	AttackCPUQuota          = "cpu-quota"
	AttackSwap              = "swap"
	AttackShared            = "shared"
	AttackOverdeclareCPU    = "overdeclare-cpu"
	AttackOverdeclareMemory = "overdeclare-memory"
)

// Attacks are all of them.
func Attacks() []string {
	return []string{AttackCPUQuota, AttackSwap, AttackShared, AttackOverdeclareCPU, AttackOverdeclareMemory}
}

// ErrCannotAttack means that this machine does not let the attack be made: it needs root, cgroups, or swap.
var ErrCannotAttack = errors.New("the attack cannot be made here")

// Options of Run.
type Options struct {
	// Attack is one of Attacks, or empty.
	Attack string
	// Budget of the benchmark by which is declared; 3 s.
	Budget time.Duration
	// Dir is where the disk is measured and a swap file made.
	Dir string
	// Agent makes the command of an agent's process, which calls Serve.
	Agent func(ctx context.Context) *exec.Cmd
	Log   *slog.Logger
}

// Node is what was found of one node.
type Node struct {
	Declared nodestypes.Benchmark `json:"declared"`
	Measured nodestypes.Benchmark `json:"measured"`
	// Verdict of the chain by its default params, and the figure that decided.
	Verdict string `json:"verdict"`
	Figure  string `json:"figure"`
}

// Result of Run.
type Result struct {
	Attack string `json:"attack"`
	Nodes  []Node `json:"nodes"`
	// Caught says that a node fell so short that it is not let in.
	Caught bool `json:"caught"`
	// AsExpected says that an attack was caught, or an honest machine was not.
	AsExpected bool `json:"as_expected"`
}

const (
	// attackMiB is the memory that agents declare: enough to be real, little enough for any machine.
	attackMiB = 256
	// agentMiB is what the process takes besides.
	agentMiB = 48

	// Time of the tries that are made together.
	togetherWindow, togetherStep = 2200 * time.Millisecond, 5500 * time.Millisecond
)

// Run makes one attack, or measures an honest machine, and judges it as the chain does.
func Run(ctx context.Context, opts Options) (result Result, err error) {
	result.Attack = opts.Attack
	speeds, err := bench.Run(ctx, bench.Options{Budget: max(opts.Budget, time.Second), Dir: opts.Dir, MemoryMiB: attackMiB})
	if err != nil {
		return result, err
	}
	promised := speeds.Promise()
	declared := challenge.Declared{
		Cores: promised.Cores, CPUSingle: promised.CPUSingle, CPUAll: promised.CPUAll, MemoryMiB: attackMiB,
		MemoryBandwidthMiB: promised.MemoryBandwidthMiB, DiskReadMiB: promised.DiskReadMiB, StorageMiB: 1024,
	}
	agents := make([]agentSpec, 1)
	agents[0].Limits = challenge.Limits{Cores: declared.Cores, MemoryMiB: attackMiB, DiskMiB: 128, Dir: opts.Dir}
	var group limits
	switch opts.Attack {
	case "":
	case AttackOverdeclareCPU:
		declared.CPUSingle, declared.CPUAll = 2*speeds.CPUSingle, 2*speeds.CPUAll
	case AttackOverdeclareMemory:
		declared.MemoryBandwidthMiB = 0 // its speed would give it away too
		agents[0].Limits.HoldMiB = attackMiB / 2
	case AttackCPUQuota:
		group.milliCPU = 500 * uint64(declared.Cores)
	case AttackSwap:
		declared.MemoryBandwidthMiB = 0
		group.memoryMiB = attackMiB/2 + agentMiB
		off, swapErr := swapOn(ctx, opts.Dir, attackMiB)
		if swapErr != nil {
			return result, fmt.Errorf("%w: %w", ErrCannotAttack, swapErr)
		}
		defer func() { err = errors.Join(err, off()) }()
	case AttackShared:
		// All that two agents on one machine are challenged for at once.
		declared = challenge.Declared{Cores: declared.Cores, CPUAll: declared.CPUAll}
		agents = append(agents, agents[0])
	default:
		return result, fmt.Errorf("there is no attack %q", opts.Attack)
	}
	declared.FillMiB = challenge.MemoryFill(declared, 0, time.Minute)
	if result.Nodes, err = measure(ctx, opts, declared, agents, group); err != nil {
		return result, err
	}
	for _, n := range result.Nodes {
		result.Caught = result.Caught || n.Verdict == string(nodestypes.VerdictBelow)
	}
	result.AsExpected = result.Caught == (opts.Attack != "")
	return result, nil
}

// measure plays the oracle of the agents.
func measure(ctx context.Context, opts Options, declared challenge.Declared, agents []agentSpec, group limits) (nodes []Node, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	book := registry{}
	for i := range agents {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		agents[i].Node, agents[i].Seed = fmt.Sprintf("node1selftest%d", i), hex.EncodeToString(private.Seed())
		book[string(public)] = agents[i].Node
	}
	server, err := link.NewServer(link.ServerOptions{Key: key, OracleID: oracleID, Registry: book, Log: opts.Log})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Close()
		err = errors.Join(err, <-served)
	}()
	cage, err := newCage(group)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotAttack, err)
	}
	defer func() { err = errors.Join(err, cage.remove()) }()
	ctx, cancel := context.WithCancel(ctx)
	processes, ctx := errgroup.WithContext(ctx)
	// First, so that the cage is empty when it is removed.
	defer func() {
		cancel()
		if waitErr := processes.Wait(); err == nil && !errors.Is(waitErr, context.Canceled) {
			err = waitErr
		}
	}()
	for i := range agents {
		agents[i].Endpoint, agents[i].OracleKey = listener.Addr().String(), hex.EncodeToString(key.Public().(ed25519.PublicKey))
		processes.Go(func() error { return runAgent(ctx, opts, agents[i], cage) })
	}
	return challengeAll(ctx, server, declared, agents)
}

// challengeAll measures one node whole, and several at the same instants.
func challengeAll(ctx context.Context, server *link.Server, declared challenge.Declared, agents []agentSpec) ([]Node, error) {
	sessions := make([]*link.Session, len(agents))
	for i := range agents {
		var err error
		if sessions[i], err = await(ctx, server, agents[i].Node); err != nil {
			return nil, err
		}
	}
	measured := make([]challenge.Measurement, len(agents))
	if len(sessions) == 1 {
		var err error
		measured[0], err = sessions[0].Measure(ctx, declared)
		return judge(declared, measured), err
	}
	together := &challenge.Together{Window: togetherWindow}
	for i := range 3 {
		together.Tries = append(together.Tries, time.Now().Add(time.Second+time.Duration(i)*togetherStep))
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, session := range sessions {
		g.Go(func() (err error) {
			measured[i], err = session.Challenge(ctx, challenge.Spec{Kind: challenge.CPUAll, Declared: declared, Together: together})
			return err
		})
	}
	err := g.Wait()
	return judge(declared, measured), err
}

func judge(declared challenge.Declared, measured []challenge.Measurement) []Node {
	var nodes []Node
	for _, m := range measured {
		n := Node{Declared: benchmarkOf(declared), Measured: measuredOf(m)}
		verdict, _, figure := nodestypes.Judge(n.Declared, n.Measured, nodestypes.DefaultParams())
		n.Verdict, n.Figure = string(verdict), figure
		nodes = append(nodes, n)
	}
	return nodes
}

// await returns the session of a node as soon as its agent has connected.
func await(ctx context.Context, server *link.Server, node string) (*link.Session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the agent's process did not connect within a minute"))
	defer cancel()
	for {
		if session, ok := server.Session(node); ok {
			return session, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// runAgent runs one agent's process in the cage until the context ends.
func runAgent(ctx context.Context, opts Options, spec agentSpec, cage *cage) error {
	cmd := opts.Agent(ctx)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start an agent: %w", err)
	}
	// It waits for its spec, so it is in the cage before it does anything.
	err = errors.Join(cage.take(cmd.Process.Pid), json.NewEncoder(in).Encode(spec))
	if err != nil {
		err = errors.Join(err, cmd.Process.Kill())
	}
	waitErr := cmd.Wait()
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("an agent's process has ended: %w", waitErr)
}
