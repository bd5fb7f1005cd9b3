package selftest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/challenge"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

const agentVariable = "FOG_SELFTEST_AGENT"

// TestMain makes the test's own binary the program of the agents.
func TestMain(m *testing.M) {
	if os.Getenv(agentVariable) != "" {
		if err := Serve(context.Background(), os.Stdin); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// A thousand registrations of each kind, with the noise that was recorded on a busy machine, and brought to 5 %.
func TestThousandRegistrations(t *testing.T) {
	recording, err := BuiltIn()
	require.NoError(t, err)
	for _, scatter := range []int{0, 5} {
		report, err := Simulate(recording, Rounds{Registrations: 1000, Scatter: scatter, Seed: 1})
		require.NoError(t, err)
		t.Logf("noise of %.1f %%: honest %+v, overdeclared cpu %+v, memory %+v, shared %+v",
			report.ScatterPercent, report.Honest, report.OverdeclaredCPU, report.OverdeclaredMemory, report.Shared)
		require.NoError(t, report.Passes())
		for _, o := range []Outcome{report.OverdeclaredCPU, report.OverdeclaredMemory, report.Shared} {
			require.GreaterOrEqual(t, o.Short*100, 99*o.Benchmarks, "also in a single benchmark")
		}
		again, err := Simulate(recording, Rounds{Registrations: 1000, Scatter: scatter, Seed: 1})
		require.NoError(t, err)
		require.Equal(t, report, again, "the same seed")
	}
}

// What limits it: noise so strong that honest machines fall short, and a processor that makes a block of memory about as fast as
// the walk may step.
func TestWhatIsNotCaught(t *testing.T) {
	recording, err := BuiltIn()
	require.NoError(t, err)
	wild, err := Simulate(recording, Rounds{Registrations: 200, Scatter: 300, Seed: 1})
	require.NoError(t, err)
	require.ErrorContains(t, wild.Passes(), "honest machines were refused")

	recording.StepNanos = 400
	for miss, caught := range map[uint64]bool{16_000: true, 40_000: true, 7_500: false} {
		recording.MissNanos = miss
		report, err := Simulate(recording, Rounds{Registrations: 200, Scatter: 5, Seed: 1})
		require.NoError(t, err)
		if caught {
			require.NoError(t, report.Passes(), "%d ns a block", miss)
		} else {
			require.ErrorContains(t, report.Passes(), AttackOverdeclareMemory)
		}
	}
}

func TestRecordAndParse(t *testing.T) {
	_, err := Record(t.Context(), t.TempDir(), leastTries-1)
	require.ErrorContains(t, err, "too few")
	recording, err := Record(t.Context(), t.TempDir(), leastTries)
	require.NoError(t, err)
	data, err := json.Marshal(recording)
	require.NoError(t, err)
	again, err := Parse(data)
	require.NoError(t, err)
	require.Equal(t, recording, again)
	require.Greater(t, recording.MissNanos, recording.StepNanos)

	for _, bad := range []string{``, `{}`, `{"cpu_single":[1,1,1,1,1,1,1,0]}`} {
		_, err := Parse([]byte(bad))
		require.Error(t, err, bad)
	}
	recording.MissNanos = recording.StepNanos
	data, err = json.Marshal(recording)
	require.NoError(t, err)
	_, err = Parse(data)
	require.ErrorContains(t, err, "a miss")
}

// FuzzParse: whatever a recording holds, it is refused or can be replayed.
func FuzzParse(f *testing.F) {
	f.Add(builtIn)
	f.Add([]byte(`{"cpu_single":[1,2]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		recording, err := Parse(data)
		if err != nil {
			return
		}
		for _, scatter := range []int{0, 5} {
			if _, err := Simulate(recording, Rounds{Registrations: 1, Scatter: scatter}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The attacks that need no root, against agents in processes of their own. What is said of the machine itself is not looked at here, since it may be busy.
func TestAttacksAreCaught(t *testing.T) {
	for _, attack := range []string{AttackOverdeclareCPU, AttackOverdeclareMemory} {
		t.Run(attack, func(t *testing.T) {
			result, err := Run(t.Context(), Options{
				Attack: attack, Dir: t.TempDir(), Budget: time.Second,
				Agent: func(ctx context.Context) *exec.Cmd {
					c := exec.CommandContext(ctx, os.Args[0])
					c.Env = append(os.Environ(), agentVariable+"=1")
					return c
				},
			})
			require.NoError(t, err)
			require.Len(t, result.Nodes, 1)
			require.NotZero(t, result.Nodes[0].Measured.CpuAll)
			require.NotZero(t, result.Nodes[0].Measured.BandwidthKbit)
			require.Equal(t, string(nodestypes.VerdictBelow), result.Nodes[0].Verdict)
			require.True(t, result.AsExpected)
		})
	}
	_, err := Run(t.Context(), Options{Attack: "magic", Dir: t.TempDir(), Budget: time.Second})
	require.ErrorContains(t, err, "no attack")
}

func TestAgentRefusesWhatIsNotASpec(t *testing.T) {
	for _, in := range []string{"", "{", `{"oracle_key":"x"}`, `{"seed":"00"}`} {
		require.Error(t, Serve(t.Context(), bytes.NewBufferString(in)), in)
	}
	// One whose parent has gone ends by itself.
	spec, err := json.Marshal(agentSpec{
		Node: "node1x", Endpoint: "127.0.0.1:1", OracleKey: string(bytes.Repeat([]byte("0a"), 32)), Seed: string(bytes.Repeat([]byte("0b"), 32)),
		Limits: challenge.Limits{Cores: 1},
	})
	require.NoError(t, err)
	require.NoError(t, Serve(t.Context(), io.MultiReader(bytes.NewReader(spec))))
}
