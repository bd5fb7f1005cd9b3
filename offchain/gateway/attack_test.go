package gateway

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/audit"
	"github.com/foggrid/fogd/offchain/registry/auth"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// A job of another is answered like one that there is not, with the same words.
func TestStrangersLearnNothing(t *testing.T) {
	w := newWorld(t)
	there, _ := w.finished(w.alice)
	missing := jobstypes.JobID([]byte("nobody"), []byte("x")).Bech32(jobstypes.JobHRP)
	_, token := w.key(w.login(w.alice), time.Hour)
	for who, caller := range map[string]string{"stranger": "", "other developer": w.login(w.bob), "node": w.nodeLogin(), "operator": w.login(w.operator)} {
		for _, path := range []string{"/v1/jobs/%s", "/v1/jobs/%s/results", "/v1/jobs/%s/tasks/0/result", "/v1/jobs/%s/tasks/0/log", "/v1/jobs/%s/tasks/99/log"} {
			status, body := w.get(caller, fmt.Sprintf(path, there))
			otherStatus, otherBody := w.get(caller, fmt.Sprintf(path, missing))
			malformed, malformedBody := w.get(caller, fmt.Sprintf(path, "job1x"))
			require.Equal(t, status, otherStatus)
			require.Equal(t, status, malformed)
			require.Equal(t, string(body), string(otherBody))
			require.Equal(t, string(body), string(malformedBody))
			require.Contains(t, []int{401, 403}, status, who+path)
		}
		if who == "operator" {
			continue // who may revoke any token
		}
		status, _, body := w.send(caller, "DELETE", "/v1/tokens/"+token, nil)
		otherStatus, _, otherBody := w.send(caller, "DELETE", "/v1/tokens/0000000000000000", nil)
		require.Equal(t, status, otherStatus)
		require.Equal(t, string(body), string(otherBody))
	}
	bob := w.login(w.bob)
	status, _ := w.get(bob, "/v1/jobs?owner="+w.alice.address)
	require.Equal(t, http.StatusForbidden, status)
	status, _ = w.get(bob, "/v1/jobs?owner=all")
	require.Equal(t, http.StatusForbidden, status)
	status, _ = w.get(bob, "/v1/tokens?owner="+w.alice.address)
	require.Equal(t, http.StatusForbidden, status)
}

func TestLoginAttacks(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerWrong = Rate{1, 1000} })
	other := newWorld(t)
	subject := map[string]string{"address": w.alice.address}
	good := w.challenge(subject)
	bobs := w.answer(w.bob, w.challenge(map[string]string{"address": w.bob.address}))
	forNode := w.challenge(map[string]string{"node": w.nodeID})
	_, stranger, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	for name, in := range map[string]LoginRequest{
		"other wallet":             w.answer(w.bob, good),
		"bob's key, alice's words": {Challenge: good, PublicKey: bobs.PublicKey, Signature: bobs.Signature},
		"no signature":             {Challenge: good, PublicKey: w.alice.key.PubKey().Bytes()},
		"own challenge":            w.answer(w.alice, "fog gateway login\n\ndomain: x\n"),
		"another gateway's":        w.answer(w.alice, other.challenge(subject)),
		"altered subject":          w.answer(w.bob, strings.Replace(good, w.alice.address, w.bob.address, 1)),
		"longer life":              w.answer(w.alice, strings.Replace(good, "expires: 2", "expires: 3", 1)),
		"something added":          w.answer(w.alice, good+"\n"),
		"field twice":              w.answer(w.alice, strings.Replace(good, "\nnonce:", "\nnonce: x\nnonce:", 1)),
		"empty":                    w.answer(w.alice, ""),
		"node by another key":      {Challenge: forNode, Signature: ed25519.Sign(stranger, NodeSigningBytes(forNode))},
		"node without domain":      {Challenge: forNode, Signature: ed25519.Sign(w.nodeKey, []byte(forNode))},
		"node by a wallet":         w.answer(w.alice, forNode),
	} {
		status, _, body := w.send("", "POST", "/v1/login", in)
		require.Equal(t, http.StatusUnauthorized, status, "%s: %s", name, body)
	}

	// What was refused has not spent the challenge; what was taken has.
	answer := w.answer(w.alice, good)
	status, _, _ := w.send("", "POST", "/v1/login", answer)
	require.Equal(t, http.StatusCreated, status)
	for range 3 {
		status, _, body := w.send("", "POST", "/v1/login", answer)
		require.Equal(t, http.StatusUnauthorized, status)
		require.Contains(t, string(body), "answered before")
	}
	late := w.answer(w.alice, w.challenge(subject))
	w.wait(challengeLife)
	status, _, _ = w.send("", "POST", "/v1/login", late)
	require.Equal(t, http.StatusUnauthorized, status)

	// No challenge of before is good after a restart, so none can be replayed across it.
	old := w.answer(w.alice, w.challenge(subject))
	w.stop()
	w.start()
	status, _, _ = w.send("", "POST", "/v1/login", old)
	require.Equal(t, http.StatusUnauthorized, status)

	// A node that there is not is answered like a wrong key.
	missing := nodestypes.NodeID([]byte("nobody"), "salt").Bech32(nodestypes.NodeHRP)
	challenge := w.challenge(map[string]string{"node": missing})
	status, _, wrong := w.send("", "POST", "/v1/login", LoginRequest{Challenge: challenge, Signature: []byte("x")})
	require.Equal(t, http.StatusUnauthorized, status)
	require.Contains(t, string(wrong), errNodeKey.Error())
	for _, bad := range []map[string]string{{}, {"address": "fog1x"}, {"node": "node1x"}, {"address": w.alice.address, "node": w.nodeID}, {"other": "x"}} {
		status, _, _ := w.send("", "POST", "/v1/login/challenge", bad)
		require.Equal(t, http.StatusBadRequest, status)
	}
}

// A token of one kind is none of the other: they are for different audiences.
func TestTokensOfOtherAudiences(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	registryToken, _, err := w.server.issuer.Issue(w.alice.address, []auth.Access{{Type: "repository", Name: "dev/" + w.alice.address + "/app", Actions: []string{"pull", "push"}}}, false, time.Time{})
	require.NoError(t, err)
	status, _ := w.get(registryToken, "/v1/nodes")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = w.get(session, "/v2/")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = w.get(registryToken, "/v2/")
	require.Equal(t, http.StatusOK, status)
	w.wait(auth.Life)
	status, _ = w.get(registryToken, "/v2/")
	require.Equal(t, http.StatusUnauthorized, status)
	status, body := w.get(session, tokenPath+"?service=other&scope=repository:x:pull")
	require.Equal(t, http.StatusBadRequest, status, string(body))
	status, _ = w.get("", tokenPath+"?service="+w.server.cfg.RegistryService)
	require.Equal(t, http.StatusUnauthorized, status)
}

func TestRegistryScopes(t *testing.T) {
	w := newWorld(t)
	image, foreign, spec := artifact.DigestOf([]byte("image")), artifact.DigestOf([]byte("foreign")), artifact.DigestOf([]byte("spec"))
	mine := w.job(w.alice, "one", spec, image, w.clock().Add(time.Hour))
	other := w.job(w.bob, "two", artifact.DigestOf([]byte("spec 2")), foreign, w.clock().Add(2*time.Minute))
	w.change(other, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.NodeId = "node1other" })
	alice, node := w.login(w.alice), w.nodeLogin()
	dev := "dev/" + w.alice.address
	for _, c := range []struct {
		name, token, repo, actions string
		want                       []string
	}{
		{"developer", alice, dev + "/app", "pull,push", []string{"pull", "push"}},
		{"developer deletes", alice, dev + "/app", "delete", nil},
		{"developer elsewhere", alice, "dev/" + w.bob.address + "/app", "pull,push", nil},
		{"developer at the root", alice, "modules", "pull,push", nil},
		{"developer at no address", alice, "dev/x/app", "pull,push", nil},
		{"name that begins alike", alice, dev + "x/app", "pull,push", nil},
		{"dev alone", alice, dev, "pull,push", nil},
		{"own result", alice, "results/" + mine + "/s0-a1", "pull,push", []string{"pull"}},
		{"own results, other form", alice, "results/" + mine, "pull,push", nil},
		{"other's result", alice, "results/" + other + "/s0-a1", "pull,push", nil},
		{"node pulls its image", node, dev + "/images/" + image.Hex(), "pull,push", []string{"pull"}},
		{"node pulls its spec", node, dev + "/specs/" + spec.Hex(), "pull", []string{"pull"}},
		{"node pulls another spec of the owner", node, dev + "/specs/" + foreign.Hex(), "pull", nil},
		{"node pulls another module of the owner", node, dev + "/modules/" + foreign.Hex(), "pull", nil},
		{"node pulls other inputs of the owner", node, dev + "/inputs/" + foreign.Hex(), "pull", nil},
		{"node pulls another image of the owner", node, dev + "/images/" + foreign.Hex(), "pull", nil},
		{"node pulls the image as something else", node, dev + "/inputs/" + image.Hex(), "pull", nil},
		{"node pulls what the owner named", node, dev + "/app", "pull", nil},
		{"node pulls another job's image", node, "dev/" + w.bob.address + "/images/" + foreign.Hex(), "pull", nil},
		{"node pulls its image from another owner", node, "dev/" + w.bob.address + "/images/" + image.Hex(), "pull", nil},
		{"node pushes its result", node, "results/" + mine + "/s0-a1", "pull,push", []string{"pull", "push"}},
		{"node pushes an earlier attempt", node, "results/" + mine + "/s0-a0", "pull,push", nil},
		{"node pushes another slice", node, "results/" + mine + "/s1-a1", "pull,push", nil},
		{"node pushes another's result", node, "results/" + other + "/s0-a1", "pull,push", nil},
		{"node deletes its result", node, "results/" + mine + "/s0-a1", "delete", nil},
	} {
		require.Equal(t, c.want, w.granted(c.token, c.repo, c.actions), c.name)
	}
	// The chain takes it back.
	w.change(mine, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_CANCELLED })
	require.Empty(t, w.granted(node, dev+"/images/"+image.Hex(), "pull"))
	require.Empty(t, w.granted(node, "results/"+mine+"/s0-a1", "pull,push"))
	w.change(mine, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_MATCHED })
	require.NotEmpty(t, w.granted(node, dev+"/images/"+image.Hex(), "pull"))
	w.wait(59 * time.Minute)
	// By a new login: the first one ends with the slice.
	status, body := w.get(w.nodeLogin(), tokenPath+"?service="+w.server.cfg.RegistryService+"&scope=repository:"+dev+"/images/"+image.Hex()+":pull")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, string(body), `"expires_in":60,`, "a token does not outlive the slice")
	w.wait(time.Minute)
	require.Empty(t, w.granted(w.nodeLogin(), dev+"/images/"+image.Hex(), "pull"), "the deadline is over")
}

func TestPathsAndBodies(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	for _, path := range []string{
		"/v1/jobs/..%2f..%2ftokens", "/v1/jobs/%2e%2e/results", "/v1/tokens/..%2f..%2fgateway.db", "/v1/grants/..%2f..%2fetc", "/v1//jobs/x/results/../../../audit",
		"/v1/nodes/" + strings.Repeat("a", 8000), "/v1/jobs/%00", "/v1/audit/../policy", "/debug/pprof/", "/gateway.db",
	} {
		status, body := w.get(session, path)
		require.Contains(t, []int{400, 403, 404}, status, "%s: %s", path, body)
		require.NotContains(t, string(body), w.dir)
	}
	for _, scope := range []string{"repository:dev/" + w.alice.address + "/../../modules:push", "repository:dev%2F..:push", "x"} {
		status, _ := w.get(session, tokenPath+"?service="+w.server.cfg.RegistryService+"&scope="+scope)
		require.Equal(t, http.StatusBadRequest, status, scope)
	}
	big := strings.Repeat("x", maxBody+1)
	status, _, _ := w.send(session, "POST", "/v1/tokens", NewToken{Kind: access.Key, Life: 60, Note: big})
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _, _ = w.send(w.login(w.operator), "PUT", "/v1/policy", "//"+big)
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _, _ = w.send("", "POST", "/v1/login", LoginRequest{Challenge: big})
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	status, _, _ = w.send("", "POST", "/v1/login", "{}")
	require.Equal(t, http.StatusUnsupportedMediaType, status)
	req, err := http.NewRequest("GET", w.url+"/v1/nodes", nil)
	require.NoError(t, err)
	req.Header.Set("X-Large", strings.Repeat("x", 2*maxHeader))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
}

// Ten thousand wrong tokens find nothing, are soon refused unread, leave few records, and hold up nobody who has a good one.
func TestTenThousandWrongTokens(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	before := w.server.audit.Head().Seq
	counts := map[int]int{}
	for i := range 10_000 {
		status, _ := w.get(fmt.Sprintf("fogt_%016x_%s", i, strings.Repeat("a", 52)), "/v1/nodes")
		counts[status]++
	}
	require.Equal(t, map[int]int{http.StatusUnauthorized: 20, http.StatusTooManyRequests: 9980}, counts)
	require.EqualValues(t, 20, w.server.audit.Head().Seq-before)
	status, _ := w.get(session, "/v1/nodes")
	require.Equal(t, http.StatusOK, status)
	w.wait(time.Minute)
	status, header, _ := w.send("fogt_wrong", "GET", "/v1/nodes", nil)
	require.Equal(t, http.StatusUnauthorized, status)
	require.Equal(t, `Bearer realm="fog gateway"`, header.Get("WWW-Authenticate"))
}

func TestRates(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerToken, c.PerAddress = Rate{1, 5}, Rate{2, 40} })
	alice, bob := w.login(w.alice), w.login(w.bob) // four requests of the address
	codes := func(token string, n int) (got []int) {
		for range n {
			status, _ := w.get(token, "/v1/nodes")
			got = append(got, status)
		}
		return got
	}
	require.Equal(t, []int{200, 200, 200, 200, 200, 429, 429}, codes(alice, 7))
	require.Equal(t, []int{200}, codes(bob, 1))
	w.wait(2 * time.Second)
	require.Equal(t, []int{200, 200, 429}, codes(alice, 3))
	codes(bob, 40)
	status, header, _ := w.send("", "GET", "/healthz", nil)
	require.Equal(t, http.StatusTooManyRequests, status)
	require.NotEmpty(t, header.Get("Retry-After"))
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct{ remote, forwarded, want, key string }{
		{"192.0.2.1:5", "", "192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:5", "198.51.100.1", "192.0.2.1", "192.0.2.1"}, // nobody has to believe it
		{"127.0.0.1:5", "198.51.100.1", "198.51.100.1", "198.51.100.1"},
		{"127.0.0.1:5", "1.1.1.1, 198.51.100.1, 10.0.0.7", "198.51.100.1", "198.51.100.1"},
		{"127.0.0.1:5", "1.1.1.1, nonsense", "127.0.0.1", "127.0.0.1"},
		{"[2001:db8:1:2:3:4:5:6]:5", "", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"[::ffff:192.0.2.1]:5", "", "192.0.2.1", "192.0.2.1"},
		{"pipe", "", "::", "::/64"},
	} {
		req := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		if c.forwarded != "" {
			req.Header.Set("X-Forwarded-For", c.forwarded)
		}
		at := clientAddress(req, trusted)
		require.Equal(t, c.want, at.String())
		require.Equal(t, c.key, limitKey(at))
	}
}

// Clients that send a request byte by byte are cut off, each in its own way, and hold up nobody.
func TestSlowClients(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	push, _, err := w.server.issuer.Issue("x", []auth.Access{{Type: "repository", Name: "dev/a/app", Actions: []string{"push"}}}, false, time.Time{})
	require.NoError(t, err)
	w.stop()
	w.hurry = true
	w.start()
	addr := strings.TrimPrefix(w.url, "http://")
	d := artifact.DigestOf([]byte("x"))
	for name, begin := range map[string]string{
		"header": "GET /v1/nodes HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		"body":   "POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		"push":   "POST /v2/dev/a/app/blobs/uploads/?digest=" + d.String() + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + push + "\r\nContent-Length: 1000\r\n\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			var conns []net.Conn
			for range 50 {
				conn, err := net.Dial("tcp", addr)
				require.NoError(t, err)
				_, err = conn.Write([]byte(begin))
				require.NoError(t, err)
				conns = append(conns, conn)
			}
			status, _ := w.get(session, "/v1/nodes")
			require.Equal(t, http.StatusOK, status)
			for _, conn := range conns {
				// Reading ends when the gateway hangs up; if it never did, so would the test.
				var rest bytes.Buffer
				if _, err := io.Copy(&rest, conn); err != nil {
					t.Logf("the connection was reset: %v", err) // with what was not read
				}
				require.NotContains(t, rest.String(), "HTTP/1.1 2")
				require.NoError(t, conn.Close())
			}
		})
	}
}

func TestEveryActIsInTheLog(t *testing.T) {
	w := newWorld(t)
	operator, alice := w.login(w.operator), w.login(w.alice)
	_, id := w.key(alice, time.Hour)
	w.send(operator, "PUT", "/v1/grants/"+w.bob.address, Grants{[]string{access.Auditor}})
	w.send(operator, "DELETE", "/v1/tokens/"+id, nil)
	w.get(alice, "/v1/audit")
	w.granted(alice, "dev/"+w.bob.address+"/app", "push")
	w.stop()
	raw, err := os.ReadFile(AuditPath(w.dir))
	require.NoError(t, err)
	report, err := audit.Verify(bytes.NewReader(raw), nil)
	require.NoError(t, err)
	require.Positive(t, report.Records)
	for _, want := range []string{
		`"actor":"` + w.operator.address + `"`, `"verb":"ISSUE","path":"tokens/` + id + `","allowed":true`,
		`"verb":"GRANT","path":"` + w.bob.address + `","allowed":true`, `"verb":"DELETE","path":"/v1/tokens/` + id + `","allowed":true,"policies":["operator-revokes"]`,
		`"verb":"GET","path":"/v1/audit","allowed":false`, `"verb":"PUSH","path":"dev/` + w.bob.address + `/app","allowed":false`,
	} {
		require.Contains(t, string(raw), want)
	}
	require.NotContains(t, string(raw), strings.Split(alice, "_")[2])
}

// Who proves who they are and asks for what they may not have is in the log too.
func TestRefusedProofsAreInTheLog(t *testing.T) {
	e := newEnrolling(t)
	status, _, body := e.send("", "POST", "/v1/login", e.answer(e.alice, e.challenge(map[string]string{"address": e.alice.address}), access.Operator))
	require.Equal(t, http.StatusForbidden, status, string(body))
	e.setStatus(nodestypes.NODE_STATUS_JAILED)
	status, body = e.ask(e.challenge(map[string]string{"node": e.nodeID}), e.nodeKey)
	require.Equal(t, http.StatusForbidden, status, string(body))
	require.Contains(t, string(body), "barred")
	raw, err := os.ReadFile(AuditPath(e.dir))
	require.NoError(t, err)
	require.Contains(t, string(raw), `"verb":"LOGIN","path":"`+e.alice.address+`","allowed":false`)
	require.Contains(t, string(raw), `"verb":"ENROL","path":"`+e.nodeID+`","allowed":false`)
}

// If the log cannot be written, nothing is done.
func TestNothingIsDoneUnseen(t *testing.T) {
	w := newWorld(t)
	session := w.login(w.alice)
	require.NoError(t, w.server.audit.Close())
	status, _ := w.get(session, "/v1/nodes")
	require.Equal(t, http.StatusInternalServerError, status)
	status, _, _ = w.send("", "POST", "/v1/login", w.answer(w.alice, w.challenge(map[string]string{"address": w.alice.address})))
	require.Equal(t, http.StatusInternalServerError, status)
	w.stop = func() {} // its end would fail, as it should
	t.Cleanup(func() { require.Error(t, w.server.Close()) })
}
