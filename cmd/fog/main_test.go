package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/chain/chaintest"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"fog": func() { os.Exit(run()) },
	})
}

// Each script runs fog in an empty folder, which is its home too. No chain answers at the addresses that it has by default; one with a node, $NODE, that
// takes no transactions answers at $GRPC and $RPC.
func TestScripts(t *testing.T) {
	owner := make([]byte, 20)
	address, err := sdk.Bech32ifyAddressBytes(chain.Bech32Prefix, owner)
	require.NoError(t, err)
	grpcAddr, rpcURL := chaintest.Start(t, newGrid(t, address).register).Addresses()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FOG_HOME", env.WorkDir+"/home")
			env.Setenv("JOB", jobstypes.JobID(owner, []byte("salt")).Bech32(jobstypes.JobHRP))
			env.Setenv("GRPC", grpcAddr)
			env.Setenv("RPC", rpcURL)
			env.Setenv("ADDRESS", address)
			env.Setenv("NODE", nodestypes.NodeID(owner, "salt").Bech32(nodestypes.NodeHRP))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "json": checkJSON, "module": writeModule, "freeport": freePort, "dial": dial, "await": await, "chmod": chmod,
			"awaitpage": awaitPage,
			"vault":     startVault,
		},
	})
}

// exits CODE PROGRAM ARGS… runs a program that ends with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	code := 0
	if exit != nil {
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// json [TEXT…] checks that the last standard output is exactly one JSON object, which holds the texts.
func checkJSON(ts *testscript.TestScript, _ bool, args []string) {
	out := ts.ReadFile("stdout")
	dec := json.NewDecoder(strings.NewReader(out))
	var object map[string]json.RawMessage
	if err := dec.Decode(&object); err != nil {
		ts.Fatalf("standard output is no JSON object: %v\n%s", err, out)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("something follows the JSON object:\n%s", out)
	}
	for _, text := range args {
		if !strings.Contains(out, text) {
			ts.Fatalf("no %s in\n%s", text, out)
		}
	}
}

// module FILE writes the smallest WebAssembly module.
func writeModule(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\x00asm\x01\x00\x00\x00"), 0o600))
}

// freeport VARIABLE sets the variable to a free port.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(lis.Addr().String())
	ts.Check(err)
	ts.Check(lis.Close())
	ts.Setenv(args[0], port)
}

// dial ADDRESS waits until a server listens.
func dial(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			ts.Check(conn.Close())
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nobody listens: %v", err)
		}
	}
}

// await FILE waits until a file is there.
func await(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not appear", args[0])
		}
	}
}

// awaitpage URL PATTERN waits until the page matches.
func awaitPage(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(args[0])
		var page []byte
		if err == nil {
			page, err = io.ReadAll(resp.Body)
			ts.Check(resp.Body.Close())
		}
		if err == nil && pattern.Match(page) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not show %s: %v\n%s", args[0], args[1], err, page)
		}
	}
}

// vault starts a stand-in of Vault and says in Vault's variables where it is; each script has its own.
func startVault(ts *testscript.TestScript, _ bool, _ []string) {
	s := vaulttest.Start(false)
	ts.Defer(s.Close)
	ts.Setenv("VAULT_ADDR", s.URL)
	ts.Setenv("VAULT_TOKEN", vaulttest.Root)
}

// chmod MODE FILE sets permissions.
func chmod(ts *testscript.TestScript, _ bool, args []string) {
	mode, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	ts.Check(os.Chmod(ts.MkAbs(args[1]), os.FileMode(mode)))
}

// take VARIABLE sets the variable to the last word of the first line of the last standard output.
func take(ts *testscript.TestScript, _ bool, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	words := strings.Fields(line)
	if len(words) == 0 {
		ts.Fatalf("standard output has no words")
	}
	ts.Setenv(args[0], words[len(words)-1])
}
