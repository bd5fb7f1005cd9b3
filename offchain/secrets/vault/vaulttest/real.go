package vaulttest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Real starts an OpenBao, or a Vault, of the PATH in development mode on the loopback, with the token Root. The test is skipped if there is
// neither.
func Real(t *testing.T) (url string) {
	t.Helper()
	program := ""
	for _, name := range []string{"bao", "vault"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("SKIPPED: neither bao (OpenBao) nor vault is on PATH, so nothing was tried against a real one")
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	if err := lis.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id="+Root, "-dev-listen-address="+address)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &log, &log, t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.Logf("%s ended: %v", program, cmd.Wait())
	}()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Log(err)
		}
		<-ended
		if t.Failed() {
			t.Logf("log of %s:\n%s", program, log.String())
		}
	})
	url = "http://" + address
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(url + "/v1/sys/health")
		if err == nil {
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode == http.StatusOK {
				return url
			}
			err = fmt.Errorf("health: %s", resp.Status)
		}
		select {
		case <-ended:
			t.Fatalf("%s ended early\n%s", program, log.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not become ready: %v\n%s", program, err, log.String())
		}
	}
}
