package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// Nobody becomes somebody by a header, a cookie or a query, behind a trusted proxy either: only a token says who asks.
func TestForgedIdentityHeaders(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.TrustedProxies, c.PerWrong = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Rate{1, 1000}
	})
	id, _ := w.finished(w.alice)
	alice, bob := w.login(w.alice), w.login(w.bob)
	ask := func(token, method, path string, header http.Header) int {
		req, err := http.NewRequest(method, w.url+path, nil)
		require.NoError(t, err)
		for name, values := range header {
			req.Header[name] = values
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	job := "/v1/jobs/" + id
	require.Equal(t, http.StatusOK, ask(alice, "GET", job, nil))
	for _, name := range []string{
		"X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Auth-Request-User", "X-Authenticated-User", "X-User", "X-Fog-Address", "X-Fog-Node", "X-Fog-Roles",
		"X-Ssl-Client-S-Dn", "X-Ssl-Client-Verify", "X-Client-Cert", "X-Forwarded-Client-Cert", "Ssl-Client-Cert", "Forwarded", "X-Token", "X-Api-Key",
	} {
		for _, value := range []string{w.alice.address, w.operator.address, w.nodeID, "CN=" + w.alice.address, "SUCCESS", "operator", alice, "for=" + w.alice.address} {
			header := http.Header{name: {value}}
			require.Equal(t, http.StatusUnauthorized, ask("", "GET", job, header), "%s: %s", name, value)
			require.Equal(t, http.StatusForbidden, ask(bob, "GET", job, header), "%s: %s", name, value)
			require.Equal(t, http.StatusForbidden, ask(bob, "GET", "/v1/audit", header), "%s: %s", name, value)
		}
	}
	for _, header := range []http.Header{{"X-Original-Url": {"/v1/nodes"}}, {"X-Rewrite-Url": {"/healthz"}}, {"Cookie": {"token=" + alice + "; Authorization=Bearer " + alice}}} {
		require.Equal(t, http.StatusUnauthorized, ask("", "GET", job, header), "%v", header)
	}
	for _, query := range []string{"?token=", "?access_token=", "?authorization=Bearer%20"} {
		require.NotEqual(t, http.StatusOK, ask("", "GET", job+query+alice, nil), query)
	}
	_, keep := w.key(alice, time.Hour)
	require.NotEqual(t, http.StatusNoContent, ask(alice, "POST", "/v1/tokens/"+keep, http.Header{"X-Http-Method-Override": {"DELETE"}}))
	status, body := w.get(alice, "/v1/tokens")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), keep)
	// Two identities at once are none.
	require.NotEqual(t, http.StatusOK, ask("", "GET", job, http.Header{"Authorization": {"Bearer " + bob, "Bearer " + alice}}))
}

// lockedBuffer is a log that goes to memory.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// What was secret when it came in, or was content, is afterwards in no log and in no file of the gateway's but those that are for it.
func TestSecretsAreInNoLog(t *testing.T) {
	var log lockedBuffer
	w := newWorld(t, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	id, archive := w.finished(w.alice)
	alice, bob, node, operator := w.login(w.alice), w.login(w.bob), w.nodeLogin(), w.login(w.operator)
	key, keyID := w.key(alice, time.Hour)
	planted := "planted-in-a-wrong-token"
	secrets := map[string]string{
		"the archive": string(archive), "the log": "hello from the task", "a wrong token": planted, "a wrong signature": base64.StdEncoding.EncodeToString([]byte(planted)),
		"alice's key in hex": hex.EncodeToString(w.alice.key.Bytes()), "alice's key": base64.StdEncoding.EncodeToString(w.alice.key.Bytes()),
		"the node's key in hex": hex.EncodeToString(w.nodeKey.Seed()), "the node's key": base64.StdEncoding.EncodeToString(w.nodeKey.Seed()),
	}
	for name, token := range map[string]string{"alice's token": alice, "bob's token": bob, "the node's token": node, "the operator's token": operator, "the key of CI": key} {
		parts := strings.Split(token, "_")
		require.Len(t, parts, 3)
		secrets[name] = parts[2]
	}
	registryToken, _, err := gatewayTokens{w, alice}.RegistryToken(t.Context(), w.server.cfg.RegistryService, []string{"repository:dev/" + w.alice.address + "/app:pull,push"})
	require.NoError(t, err)
	secrets["a registry token"] = registryToken[strings.LastIndex(registryToken, ".")+1:]

	// Whatever may write to the log: what succeeds, what is denied, what is wrong, and what fails.
	for _, token := range []string{alice, bob, node, operator, key, registryToken, "fogt_0000000000000000_" + planted, planted} {
		for _, path := range []string{"/v1/jobs/" + id, "/v1/jobs/" + id + "/tasks/0/result", "/v1/jobs/" + id + "/tasks/0/log", "/v1/audit", "/v1/tokens", "/v2/", "/v1/tokens?x=" + planted, "/nothing"} {
			w.get(token, path)
		}
		w.send(token, "POST", "/v1/tokens", NewToken{Kind: "none", Note: "x"})
		w.send(token, "PUT", "/v1/policy", "no policy")
	}
	w.send("", "POST", "/v1/login", LoginRequest{Challenge: "fog gateway login", Signature: []byte(planted)})
	w.send("", "POST", "/v1/login", LoginRequest{Challenge: w.challenge(map[string]string{"node": w.nodeID}), Signature: []byte(planted)})
	w.send(operator, "DELETE", "/v1/tokens/"+keyID, nil)
	require.Error(t, w.registry(bob).PushBlob(t.Context(), client.OwnedRepo(w.alice.address, client.RepoModules, artifact.DigestOf([]byte("x"))), client.BytesBlob("", []byte("x"))))
	w.chain.Stop()
	w.get(alice, "/v1/jobs/"+id)
	w.get(alice, "/v1/jobs")
	// A request that fails is noted by the process: here all of them, since the audit log is gone.
	require.NoError(t, w.server.audit.Close())
	for _, token := range []string{alice, bob, node, operator, registryToken, "fogt_0000000000000000_" + planted} {
		w.get(token, "/v1/nodes")
		w.get(token, tokenPath+"?service="+w.server.cfg.RegistryService)
	}
	w.stop = func() {} // its end would fail, as it should
	t.Cleanup(func() { require.Error(t, w.server.Close()) })

	log.mu.Lock()
	texts := map[string]string{"the log of the process": log.String()}
	log.mu.Unlock()
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		texts[filepath.Base(path)] = string(raw)
		return err
	}))
	require.NotEmpty(t, texts["audit.jsonl"])
	require.NotEmpty(t, texts["the log of the process"], "the log says something at least")
	pem := strings.Split(strings.TrimSpace(texts["token-key.pem"]), "\n")
	require.Greater(t, len(pem), 2)
	secrets["the registry's key"] = pem[1]
	delete(texts, "token-key.pem") // the file that is for it
	for what, secret := range secrets {
		for where, text := range texts {
			require.NotContains(t, text, secret, "%s is in %s", what, where)
		}
	}
}
