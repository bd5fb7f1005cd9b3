package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/foggrid/fogd/offchain/chain/chaintest"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// keyedNodes is a chain with one node.
type keyedNodes struct {
	emptyNodes
	id  string
	key ed25519.PublicKey
}

func (n *keyedNodes) Node(context.Context, *nodestypes.QueryNodeRequest) (*nodestypes.QueryNodeResponse, error) {
	return &nodestypes.QueryNodeResponse{Node: nodestypes.Node{Id: n.id, AgentKey: n.key, Status: nodestypes.NODE_STATUS_PENDING}}, nil
}

// started runs a command until the test ends, and returns its lines.
func started(t *testing.T, cmd *exec.Cmd, from func(*exec.Cmd) (io.ReadCloser, error)) <-chan string {
	t.Helper()
	out, err := from(cmd)
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case lines <- s.Text():
			default: // nobody waits for what follows
			}
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		require.Error(t, cmd.Wait(), "130")
	})
	return lines
}

// first waits for a line that matches, and returns what the pattern's group does.
func first(t *testing.T, lines <-chan string, pattern string) string {
	t.Helper()
	form, late := regexp.MustCompile(pattern), time.After(time.Minute)
	var seen []string
	for {
		select {
		case line, open := <-lines:
			if m := form.FindStringSubmatch(line); m != nil {
				return m[1]
			}
			require.True(t, open, "no line like %s in:\n%s", pattern, strings.Join(seen, "\n"))
			seen = append(seen, line)
		case <-late:
			t.Fatalf("no line like %s in:\n%s", pattern, strings.Join(seen, "\n"))
		}
	}
}

// The programs themselves: an agent gets its certificate from a gateway by the key that the chain has.
func TestAgentEnrols(t *testing.T) {
	node := &keyedNodes{id: nodestypes.NodeID(make([]byte, 20), "salt").Bech32(nodestypes.NodeHRP)}
	chainNode := chaintest.Start(t, func(s *grpc.Server) { nodestypes.RegisterQueryServer(s, node) })
	grpcAddr, rpcURL := chainNode.Addresses()
	home, gatewayHome := t.TempDir(), t.TempDir()
	out, err := fog(t.Context(), home, "keys", "transport", "agent", "--keyring", "test", "--output", "json").Output()
	require.NoError(t, err)
	var shown map[string]string
	require.NoError(t, json.Unmarshal(out, &shown))
	node.key, err = hex.DecodeString(shown["public_key"])
	require.NoError(t, err, string(out))

	common := []string{"--keyring", "test", "--grpc", grpcAddr, "--rpc", rpcURL}
	serve := fog(context.WithoutCancel(t.Context()), gatewayHome, append([]string{"gateway", "run", "--listen", "127.0.0.1:0", "--enrol", "--machines", "127.0.0.1:0"}, common...)...)
	lines := started(t, serve, (*exec.Cmd).StdoutPipe)
	url := first(t, lines, `^gateway at (\S+),`)
	door := first(t, lines, `^door for machines with certificates at (https://\S+)`)
	agent := fog(context.WithoutCancel(t.Context()), home,
		append([]string{"agent", "run", "--node", node.id, "--enrol", url, "--gateway", door, "--registry", door, "--docker-host", "unix:///nowhere"}, common...)...)
	require.Equal(t, "fog://node/"+node.id, first(t, started(t, agent, (*exec.Cmd).StderrPipe), `msg="the certificate is new" identity=(\S+)`))
}
