package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/foggrid/fogd/internal/proctest"
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
	serving := proctest.Follow(t, serve, (*exec.Cmd).StdoutPipe)
	url := serving.Await(t, `^gateway at (\S+),`)
	door := serving.Await(t, `^door for machines with certificates at (https://\S+)`)
	agent := fog(context.WithoutCancel(t.Context()), home,
		append([]string{"agent", "run", "--node", node.id, "--enrol", url, "--gateway", door, "--registry", door, "--docker-host", "unix:///nowhere"}, common...)...)
	require.Equal(t, "fog://node/"+node.id, proctest.Follow(t, agent, (*exec.Cmd).StderrPipe).Await(t, `msg="the certificate is new" identity=(\S+)`))
}
