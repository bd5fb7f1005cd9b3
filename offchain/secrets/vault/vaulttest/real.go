package vaulttest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// installed is the OpenBao, or the Vault, of the PATH; "" if there is neither.
func installed() string {
	for _, name := range []string{"bao", "vault"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Real starts an OpenBao, or a Vault, of the PATH in development mode on the loopback, with the token Root. The test is skipped if there is
// neither.
func Real(t *testing.T) (url string) {
	t.Helper()
	program := installed()
	if program == "" {
		t.Skip("SKIPPED: neither bao (OpenBao) nor vault is on PATH, so nothing was tried against a real one")
	}
	var log bytes.Buffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", program, log.String())
		}
	})
	address := freeAddress(t)
	launch(t, exec.Command(program, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+Root, "-dev-listen-address="+address), t.TempDir(), &log)
	url = "http://" + address
	await(t, url, http.StatusOK)
	return url
}

func freeAddress(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := lis.Close(); err != nil {
		t.Fatal(err)
	}
	return lis.Addr().String()
}

// launch runs a server in a folder until the test ends.
func launch(t *testing.T, cmd *exec.Cmd, dir string, log io.Writer) {
	t.Helper()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.Logf("%s ended: %v", cmd.Path, cmd.Wait())
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Log(err)
		}
		<-ended
	})
}

// await returns when the server says of itself what is expected.
func await(t *testing.T, url string, health int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(url + "/v1/sys/health")
		if err == nil {
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode == health {
				return
			}
			err = fmt.Errorf("health: %s", resp.Status)
		}
		if time.Now().After(end) {
			t.Fatalf("Vault does not become ready: %v", err)
		}
	}
}
