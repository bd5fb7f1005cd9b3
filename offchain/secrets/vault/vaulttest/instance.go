package vaulttest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hashicorp/vault/api"
)

// Instance is a Vault that can be sealed, for programs in processes of their own: an OpenBao or a Vault of the PATH that was set up as in
// production, but in memory and without TLS, or else the stand-in.
type Instance struct {
	URL string
	// Root is the token that may do everything, UnsealKey the one key; the stand-in has none of the latter.
	Root, UnsealKey string

	standIn *Server
	client  *api.Client
}

// NewInstance starts one until the test ends. A real one keeps its log, at level debug, and its audit log in the folder.
func NewInstance(t *testing.T, dir string) *Instance {
	t.Helper()
	program := installed()
	if program == "" {
		s := New(t, false)
		fmt.Fprintf(os.Stderr, "\n*** %s: neither bao (OpenBao) nor vault is on PATH; the stand-in takes its place ***\n\n", t.Name())
		return &Instance{URL: s.URL, Root: Root, standIn: s}
	}
	address := freeAddress(t)
	config := filepath.Join(dir, "vault.hcl")
	text := fmt.Sprintf("storage \"inmem\" {}\nlistener \"tcp\" {\n  address = %q\n  tls_disable = true\n}\ndisable_mlock = true\n"+
		"unsafe_allow_api_audit_creation = true\nlog_level = \"debug\"\n", address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "vault.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	launch(t, exec.Command(program, "server", "-config="+config), dir, log)
	i := &Instance{URL: "http://" + address}
	await(t, i.URL, http.StatusNotImplemented) // not initialized
	i.initialize(t, filepath.Join(dir, "vault-audit.log"))
	return i
}

func (i *Instance) initialize(t *testing.T, audit string) {
	t.Helper()
	var err error
	if i.client, err = api.NewClient(&api.Config{Address: i.URL}); err != nil {
		t.Fatal(err)
	}
	i.client.ClearToken()
	made, err := i.client.Sys().InitWithContext(context.Background(), &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		t.Fatal(err)
	}
	i.Root, i.UnsealKey = made.RootToken, made.Keys[0]
	i.client.SetToken(i.Root)
	i.Unseal(t)
	if err := i.client.Sys().EnableAuditWithOptionsWithContext(context.Background(), "file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": audit},
	}); err != nil {
		t.Fatal(err)
	}
}

// Real tells whether it is one.
func (i *Instance) Real() bool { return i.standIn == nil }

// Seal makes every request fail until Unseal.
func (i *Instance) Seal(t *testing.T) {
	t.Helper()
	if i.standIn != nil {
		i.standIn.Seal()
		return
	}
	if err := i.client.Sys().SealWithContext(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Unseal ends Seal.
func (i *Instance) Unseal(t *testing.T) {
	t.Helper()
	if i.standIn != nil {
		i.standIn.Unseal()
		return
	}
	if _, err := i.client.Sys().UnsealWithContext(context.Background(), i.UnsealKey); err != nil {
		t.Fatal(err)
	}
	await(t, i.URL, http.StatusOK)
}
