package nomaddesk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// Variables that make the test binary an oracle.
const (
	childURL      = "FOG_TEST_DESK_CHAIN"
	childRegistry = "FOG_TEST_DESK_REGISTRY"
	childNomad    = "FOG_TEST_DESK_NOMAD"
	childDir      = "FOG_TEST_DESK_DIR"
	childOracle   = "FOG_TEST_DESK_ORACLE"
)

const rankPause = 300 * time.Millisecond

// childMain is an oracle in a process of its own, as far as Nomad is concerned. It does not return.
func childMain() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "oracle process:", err)
			os.Exit(1)
		}
	}
	oracle, err := strconv.Atoi(os.Getenv(childOracle))
	fail(err)
	registry, err := client.New(os.Getenv(childRegistry))
	fail(err)
	chain := remote{os.Getenv(childURL)}
	d, err := New(Options{
		Dir: os.Getenv(childDir), Regions: []nomad.Region{{Name: testRegion, Address: os.Getenv(childNomad)}}, Runner: nomad.Image{Ref: testImage},
		Chain: chain, Registry: registry, ContentURL: os.Getenv(childRegistry), RankPause: rankPause, SweepEvery: 200 * time.Millisecond,
		Log:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		retryMin: 20 * time.Millisecond, retryMax: 200 * time.Millisecond, adoptEvery: 20 * time.Millisecond,
	})
	fail(err)
	ctx := context.Background()
	go func() { fail(d.Run(ctx)) }()
	var mu sync.Mutex
	busy := map[dispatch.AttemptID]bool{}
	for ; ; time.Sleep(20 * time.Millisecond) {
		open, err := chain.open(ctx, oracle)
		fail(err)
		for _, s := range open {
			id := handover.ID(s)
			mu.Lock()
			known := busy[id]
			busy[id] = true
			mu.Unlock()
			if known {
				continue
			}
			go func() {
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					delete(busy, id)
				}()
				report, err := d.Report(ctx, s, (oracle+int(s.Number))%oracles)
				if errors.Is(err, errOver) { // a quorum was faster
					return
				}
				if err == nil {
					err = chain.vote(ctx, oracle, report)
				}
				fail(err)
			}()
		}
	}
}

// oracleProcess starts an oracle that keeps its files over its restarts.
func (c *court) oracleProcess(i int, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+c.url, childRegistry+"="+c.world.url, childNomad+"="+c.nomad.URL,
		childDir+"="+filepath.Join(dir, strconv.Itoa(i)), childOracle+"="+strconv.Itoa(i))
	cmd.Stderr = testWriter{c.t}
	require.NoError(c.t, cmd.Start())
	return cmd
}

// TestKilledOracles kills the processes of oracles at random points between match and attestation, one after the other, while slices keep being matched.
// No attempt is registered or run twice, none is paid twice, none is forgotten.
func TestKilledOracles(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 10
	}
	c := newCourt(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	var running [oracles]*exec.Cmd
	for i := range running {
		running[i] = c.oracleProcess(i, dir)
	}
	t.Cleanup(func() {
		for _, cmd := range running {
			if err := cmd.Process.Kill(); err != nil {
				t.Errorf("an oracle's process ended by itself: %v", err)
			}
			require.Error(t, cmd.Wait())
		}
	})
	job := c.job("job1killed", uint32(2*kills), "report")
	midway := 0
	for k := range kills {
		s := c.match(job, uint32(k), uint32(2*k), 2)
		// From before the first oracle's turn until after the votes of most.
		time.Sleep(time.Duration(random.Int64N(int64(600 * time.Millisecond))))
		victim := random.IntN(oracles)
		require.NoError(t, running[victim].Process.Kill(), "oracle %d ended by itself", victim)
		require.Error(t, running[victim].Wait())
		if now, err := c.Slice(t.Context(), job.Id, s.Number); err == nil && now.Status == jobstypes.SLICE_STATUS_MATCHED {
			midway++
		}
		running[victim] = c.oracleProcess(victim, dir)
	}
	c.eventually("every attempt is attested", func() bool { return c.settled() == kills })
	c.eventually("every job is ended", func() bool {
		for k := range kills {
			if !c.nomad.Stopped("default", nomad.JobID(dispatch.AttemptID{Job: job.Id, Slice: uint32(k), Attempt: 1}, testNode)) {
				return false
			}
		}
		return true
	})
	require.Equal(t, kills, c.nomad.Registrations())
	for k := range kills {
		id := dispatch.AttemptID{Job: job.Id, Slice: uint32(k), Attempt: 1}
		require.Equal(t, 2, c.nomad.Placed("default", nomad.JobID(id, testNode)), "allocations of %s", id)
		require.Equal(t, 1, c.paid[id], "payments of %s", id)
	}
	require.Empty(t, c.fault)
	require.Positive(t, midway, "no kill fell between match and attestation")
	t.Logf("%d of %d kills fell between match and attestation", midway, kills)
	c.eventually("nothing is kept", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, "*", "job1killed*"))
		require.NoError(t, err)
		return len(left) == 0
	})
}
