package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/foggrid/fogd/cmd/fogd/cmd"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"fogd": func() { os.Exit(cmd.Run()) },
	})
}

// Each script runs fogd in an empty folder, which is its home too, with free ports for a node.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"height": waitForHeight, "get": get},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FOGD_KEYRING_BACKEND", "test")
			for _, name := range []string{"RPC", "P2P", "REST", "GRPC"} {
				address, err := freeAddress()
				if err != nil {
					return err
				}
				env.Setenv(name, address)
			}

			return nil
		},
	})
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}

	return listener.Addr().String(), listener.Close()
}

var latestHeight = regexp.MustCompile(`"latest_block_height":"(\d+)"`)

// waitForHeight: `height N` waits until the node has block N.
func waitForHeight(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: height N")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)

	body := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if body, err = fetch("http://" + ts.Getenv("RPC") + "/status"); err != nil {
			continue // not up yet
		}
		found := latestHeight.FindStringSubmatch(body)
		if found == nil {
			continue
		}
		height, err := strconv.Atoi(found[1])
		ts.Check(err)
		if height >= want {
			return
		}
	}
	ts.Fatalf("no block %d within a minute: %s", want, body)
}

// get: `get URL TEXT` requires that what is served there contains a match of the expression.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get URL EXPRESSION")
	}
	expression, err := regexp.Compile(args[1])
	ts.Check(err)
	body, err := fetch(args[0])
	ts.Check(err)
	if !expression.MatchString(body) {
		ts.Fatalf("%s answers %.2000s", args[0], body)
	}
}

func fetch(url string) (string, error) {
	res, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", res.Status, body)
	}

	return string(body), nil
}
