// Package demo tells the story of one job on a fresh devnet, with the commands that a stranger would type, and checks what the chain
// says of it: that the job completed, that the result is the one on chain, and that no ufog was lost or made.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cosmos/cosmos-sdk/types/query"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/profile"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// Options of a demo.
type Options struct {
	// JobFile is the job to run.
	JobFile string
	// Out is the folder for the report and the result.
	Out string
	// Keep leaves the devnet's folder for a look; its processes are ended all the same.
	Keep    bool
	Oracles int
	// Fogd and Fog are the programs.
	Fogd, Fog string
	// Timeline gets a line for each step, Noise what the commands say on standard error.
	Timeline io.Writer
	Noise    io.Writer
}

// story is a demo under way.
type story struct {
	opts   Options
	net    *devnet.Devnet
	client *chain.Client
	start  time.Time
	report Report
}

// waitLimit is how long any one step may take on a slow machine.
const waitLimit = 5 * time.Minute

// Run tells the story. The error says what did not come true; the report is written as far as it got.
func Run(ctx context.Context, opts Options) (report Report, path string, err error) {
	if _, err := os.Stat(opts.JobFile); err != nil {
		return Report{}, "", fmt.Errorf("job file: %w; run the demo in a checkout, or name a job file with --job", err)
	}
	home, err := os.MkdirTemp("", "fog-demo-")
	if err != nil {
		return Report{}, "", err
	}
	s := &story{opts: opts, start: time.Now()}
	s.net, err = devnet.New(devnet.Options{
		Home: home, Validators: 1, Oracles: opts.Oracles, Fogd: opts.Fogd, Fog: opts.Fog, Step: s.step,
	})
	if err != nil {
		return Report{}, "", err
	}
	defer func() {
		// The story's context may have ended; what it started must end too.
		end := context.WithoutCancel(ctx)
		var stop error
		if s.client != nil {
			stop = s.client.Close()
		}
		if opts.Keep {
			stop = errors.Join(stop, s.net.Down(end))
			s.step("devnet kept in %s", home)
		} else {
			stop = errors.Join(stop, s.net.Reset(end), os.RemoveAll(home))
		}
		err = errors.Join(err, stop)
	}()
	err = s.tell(ctx)
	s.report.Seconds = time.Since(s.start).Seconds()
	path, writeErr := s.report.write(opts.Out)
	return s.report, path, errors.Join(err, writeErr)
}

// step adds a line to the timeline.
func (s *story) step(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	second := time.Since(s.start).Seconds()
	s.report.Steps = append(s.report.Steps, Step{Second: second, Text: text})
	_, err := fmt.Fprintf(s.opts.Timeline, "%6.1fs  %s\n", second, text)
	if err != nil { // a closed terminal must not stop the demo
		s.opts.Timeline = io.Discard
	}
}

func (s *story) tell(ctx context.Context) error {
	if err := s.net.Up(ctx); err != nil {
		return err
	}
	var err error
	if s.client, err = s.net.Dial(); err != nil {
		return err
	}
	state := s.net.State()
	s.report.ChainID = state.ChainID
	balances := &s.report.Balances
	balances.Developer.Address, balances.Provider.Address = state.Developer, state.Provider
	for _, o := range state.Oracles {
		balances.Oracles = append(balances.Oracles, Purse{Address: o.Operator})
	}
	height, err := s.client.Height(ctx)
	if err != nil {
		return err
	}
	if err := balances.snapshot(ctx, s.client, height, false); err != nil {
		return err
	}
	if err := s.register(ctx); err != nil {
		return err
	}
	if err := s.runJob(ctx); err != nil {
		return err
	}
	return s.close(ctx)
}

// fog runs one command as its user would.
func (s *story) fog(ctx context.Context, home string, args ...string) error {
	s.step("$ fog %s", strings.Join(args, " "))
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, s.opts.Fog, append([]string{"--home", home, "--output", "json"}, args...)...) //nolint:gosec // this very program; there is no shell
	cmd.Stderr = io.MultiWriter(&stderr, s.opts.Noise)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("fog %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// register benchmarks this machine, declares it and waits until the oracles have verified it.
func (s *story) register(ctx context.Context) error {
	home := s.net.ProviderHome()
	if err := s.fog(ctx, home, "node", "register", "--salt", "demo", "--region", "local", "--datacenter", "home", "--memory", "1GiB",
		"--price-cpu", "2FOG", "--price-memory", "0.5FOG", "--price-storage", "0.1FOG", "--deposit", "100FOG"); err != nil {
		return err
	}
	p, err := profile.Load(home)
	if err != nil {
		return err
	}
	s.step("node %s is registered with a deposit of 100 FOG; the oracles challenge it", p.NodeID)
	if err := s.net.StartAgent(ctx); err != nil {
		return err
	}
	queries := nodestypes.NewQueryClient(s.client.Latest())
	var node nodestypes.Node
	err = s.until(ctx, "the node to be ACTIVE", func(ctx context.Context) (bool, error) {
		resp, err := queries.Node(ctx, &nodestypes.QueryNodeRequest{Id: p.NodeID})
		if err != nil {
			return false, err
		}
		node = resp.Node
		if !node.Status.Live() || node.Status == nodestypes.NODE_STATUS_JAILED {
			return false, fmt.Errorf("the node is %s: it did not reach what it declared", node.Status)
		}
		return node.Status == nodestypes.NODE_STATUS_ACTIVE, nil
	})
	s.report.Node = NodeReport{ID: node.Id, Status: node.Status.String(), Declared: node.Declared, Measured: node.Measured}
	if err != nil {
		return err
	}
	m := node.Measured
	s.step("a quorum verified it: %d squarings/s on one core, %d on all, %d MiB of memory at %d MiB/s, disk %d MiB/s",
		m.CpuSingle, m.CpuAll, m.MemoryMib, m.MemoryBandwidth, m.DiskRead)
	return nil
}

// runJob submits the job, follows it to its result and accepts that.
func (s *story) runJob(ctx context.Context) error {
	home := s.net.DeveloperHome()
	if err := s.fog(ctx, home, "job", "submit", s.opts.JobFile); err != nil {
		return err
	}
	queries := jobstypes.NewQueryClient(s.client.Latest())
	list, err := queries.Jobs(ctx, &jobstypes.QueryJobsRequest{Owner: s.net.State().Developer})
	if err != nil {
		return err
	}
	if len(list.Jobs) != 1 {
		return fmt.Errorf("the developer has %d jobs on chain, not the one that was submitted", len(list.Jobs))
	}
	job := list.Jobs[0]
	s.step("job %s: %d tasks, %d ufog in escrow", job.Id, job.Tasks, job.Funded)
	var seen jobstypes.TaskCounts
	err = s.until(ctx, "the job's outcome to be attested", func(ctx context.Context) (bool, error) {
		resp, err := queries.Job(ctx, &jobstypes.QueryJobRequest{Id: job.Id})
		if err != nil {
			return false, err
		}
		job = resp.Job
		if c := job.Counts; c != seen {
			seen = c
			s.step("tasks: %d pending, %d running, %d attested, %d succeeded, %d failed", c.Pending, c.Matched, c.Reported, c.Succeeded, c.Failed)
		}
		return seen.Pending+seen.Matched == 0, nil
	})
	if err != nil {
		return err
	}
	result := filepath.Join(s.opts.Out, "result")
	if err := os.RemoveAll(result); err != nil {
		return err
	}
	if err := s.fog(ctx, home, "job", "result", job.Id, "-o", result, "--accept"); err != nil {
		return err
	}
	s.report.ResultVerified = true
	s.step("the result has the digests that are on chain and is accepted")
	err = s.until(ctx, "the job to be closed", func(ctx context.Context) (bool, error) {
		resp, err := queries.Job(ctx, &jobstypes.QueryJobRequest{Id: job.Id})
		job = resp.GetJob()
		return err == nil && job.Status == jobstypes.JOB_STATUS_CLOSED, err
	})
	s.report.Job = JobReport{
		ID: job.Id, Status: job.Status.String(), CloseReason: job.CloseReason.String(), Tasks: job.Tasks, Succeeded: job.Counts.Succeeded,
		Funded: job.Funded, Paid: job.Paid, Fees: job.Fees, Refunded: job.Refunded,
	}
	if err != nil {
		return err
	}
	slices, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*jobstypes.QuerySlicesResponse, error) {
		return queries.Slices(ctx, &jobstypes.QuerySlicesRequest{JobId: job.Id, Pagination: page})
	}, func(r *jobstypes.QuerySlicesResponse) []jobstypes.Slice { return r.Slices })
	if err != nil {
		return err
	}
	for _, slice := range slices {
		s.report.Assignments = append(s.report.Assignments, assignment(slice))
	}
	s.step("settled: the provider is paid %d ufog, the oracles %d, the developer gets %d back", job.Paid, job.Fees, job.Refunded)
	return s.fog(ctx, home, "job", "withdraw", job.Id)
}

// close reads the books and judges the story.
func (s *story) close(ctx context.Context) error {
	height, err := s.client.Height(ctx)
	if err != nil {
		return err
	}
	b := &s.report.Balances
	if err := b.snapshot(ctx, s.client, height, true); err != nil {
		return err
	}
	params, err := nodestypes.NewQueryClient(s.client.Latest()).Params(ctx, &nodestypes.QueryParamsRequest{})
	if err != nil {
		return err
	}
	if err := b.countFees(ctx, s.client, params.Params.RegistrationFee); err != nil {
		return err
	}
	s.report.Conserved = b.conserved()
	if err := s.readOracles(ctx); err != nil {
		return err
	}
	s.step("developer %+d, provider %+d, oracles %+d ufog; fees %d; conserved: %t",
		change(b.Developer), change(b.Provider), change(b.Oracles...), b.Fees, s.report.Conserved)
	switch {
	case s.report.Job.CloseReason != jobstypes.CLOSE_REASON_COMPLETED.String():
		return fmt.Errorf("the job ended as %s, not completed", s.report.Job.CloseReason)
	case !s.report.ResultVerified:
		return errors.New("the result was not verified")
	case !s.report.Conserved:
		return errors.New("ufog were lost or made: see balances in the report")
	}
	return nil
}

func change(purses ...Purse) int64 {
	sum := int64(0)
	for _, p := range purses {
		sum += int64(p.after()) - int64(p.before())
	}
	return sum
}

// readOracles reports the set and its rounds.
func (s *story) readOracles(ctx context.Context) error {
	queries := oracletypes.NewQueryClient(s.client.Latest())
	rounds, err := chain.Collect(ctx, func(ctx context.Context, page *query.PageRequest) (*oracletypes.QueryRoundsResponse, error) {
		return queries.Rounds(ctx, &oracletypes.QueryRoundsRequest{Pagination: page})
	}, func(r *oracletypes.QueryRoundsResponse) []oracletypes.Round { return r.Rounds })
	if err != nil {
		return err
	}
	votes := map[string]int{}
	for _, r := range rounds {
		resp, err := queries.Round(ctx, &oracletypes.QueryRoundRequest{Id: r.Id})
		if err != nil {
			return err
		}
		for _, v := range resp.Votes {
			votes[v.Operator]++
		}
		s.report.Rounds = append(s.report.Rounds, roundReport(r, len(resp.Votes)))
	}
	for _, o := range s.net.State().Oracles {
		resp, err := queries.Oracle(ctx, &oracletypes.QueryOracleRequest{Operator: o.Operator})
		if err != nil {
			return err
		}
		s.report.Oracles = append(s.report.Oracles, OracleReport{
			Operator: o.Operator, Active: resp.Active, Bond: resp.Oracle.Bond, Votes: votes[o.Operator],
		})
	}
	return nil
}

// until asks again until the answer is yes.
func (s *story) until(ctx context.Context, what string, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for {
		done, err := ask(ctx)
		if err == nil && done {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-time.After(250 * time.Millisecond):
		}
	}
}
