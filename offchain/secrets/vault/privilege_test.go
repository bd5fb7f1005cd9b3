package vault_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// granted is all that the programs may do, besides what Vault's default policy gives every token (its own token, renewing a lease).
// docs/security-secrets.md has the same table in words.
var granted = map[string][]string{
	"oracle.main": {
		"GET fog/data/oracle/main/keys/a", "GET fog/data/oracle/main/transport/a", "GET fog/data/oracle/main/values/a", "PUT fog/data/oracle/main/values/a",
		"GET fog-transit/oracle/main/keys/a", "PUT fog-transit/oracle/main/keys/a", "PUT fog-transit/oracle/main/sign/a",
		"PUT fog-pki/sign/oracle.main",
	},
	"agent.main": {
		"GET fog/data/agent/main/keys/a", "GET fog/data/agent/main/transport/a", "GET fog/data/agent/main/values/a", "PUT fog/data/agent/main/values/a",
	},
	"gateway.main": {
		"GET fog/data/gateway/main/keys/a", "GET fog/data/gateway/main/transport/a", "GET fog/data/gateway/main/values/a",
		"PUT fog/data/gateway/main/values/a", "PUT fog-pki/sign/gateway.main", "PUT fog-pki/sign/agent", "PUT fog-pki/revoke", "GET fog-pki/crl/rotate",
		"GET fog-database/creds/gateway", "PUT sys/leases/revoke", "PUT auth/token/revoke-accessor",
		"PUT fog/metadata/jobs/fog1a/a", "DELETE fog/metadata/jobs/fog1a/a", "LIST fog/metadata/jobs/fog1a", "LIST fog/metadata/jobs",
	},
	"dispatcher.main": {"GET fog-nomad/creds/dispatcher", "PUT sys/leases/revoke"},
}

// everywhere is where programs are tried: each path with each method, those of other programs of the same role among them.
func everywhere() (paths []string) {
	for _, role := range []string{"oracle", "agent", "gateway", "dispatcher"} {
		for _, name := range []string{"main", "mainly", "other"} {
			own := role + "/" + name
			for _, kind := range []string{"keys", "transport", "values"} {
				for _, verb := range []string{"data", "metadata", "delete", "undelete", "destroy"} {
					paths = append(paths, "fog/"+verb+"/"+own+"/"+kind+"/a")
				}
				paths = append(paths, "fog/metadata/"+own+"/"+kind, "fog/data/"+own+"/"+kind+"/a/b")
			}
			id := role + "." + name
			paths = append(paths, "fog/metadata/"+own, "fog-pki/sign/"+id, "fog-pki/issue/"+id, "fog-pki/sign-verbatim/"+id, "fog-pki/roles/"+id,
				"auth/approle/role/"+id, "auth/approle/role/"+id+"/secret-id", "auth/approle/role/"+id+"/role-id", "sys/policies/acl/fog."+id, "sys/policy/fog."+id)
		}
	}
	for _, name := range []string{"main", "mainly", "other"} {
		at := "fog-transit/oracle/" + name
		for _, what := range []string{"keys/a", "sign/a"} {
			paths = append(paths, at+"/"+what)
		}
		for _, what := range []string{
			"keys", "keys/a/config", "keys/a/rotate", "keys/a/trim", "export/signing-key/a", "export/signing-key/a/1", "backup/a", "restore/a", "sign/a/sha2-512",
			"encrypt/a", "decrypt/a", "hmac/a", "config/keys", "cache-config",
		} {
			paths = append(paths, at+"/"+what)
		}
	}
	return append(paths,
		"fog/data/jobs/fog1a/a", "fog/data/jobs/fog1a/a/b", "fog/metadata/jobs/fog1a/a", "fog/metadata/jobs/fog1a", "fog/metadata/jobs", "fog/delete/jobs/fog1a/a",
		"fog/undelete/jobs/fog1a/a", "fog/destroy/jobs/fog1a/a", "auth/token/revoke-accessor", "auth/token/lookup-accessor", "auth/token/renew-accessor", "fog/config", "fog/metadata", "fog/metadata/oracle", "fog/metadata/agent", "fog-pki/sign/agent", "fog-pki/issue/agent", "fog-pki/roles/agent", "fog-pki/revoke",
		"fog-pki/roles", "fog-pki/certs", "fog-pki/crl/rotate", "fog-pki/crl/rotate-delta", "fog-pki/root", "fog-pki/root/generate/internal", "fog-pki/root/sign-intermediate", "fog-pki/root/rotate/internal",
		"fog-pki/config/ca", "fog-pki/config/urls", "fog-pki/config/crl", "fog-pki/tidy", "fog-pki/intermediate/generate/internal", "fog-pki/keys", "fog-pki/revoke-with-key",
		"fog-database/creds/gateway", "fog-database/creds/other", "fog-database/config/postgres", "fog-database/roles/gateway", "fog-database/rotate-root/postgres",
		"fog-nomad/creds/dispatcher", "fog-nomad/creds/other", "fog-nomad/config/access", "fog-nomad/role/dispatcher",
		"sys/leases/revoke", "sys/leases/revoke-prefix/fog-database", "sys/leases/revoke-force/fog-database", "sys/leases/lookup/fog-database",
		"sys/mounts", "sys/mounts/new", "sys/mounts/fog/tune", "sys/auth", "sys/auth/new", "sys/audit", "sys/audit/new", "sys/policies/acl", "sys/policies/acl/new",
		"sys/seal", "sys/rotate", "sys/raw/core", "sys/config/cors", "sys/plugins/catalog", "sys/remount", "sys/storage/raft/snapshot",
		"auth/approle/role", "auth/token/create", "auth/token/create-orphan", "auth/token/accessors", "auth/token/lookup", "auth/token/revoke", "auth/token/roles/new",
		"identity/entity", "identity/group", "identity/oidc/config", "secret/data/any", "secret/metadata", "cubbyhole-of-another/any",
	)
}

// TestLeastPrivilege tries everything: what a role needs is not refused, all else is.
func TestLeastPrivilege(t *testing.T) {
	each(t, func(t *testing.T, g *grid) {
		g.apply(t, "oracle=main", "oracle=mainly", "oracle=other", "agent=main", "agent=other", "gateway=main", "gateway=other", "dispatcher=main")
		g.fill(t)
		tried, refused := 0, 0
		for program, may := range granted {
			role, name, _ := strings.Cut(program, ".")
			c := g.login(t, role, name)
			left := slices.Clone(may)
			for _, path := range everywhere() {
				for _, method := range []string{http.MethodGet, http.MethodPut, "LIST", http.MethodDelete} {
					code := g.try(t, c.Token(), method, path)
					call := method + " " + path
					tried++
					if slices.Contains(may, call) {
						require.NotEqual(t, http.StatusForbidden, code, "%s: %s", program, call)
						left = slices.DeleteFunc(left, func(s string) bool { return s == call })
						continue
					}
					if path == "sys/seal" { // it knows one method, whoever asks
						require.Contains(t, []int{http.StatusForbidden, http.StatusMethodNotAllowed}, code, "%s: %s", program, call)
					} else {
						require.Equal(t, http.StatusForbidden, code, "%s: %s", program, call)
					}
					refused++
				}
			}
			require.Empty(t, left, "all that %s may do was tried", program)
			// A key is made, but not replaced.
			if role != "dispatcher" {
				path := "fog/data/" + role + "/" + name + "/keys/new"
				require.Equal(t, http.StatusOK, g.try(t, c.Token(), http.MethodPut, path))
				require.Equal(t, http.StatusForbidden, g.try(t, c.Token(), http.MethodPut, path))
			}
		}
		t.Logf("%d calls tried, %d of them refused", tried, refused)
	})
}

// fill puts something wherever programs are tried, so that nothing is refused for want of a target only.
func (g *grid) fill(t *testing.T) {
	t.Helper()
	for _, path := range everywhere() {
		if strings.HasPrefix(path, "fog/data/") {
			_, err := g.root.Logical().WriteWithContext(t.Context(), path, map[string]any{"data": map[string]any{"key": "00"}})
			require.NoError(t, err)
		}
	}
	for _, name := range []string{"main", "mainly", "other"} {
		_, err := g.root.Logical().WriteWithContext(t.Context(), "fog-transit/oracle/"+name+"/keys/a", map[string]any{"type": "ecdsa-p256"})
		require.NoError(t, err)
	}
}

func (g *grid) login(t *testing.T, role, name string) *api.Client {
	t.Helper()
	cfg := g.config(t, role, name)
	c, err := api.NewClient(&api.Config{Address: g.url})
	require.NoError(t, err)
	c.ClearToken()
	secret, err := cfg.Login.Login(t.Context(), c)
	require.NoError(t, err)
	c.SetToken(secret.Auth.ClientToken)
	return c
}

// try makes one call and returns how it was answered.
func (g *grid) try(t *testing.T, token, method, path string) int {
	t.Helper()
	var body []byte
	if method == http.MethodPut {
		body = []byte(`{"data": {"key": "11"}}`)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, g.url+"/v1/"+path, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Vault-Token", token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
