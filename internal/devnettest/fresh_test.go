package devnettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	rpchttp "github.com/cometbft/cometbft/rpc/client/http"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/chain"
)

// fresh is a node of the chain that is no validator, has nothing, and gets the state from a snapshot of the others.
type fresh struct {
	home, rpc string
	chain     *chain.Client
	cmd       *exec.Cmd
	log       *os.File
	// ended is closed when the process has ended, with what.
	ended chan struct{}
	with  error
}

// start makes and starts the node, which trusts the block at a height.
func (f *fresh) start(t *testing.T, g *grid, trust int64) {
	t.Helper()
	state := g.net.State()
	f.home, f.rpc, f.ended = filepath.Join(g.work, "fresh"), freePort(t), make(chan struct{})
	g.fogd(t, "init", "fresh", "--chain-id", state.ChainID, "--home", f.home)
	genesis, err := os.ReadFile(filepath.Join(state.Validators[0].Home, "config", "genesis.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.home, "config", "genesis.json"), genesis, 0o600))
	hash, err := g.chain.BlockHash(t.Context(), trust)
	require.NoError(t, err)
	config := filepath.Join(f.home, "config", "config.toml")
	configure(t, config, "p2p", "addr_book_strict", "false")
	configure(t, config, "p2p", "allow_duplicate_ip", "true")
	for key, value := range map[string]string{
		"enable":         "true",
		"rpc_servers":    strconv.Quote(state.Validators[0].Address + "," + state.Validators[1].Address),
		"trust_height":   strconv.FormatInt(trust, 10),
		"trust_hash":     fmt.Sprintf("%q", fmt.Sprintf("%X", hash)),
		"trust_period":   `"1h0m0s"`,
		"discovery_time": `"5s"`, // the least
	} {
		configure(t, config, "statesync", key, value)
	}
	var peers []string
	for _, v := range state.Validators {
		peers = append(peers, v.NodeID+"@"+v.P2P)
	}
	grpc := freePort(t)
	f.log, err = os.Create(filepath.Join(filepath.Dir(g.net.ProviderHome()), "logs", "fresh.log"))
	require.NoError(t, err)
	f.cmd = exec.Command(filepath.Join(g.bin, "fogd"), "start", "--home", f.home, "--log_level", "info",
		"--rpc.laddr", "tcp://"+f.rpc, "--p2p.laddr", "tcp://"+freePort(t), "--p2p.persistent_peers", strings.Join(peers, ","),
		"--rpc.pprof_laddr", "", "--grpc.address", grpc, "--api.enable=false", "--pruning", "nothing")
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	require.NoError(t, f.cmd.Start())
	go func() {
		f.with = f.cmd.Wait()
		close(f.ended)
	}()
	f.chain, err = chain.Dial(chain.Config{GRPC: grpc, RPC: "http://" + f.rpc})
	require.NoError(t, err)
}

// stop ends the node's process, if it was started.
func (f *fresh) stop() error {
	if f.cmd == nil || f.cmd.Process == nil {
		return nil
	}
	if err := f.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(err, f.cmd.Process.Kill())
	}
	var err error
	select {
	case <-f.ended:
	case <-time.After(15 * time.Second):
		err = f.cmd.Process.Kill()
		<-f.ended
	}
	if f.chain != nil {
		err = errors.Join(err, f.chain.Close())
	}
	return errors.Join(err, f.log.Close())
}

// synced waits until the node follows the chain and returns the first height that it has.
func (f *fresh) synced(t *testing.T) int64 {
	t.Helper()
	var first int64
	until(t, "the fresh node to follow the chain", func() bool {
		select {
		case <-f.ended:
			t.Fatalf("the fresh node has ended: %v", f.with)
		default:
		}
		s, err := f.chain.Status(t.Context())
		if errors.Is(err, chain.ErrUnavailable) {
			return false
		}
		require.NoError(t, err)
		first = s.Earliest
		return first > 0 && !s.CatchingUp
	})
	return first
}

// fogd calls the chain's program, which must succeed.
func (g *grid) fogd(t *testing.T, args ...string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(g.bin, "fogd"), args...)
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	require.NoError(t, cmd.Run(), "fogd %s: %s", strings.Join(args, " "), &stderr)
}

// configure sets a key that stands in a section of a TOML file.
func configure(t *testing.T, file, section, key, value string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	head, rest, found := strings.Cut(string(raw), "\n["+section+"]\n")
	require.True(t, found, "%s has no section %s", file, section)
	line := regexp.MustCompile(`(?m)^` + key + ` = .*$`)
	at := line.FindStringIndex(rest)
	require.NotNil(t, at, "%s has no key %s", file, key)
	if end := strings.Index(rest, "\n["); end >= 0 {
		require.Less(t, at[0], end, "%s has no key %s in section %s", file, key, section)
	}
	text := head + "\n[" + section + "]\n" + rest[:at[0]] + key + " = " + value + rest[at[1]:]
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

// freePort is an address of the loopback interface that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// requireSameState checks that the nodes with these RPC addresses agree: the hash that each one's own application has is the one that
// the first node's next block names, and at one height all have the same.
func requireSameState(t *testing.T, addresses ...string) {
	t.Helper()
	var clients []*rpchttp.HTTP
	common := int64(1 << 62)
	for _, address := range addresses {
		c, err := rpchttp.New("http://"+address, "/websocket")
		require.NoError(t, err)
		clients = append(clients, c)
	}
	for i, c := range clients {
		own, err := c.ABCIInfo(t.Context())
		require.NoError(t, err)
		height := own.Response.LastBlockHeight
		require.Equal(t, headerHash(t, clients[0], height+1), own.Response.LastBlockAppHash, "node %d at height %d", i, height)
		common = min(common, height)
	}
	for i, c := range clients {
		require.Equal(t, headerHash(t, clients[0], common), headerHash(t, c, common), "node %d at height %d", i, common)
	}
}

// headerHash is the app hash in the header of a height, once the node has it.
func headerHash(t *testing.T, c *rpchttp.HTTP, height int64) (hash []byte) {
	t.Helper()
	until(t, fmt.Sprintf("block %d", height), func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		status, err := c.Status(ctx)
		require.NoError(t, err)
		if status.SyncInfo.LatestBlockHeight < height {
			return false
		}
		header, err := c.Header(ctx, &height)
		require.NoError(t, err)
		hash = header.Header.AppHash
		return true
	})
	require.Len(t, hash, 32)
	return hash
}
