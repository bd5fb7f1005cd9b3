package gateway

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/audit"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

func TestLoginAndWhoami(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	status, body := w.get(session, "/v1/whoami")
	require.Equal(t, http.StatusOK, status)
	var who Who
	require.NoError(t, json.Unmarshal(body, &who))
	require.Equal(t, w.alice.address, who.Token.Address)
	require.Equal(t, []string{access.Developer, access.Provider}, who.Roles)
	require.Equal(t, w.clock().Add(time.Hour).UTC(), who.Token.Expires)

	// A login may ask for less, and for nothing that the address does not have.
	less := w.login(w.operator, access.Operator)
	_, body = w.get(less, "/v1/whoami")
	require.NoError(t, json.Unmarshal(body, &who))
	require.Equal(t, []string{access.Operator}, who.Roles)
	for _, role := range []string{access.Operator, access.Oracle, "*"} {
		status, _, body = w.send("", "POST", "/v1/login", w.answer(w.alice, w.challenge(map[string]string{"address": w.alice.address}), role))
		require.Equal(t, http.StatusForbidden, status, string(body))
	}

	w.wait(time.Hour)
	status, body = w.get(session, "/v1/whoami")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, string(body), "expired")
}

func TestNodeLogin(t *testing.T) {
	w := newWorld(t)
	status, body := w.get(w.nodeLogin(), "/v1/whoami")
	require.Equal(t, http.StatusOK, status)
	var who Who
	require.NoError(t, json.Unmarshal(body, &who))
	require.Equal(t, access.Agent, who.Token.Kind)
	require.Equal(t, w.nodeID, who.Token.Node)
	require.Equal(t, w.bob.address, who.Token.Owner)
	status, _ = w.get(w.nodeLogin(), "/v1/jobs")
	require.Equal(t, http.StatusForbidden, status)
}

func TestOracleRoleIsTheChains(t *testing.T) {
	w := newWorld(t)
	w.mu.Lock()
	w.oracles = []oracletypes.Oracle{{Operator: "fog1other", Feeder: w.alice.address}}
	w.mu.Unlock()
	session := w.login(w.alice, access.Oracle)
	require.Equal(t, []string{"pull"}, w.granted(session, "dev/"+w.bob.address+"/app", "pull,push"))
	w.mu.Lock()
	w.oracles = nil
	w.mu.Unlock()
	w.wait(oraclesFor)
	require.Empty(t, w.granted(session, "dev/"+w.bob.address+"/app", "pull,push"))
}

func TestTokensOfCI(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	key, id := w.key(session, 30*24*time.Hour, access.Developer)
	w.wait(time.Minute)
	status, _ := w.get(key, "/v1/nodes")
	require.Equal(t, http.StatusOK, status)

	status, body := w.get(session, "/v1/tokens")
	require.Equal(t, http.StatusOK, status)
	var list struct{ Tokens []credential.Token }
	require.NoError(t, json.Unmarshal(body, &list))
	require.Len(t, list.Tokens, 2)
	for _, token := range list.Tokens {
		if token.ID == id {
			require.Equal(t, w.clock().UTC(), token.Used)
			require.Equal(t, "127.0.0.1", token.From)
		}
	}
	require.NotContains(t, string(body), strings.Split(key, "_")[2])

	// A key makes no keys, and outlives the session that made it.
	status, _, _ = w.send(key, "POST", "/v1/tokens", NewToken{Kind: access.Key, Life: 60})
	require.Equal(t, http.StatusForbidden, status)
	w.wait(2 * time.Hour)
	status, _ = w.get(key, "/v1/nodes")
	require.Equal(t, http.StatusOK, status)

	// Revoked, it is refused from the next request on, and after a restart.
	status, _, _ = w.send(w.login(w.alice), "DELETE", "/v1/tokens/"+id, nil)
	require.Equal(t, http.StatusOK, status)
	status, body = w.get(key, "/v1/nodes")
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, string(body), "revoked")
	w.stop()
	w.start()
	status, _ = w.get(key, "/v1/nodes")
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestNewTokenRefuses(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	for name, in := range map[string]NewToken{
		"session":     {Kind: access.Session, Life: 60},
		"node":        {Kind: access.Agent, Life: 60},
		"without end": {Kind: access.Key},
		"too long":    {Kind: access.Key, Life: 366 * 24 * 3600},
		"machine":     {Kind: access.Machine, Life: 91 * 24 * 3600},
		"long note":   {Kind: access.Key, Life: 60, Note: strings.Repeat("x", 201)},
	} {
		status, _, body := w.send(session, "POST", "/v1/tokens", in)
		require.Equal(t, http.StatusBadRequest, status, name+string(body))
	}
	status, _, _ := w.send(session, "POST", "/v1/tokens", NewToken{Kind: access.Key, Life: 60, Roles: []string{access.Operator}})
	require.Equal(t, http.StatusForbidden, status)
	status, _, _ = w.send(session, "POST", "/v1/tokens", map[string]any{"kind": "key", "life_seconds": 60, "address": w.bob.address})
	require.Equal(t, http.StatusBadRequest, status)
}

func TestTokensAreLimitedInNumber(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerIssue = Rate{1, 1000} })
	session := w.login(w.alice)
	_, id := w.key(session, time.Hour)
	for range maxTokens - 1 {
		w.key(session, time.Hour)
	}
	status, _, _ := w.send(session, "POST", "/v1/tokens", NewToken{Kind: access.Machine, Life: 60})
	require.Equal(t, http.StatusConflict, status)
	w.send(session, "DELETE", "/v1/tokens/"+id, nil)
	w.key(session, time.Hour)

	// Logins from one address are slow after a while; nothing is kept of those that are refused.
	few := newWorld(t, func(c *Config) { c.PerIssue = Rate{1, 3} })
	for range 3 {
		few.login(newWallet(t))
	}
	last := newWallet(t)
	status, header, _ := few.send("", "POST", "/v1/login", few.answer(last, few.challenge(map[string]string{"address": last.address})))
	require.Equal(t, http.StatusTooManyRequests, status)
	require.NotEmpty(t, header.Get("Retry-After"))
	few.wait(time.Second)
	few.login(last)
}

func TestGrantsHoldFromTheNextRequest(t *testing.T) {
	w := newWorld(t)
	operator := w.login(w.operator)
	alice := w.login(w.alice)
	status, _, _ := w.send(alice, "PUT", "/v1/grants/"+w.alice.address, Grants{[]string{access.Auditor}})
	require.Equal(t, http.StatusForbidden, status)
	status, _, body := w.send(operator, "PUT", "/v1/grants/"+w.alice.address, Grants{[]string{access.Auditor, access.Auditor}})
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"roles":["auditor"]}`, string(body))

	// The token from before does not have it; a new one does, until the role is taken away.
	status, _ = w.get(alice, "/v1/audit")
	require.Equal(t, http.StatusForbidden, status)
	alice = w.login(w.alice)
	status, body = w.get(alice, "/v1/audit?from=1&limit=1000")
	require.Equal(t, http.StatusOK, status)
	var log struct{ Records []audit.Record }
	require.NoError(t, json.Unmarshal(body, &log))
	require.Equal(t, "START", log.Records[0].Verb)
	status, _, _ = w.send(operator, "PUT", "/v1/grants/"+w.alice.address, Grants{[]string{}})
	require.Equal(t, http.StatusOK, status)
	status, _ = w.get(alice, "/v1/audit")
	require.Equal(t, http.StatusForbidden, status)
	status, _, _ = w.send(operator, "PUT", "/v1/grants/"+strings.ToUpper(w.alice.address), Grants{[]string{access.Auditor}})
	require.Equal(t, http.StatusBadRequest, status)
	for _, bad := range [][]string{{access.Oracle}, {"No Such"}, {""}} {
		status, _, _ = w.send(operator, "PUT", "/v1/grants/"+w.alice.address, Grants{bad})
		require.Equal(t, http.StatusBadRequest, status)
	}
	status, _, _ = w.send(operator, "PUT", "/v1/grants/nobody", Grants{[]string{access.Auditor}})
	require.Equal(t, http.StatusBadRequest, status)
}

func TestPolicyVersions(t *testing.T) {
	w := newWorld(t)
	operator := w.login(w.operator)
	status, body := w.get(operator, "/v1/policy")
	require.Equal(t, http.StatusOK, status)
	var now PolicyText
	require.NoError(t, json.Unmarshal(body, &now))
	require.EqualValues(t, 1, now.Version)
	require.Equal(t, string(access.DefaultText()), now.Text)

	status, _, body = w.send(operator, "PUT", "/v1/policy", `@id("x") permit (principal, action, resource is Moon);`)
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, string(body), "Moon")
	more := now.Text + `
@id("no-bob") forbid (principal == Account::"` + w.bob.address + `", action, resource);
@id("public-nodes") permit (principal is Stranger, action == Action::"read", resource is Node) when { context.path == "/v1/nodes" };`
	bob := w.login(w.bob)
	status, _ = w.get(bob, "/v1/nodes")
	require.Equal(t, http.StatusOK, status)
	status, _, _ = w.send(operator, "PUT", "/v1/policy", more)
	require.Equal(t, http.StatusOK, status)
	status, _ = w.get(bob, "/v1/nodes")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = w.get("", "/v1/nodes")
	require.Equal(t, http.StatusOK, status)
	status, _ = w.get("", "/v1/nodes/"+w.nodeID)
	require.Equal(t, http.StatusUnauthorized, status)
	status, body = w.get(operator, "/v1/policy/versions")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), w.operator.address)

	// The version outlives a restart; a file that somebody altered is not used.
	w.stop()
	w.start()
	status, _ = w.get("", "/v1/nodes")
	require.Equal(t, http.StatusOK, status)
	w.stop()
	path := PoliciesDir(w.dir) + "/policy-000002.cedar"
	require.NoError(t, os.WriteFile(path, []byte(`@id("all") permit (principal, action, resource);`), 0o600))
	_, err := New(t.Context(), w.cfg)
	require.ErrorIs(t, err, ErrAltered)
	require.NoError(t, os.Remove(path))
	_, err = New(t.Context(), w.cfg)
	require.ErrorIs(t, err, ErrAltered)
}

// finished is a job whose one task left a folder and a log.
func (w *world) finished(owner wallet) (id string, archive []byte) {
	w.t.Helper()
	archive, log := []byte("not really an archive"), []byte("hello from the task\n")
	id = w.job(owner, "finished", artifact.DigestOf([]byte("spec")), artifact.DigestOf([]byte("module")), w.clock().Add(time.Hour))
	result := client.Result([]client.TaskOutput{{Task: 0, Result: client.BytesBlob("", archive), Log: client.BytesBlob("", log)}})
	_, err := w.registry(w.nodeLogin()).PushArtifact(w.t.Context(), client.OwnedResultRepo(id, 0, 1), client.ResultTag(0, 1), result)
	require.NoError(w.t, err)
	root := artifact.MerkleRoot([][32]byte{artifact.DigestOf(archive)})
	w.change(id, func(_ *jobstypes.Job, s *jobstypes.Slice) {
		s.Status, s.Outcome = jobstypes.SLICE_STATUS_REPORTED, &jobstypes.Outcome{ResultRoot: root[:]}
	})
	return id, archive
}

func TestResultsAndLogs(t *testing.T) {
	w := newWorld(t)
	id, archive := w.finished(w.alice)
	session := w.login(w.alice)
	status, body := w.get(session, "/v1/jobs/"+id)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), w.nodeID)
	status, body = w.get(session, "/v1/jobs")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), id)
	status, body = w.get(session, "/v1/jobs/"+id+"/results")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), artifact.DigestOf(archive).String())
	status, header, body := w.send(session, "GET", "/v1/jobs/"+id+"/tasks/0/result", nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, archive, body)
	require.Equal(t, artifact.DigestOf(archive).String(), header.Get("Fog-Digest"))
	status, body = w.get(session, "/v1/jobs/"+id+"/tasks/0/log")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "hello from the task\n", string(body))
	for path, want := range map[string]int{"/tasks/1/result": 404, "/tasks/-1/log": 400, "/tasks/x/result": 400, "/tasks/99999999999/log": 400} {
		status, _ = w.get(session, "/v1/jobs/"+id+path)
		require.Equal(t, want, status, path)
	}

	// What is not what the oracles attested is not handed out.
	w.change(id, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Outcome.ResultRoot = make([]byte, 32) })
	status, _ = w.get(session, "/v1/jobs/"+id+"/tasks/0/result")
	require.Equal(t, http.StatusBadGateway, status)
}

func TestCheck(t *testing.T) {
	w := newWorld(t)
	alice, bob, operator := w.login(w.alice), w.login(w.bob), w.login(w.operator)
	_, id := w.key(alice, time.Hour)
	for _, c := range []struct {
		token, query string
		status       int
		want         string
	}{
		{alice, "verb=PUSH&path=dev/" + w.alice.address + "/app", 200, `"allowed":true`},
		{alice, "verb=PUSH&path=dev/" + w.bob.address + "/app", 200, `"allowed":false`},
		{alice, "verb=GET&path=/v1/jobs/x&owner=" + w.alice.address, 200, `"allowed":true`},
		{alice, "verb=GET&path=/v1/jobs/x", 200, `"allowed":false`},
		{alice, "verb=GET&path=/nowhere", 400, "no policy is asked"},
		{alice, "verb=POST&path=/v1/tokens&owner=" + w.alice.address + "&token=" + id, 200, `"allowed":false`},
		{bob, "verb=GET&path=/v1/nodes&token=" + id, 403, "may not read"},
		{bob, "verb=GET&path=/v1/nodes&token=0000000000000000", 403, "may not read"},
		{operator, "verb=GET&path=/v1/nodes&token=" + id, 200, `"allowed":true`},
		{operator, "verb=GET&path=/v1/nodes&token=0000000000000000", 404, "no such token"},
	} {
		status, body := w.get(c.token, "/v1/check?"+c.query)
		require.Equal(t, c.status, status, string(body))
		require.Contains(t, string(body), c.want)
	}
}
