package devnettest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/profile"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// neighbour is a second provider with a node of its own, whose agent the test starts and stops.
type neighbour struct {
	*grid
	home, owner, id string
	cmd             *exec.Cmd
	log             *os.File
}

// newNeighbour makes the home of a provider, with money of the first one's; who calls it closes it, before the devnet is down.
func (g *grid) newNeighbour(t *testing.T) *neighbour {
	t.Helper()
	n := &neighbour{grid: g, home: filepath.Join(filepath.Dir(g.net.ProviderHome()), "neighbour")}
	p, err := profile.Load(g.net.ProviderHome())
	require.NoError(t, err)
	p.NodeID, p.Boot = "", ""
	require.NoError(t, p.Save(n.home))
	g.run(t, n.home, nil, "keys", "add", devnet.KeyMain)
	n.owner = g.broadcaster(t, n.home, devnet.KeyMain).Address()
	_, err = g.broadcaster(t, g.net.ProviderHome(), devnet.KeyMain).Send(t.Context(), &banktypes.MsgSend{
		FromAddress: g.net.State().Provider, ToAddress: n.owner, Amount: sdk.NewCoins(sdk.NewCoin(escrowtypes.Denom, sdkmath.NewInt(1_000_000_000))),
	})
	require.NoError(t, err)
	n.log, err = os.Create(filepath.Join(filepath.Dir(n.home), "logs", "neighbour.log"))
	require.NoError(t, err)
	return n
}

// close ends what newNeighbour and start began.
func (n *neighbour) close(t *testing.T) {
	if err := errors.Join(n.stop(), n.log.Close()); err != nil {
		t.Error(err)
	}
}

// start starts the node's agent.
func (n *neighbour) start(t *testing.T, args ...string) {
	t.Helper()
	n.cmd = n.command(n.home, append([]string{"agent", "run"}, args...)...)
	n.cmd.Stdout, n.cmd.Stderr = n.log, n.log
	require.NoError(t, n.cmd.Start())
}

// stop lets the agent end in order, if it runs.
func (n *neighbour) stop() error {
	if n.cmd == nil {
		return nil
	}
	cmd := n.cmd
	n.cmd = nil
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-time.After(30 * time.Second):
		err = errors.Join(cmd.Process.Kill(), <-ended)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 130 {
		return errors.New("the neighbour's agent ended with " + cmd.ProcessState.String())
	}
	return nil
}

func (n *neighbour) now(t *testing.T) nodestypes.Node {
	t.Helper()
	resp, err := nodestypes.NewQueryClient(n.chain.Latest()).Node(t.Context(), &nodestypes.QueryNodeRequest{Id: n.id})
	require.NoError(t, err)
	return resp.Node
}

// ready waits until the node takes services.
func (n *neighbour) ready(t *testing.T) {
	t.Helper()
	until(t, "the neighbour's node to be ACTIVE and graded", func() bool {
		node := n.now(t)
		require.True(t, node.Status.Live() && node.JailReason == "", "the node is %s: %s", node.Status, node.JailReason)
		return node.Status == nodestypes.NODE_STATUS_ACTIVE && node.Grade != nodestypes.NETWORK_GRADE_UNSPECIFIED
	})
}

// money is the neighbour's escrow account.
func (n *neighbour) money(t *testing.T) escrowtypes.Account {
	t.Helper()
	owner, err := n.chain.Codec().Accounts().StringToBytes(n.owner)
	require.NoError(t, err)
	return n.account(t, escrowtypes.ProviderAccountID(owner).Bech32(escrowtypes.AccountHRP))
}
