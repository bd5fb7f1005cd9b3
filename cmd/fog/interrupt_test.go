package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/classify/gen"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// mute accepts connections and never answers, as a chain or a registry that hangs. heard gets a value for each connection.
func mute(t *testing.T) (addr string, heard <-chan struct{}) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	connections := make(chan struct{}, 1000)
	var open []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			open = append(open, conn)
			connections <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, lis.Close())
		<-done
		for _, conn := range open {
			_ = conn.Close() // the peer was killed
		}
	})
	return lis.Addr().String(), connections
}

// fog is the program in a home of its own.
func fog(ctx context.Context, home string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Args = append([]string{"fog"}, args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "FOG_HOME="+filepath.Join(home, "fog"))
	return cmd
}

// Each command that waits for others ends in order when it is interrupted: exit code 130, a word on stderr, nothing on stdout.
func TestInterruptEachCommandThatWaits(t *testing.T) {
	owner := make([]byte, 20)
	job := jobstypes.JobID(owner, []byte("salt")).Bech32(jobstypes.JobHRP)
	node := nodestypes.NodeID(owner, "salt").Bech32(nodestypes.NodeHRP)
	address, err := sdk.Bech32ifyAddressBytes(chain.Bech32Prefix, owner)
	require.NoError(t, err)
	home := t.TempDir()
	out, err := fog(t.Context(), home, "keys", "add", "main", "--keyring", "test").CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = fog(t.Context(), home, "job", "init").CombinedOutput()
	require.NoError(t, err, string(out))
	module := filepath.Join(home, "task.wasm")
	require.NoError(t, os.WriteFile(module, []byte("\x00asm\x01\x00\x00\x00"), 0o600))

	for _, line := range []string{
		"job status " + job, "job watch " + job, "job logs " + job, "job result " + job + " -o out", "job why " + job, "job list",
		"job cancel " + job, "job accept " + job, "job withdraw " + job, "job top-up " + job + " 1FOG", "job submit fog.yaml", "job push fog.yaml",
		"node status " + node, "node earnings", "node register", "node update " + node + " --location 1,2", "node drain " + node,
		"node resume " + node, "node retire " + node, "node withdraw 1FOG", "node update-price " + node + " --price-cpu 1FOG",
		"node grant-pricing " + address, "node revoke-pricing " + address, "agent run --node " + node,
		"agent run --node " + node + " --pricing auto --price-cost 1FOG --price-ceiling 2FOG --cpus 1 --memory 1GiB --key main",
		"oracle replay --round 3", "doctor tls --oracles https://127.0.0.1:1",
	} {
		t.Run(strings.ReplaceAll(strings.Fields(line)[0]+" "+strings.Fields(line)[1], " ", "_"), func(t *testing.T) {
			addr, heard := mute(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			args := append(strings.Fields(line), "--keyring", "test", "--grpc", addr, "--rpc", "http://"+addr, "--registry", "http://"+addr)
			cmd := fog(ctx, home, args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			require.NoError(t, cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-heard:
			case err := <-ended: // at the latest when ctx kills it
				t.Fatalf("it asked nobody and ended (%v): %s", err, &stderr)
			}
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			require.Error(t, <-ended)
			require.Equal(t, 130, cmd.ProcessState.ExitCode(), "%s", &stderr)
			require.Contains(t, stderr.String(), "fog: interrupted")
			require.Empty(t, stdout.String())
		})
	}
}

// writeRows writes the rows of a set as fog reads them.
func writeRows(t *testing.T, name string, set gen.Set) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, binary.Write(&b, binary.LittleEndian, set.X))
	require.NoError(t, os.WriteFile(name, b.Bytes(), 0o600))
}

// Each command that computes, and shows how far it is, does so too.
func TestInterruptEachCommandThatComputes(t *testing.T) {
	home := t.TempDir()
	writeRows(t, filepath.Join(home, "rows.f64"), gen.B(200_000, 8, 8, 2))
	for _, line := range []string{
		"classify fit --input rows.f64 --dim 8",
		"sim run --jobs 10000000 --policy fog --seeds 9",
		"agent bench",
	} {
		t.Run(strings.ReplaceAll(strings.Fields(line)[0]+" "+strings.Fields(line)[1], " ", "_"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := fog(ctx, home, strings.Fields(line)...)
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			first := make([]byte, 1)
			_, err = io.ReadFull(stderr, first) // its first word of progress
			require.NoError(t, err)
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			rest, err := io.ReadAll(stderr)
			require.NoError(t, err)
			require.Error(t, cmd.Wait())
			require.Equal(t, 130, cmd.ProcessState.ExitCode(), "%s", rest)
			require.Contains(t, string(rest), "fog: interrupted")
			require.Empty(t, stdout.String())
		})
	}
}
