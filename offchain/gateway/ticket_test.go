package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// onNomad makes the world's node one of Nomad's, and returns the session of an oracle.
func (w *world) onNomad() string {
	w.t.Helper()
	oracle := newWallet(w.t)
	w.mu.Lock()
	w.nodeLabels = []nodestypes.Attribute{{Key: handover.AttributeRegion, Value: "eu"}}
	w.oracles = []oracletypes.Oracle{{Operator: oracle.address}}
	w.mu.Unlock()
	return w.login(oracle, access.Oracle)
}

func ticketPath(job string, attempt int) string {
	return fmt.Sprintf("/v1/jobs/%s/slices/0/attempts/%d/ticket", job, attempt)
}

func (w *world) ticket(oracle, job string, attempt int) Ticket {
	w.t.Helper()
	status, header, body := w.send(oracle, "POST", ticketPath(job, attempt), nil)
	require.Equal(w.t, http.StatusOK, status, string(body))
	require.Equal(w.t, "no-store", header.Get("Cache-Control"))
	var out Ticket
	require.NoError(w.t, json.Unmarshal(body, &out))
	return out
}

// as sends a request as a client that knows user and password.
func (w *world) as(t Ticket, method, target string) (int, http.Header, []byte) {
	w.t.Helper()
	req, err := http.NewRequest(method, target, nil)
	require.NoError(w.t, err)
	req.SetBasicAuth(t.User, t.Password)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	require.NoError(w.t, resp.Body.Close())
	if method != http.MethodHead {
		checkDocumented(w.t, method, req.URL.Path, resp, body)
	}
	return resp.StatusCode, resp.Header, body
}

// pulls reports whether the ticket opens a repository for some actions by a registry token.
func (w *world) pulls(t Ticket, repo, actions string) []string {
	w.t.Helper()
	status, _, body := w.as(t, "GET", w.url+tokenPath+"?service="+url.QueryEscape(w.server.cfg.RegistryService)+"&scope=repository:"+repo+":"+actions)
	if status == http.StatusUnauthorized {
		return nil
	}
	require.Equal(w.t, http.StatusOK, status, string(body))
	var out RegistryToken
	require.NoError(w.t, json.Unmarshal(body, &out))
	return w.actions(out.Token)
}

// A ticket opens what its attempt runs as long as it runs, by the registry's tokens and by download, and survives a restart of the gateway.
func TestTicket(t *testing.T) {
	w := newWorld(t)
	p := w.pushed(w.alice, "a")
	oracle := w.onNomad()
	job := w.job(w.alice, "job", p.SpecDigest, p.Module, w.clock().Add(time.Hour))
	ticket := w.ticket(oracle, job, 1)
	require.Equal(t, job+"/s0/a1", ticket.User)
	require.Equal(t, w.url+"/v1/jobs/"+job+"/slices/0/attempts/1/content", ticket.Downloads)
	require.Equal(t, ticket, w.ticket(oracle, job, 1), "whoever registers the attempt, its job is the same")
	for kind, d := range map[string]artifact.Digest{client.RepoModules: p.Module, client.RepoInputs: p.Inputs, client.RepoSpecs: p.SpecDigest} {
		require.Equal(t, []string{"pull"}, w.pulls(ticket, client.OwnedRepo(w.alice.address, kind, d), "pull,push,delete"), kind)
		target := ticket.Downloads + "/" + kind + "/" + d.String()
		status, header, body := w.as(ticket, "GET", target)
		require.Equal(t, http.StatusOK, status, string(body))
		require.Equal(t, d, artifact.DigestOf(body))
		status, head, body := w.as(ticket, "HEAD", target)
		require.Equal(t, http.StatusOK, status)
		require.Empty(t, body)
		require.Equal(t, header.Get("Content-Length"), head.Get("Content-Length"))
	}
	require.Equal(t, []string{"pull"}, w.pulls(ticket, client.RepoRunner, "pull,push"))

	path := w.server.cfg.Dir
	info, err := os.Stat(filepath.Join(path, fileTicketKey))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	w.stop()
	w.start()
	module := client.OwnedRepo(w.alice.address, client.RepoModules, p.Module)
	require.Equal(t, []string{"pull"}, w.pulls(ticket, module, "pull"), "a service pulls again after weeks")
}

// What was decided by a ticket is in the audit log, with its attempt and node, and without its password.
func TestTicketsAreRecorded(t *testing.T) {
	w := newWorld(t)
	p := w.pushed(w.alice, "a")
	oracle := w.onNomad()
	job := w.job(w.alice, "job", p.SpecDigest, p.Module, w.clock().Add(time.Hour))
	ticket := w.ticket(oracle, job, 1)
	w.pulls(ticket, client.OwnedRepo(w.alice.address, client.RepoModules, p.Module), "pull,push")
	raw, err := os.ReadFile(AuditPath(w.server.cfg.Dir))
	require.NoError(t, err)
	require.Contains(t, string(raw), `"token":"`+ticket.User+`"`)
	require.Contains(t, string(raw), "has nothing of the kind")
	require.NotContains(t, string(raw), ticket.Password)
}

// Attacks: what a ticket does not open, and when it opens nothing.
func TestTicketAttacks(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PerWrong = Rate{1, 1000} })
	mine, other := w.pushed(w.alice, "a"), w.pushed(w.alice, "b")
	bobs := w.pushed(w.bob, "c")
	oracle := w.onNomad()
	end := w.clock().Add(2 * time.Hour)
	job, otherJob := w.job(w.alice, "job", mine.SpecDigest, mine.Module, end), w.job(w.alice, "other", other.SpecDigest, other.Module, end)
	ticket, others := w.ticket(oracle, job, 1), w.ticket(oracle, otherJob, 1)
	module := client.OwnedRepo(w.alice.address, client.RepoModules, mine.Module)
	require.NotEmpty(t, w.pulls(ticket, module, "pull"))

	for name, repo := range map[string]string{
		"another job's module":       client.OwnedRepo(w.alice.address, client.RepoModules, other.Module),
		"another job's inputs":       client.OwnedRepo(w.alice.address, client.RepoInputs, other.Inputs),
		"another owner's module":     client.OwnedRepo(w.bob.address, client.RepoModules, bobs.Module),
		"its module below another":   client.OwnedRepo(w.bob.address, client.RepoModules, mine.Module),
		"its module as an input":     client.OwnedRepo(w.alice.address, client.RepoInputs, mine.Module),
		"what the owner named":       "dev/" + w.alice.address + "/app",
		"its result":                 client.OwnedResultRepo(job, 0, 1),
		"beside the runner":          "grid/other",
		"the runner with an ending":  client.RepoRunner + "/x",
		"all modules without owners": client.RepoModules,
	} {
		require.Empty(t, w.pulls(ticket, repo, "pull,push,delete"), name)
	}
	for _, actions := range []string{"push", "delete"} {
		require.Empty(t, w.pulls(ticket, module, actions), actions)
		require.Empty(t, w.pulls(ticket, client.RepoRunner, actions), actions)
	}
	for name, target := range map[string]string{
		"another job's module by its own path": ticket.Downloads + "/modules/" + other.Module.String(),
		"another attempt's path":               others.Downloads + "/modules/" + mine.Module.String(),
		"another's path and content":           others.Downloads + "/modules/" + other.Module.String(),
		"a manifest of its image":              ticket.Downloads + "/images/" + other.Module.String(),
		"a kind that climbs":                   ticket.Downloads + "/..%2fmodules/" + mine.Module.String(),
	} {
		status, _, body := w.as(ticket, "GET", target)
		require.Equal(t, http.StatusForbidden, status, "%s: %s", name, body)
	}

	altered := ticket
	altered.Password = ticket.Password[:len(ticket.Password)-1] + "g"
	longer := ticket
	longer.Password += "0"
	for name, bad := range map[string]Ticket{
		"altered": altered, "longer": longer, "another's password": {User: ticket.User, Password: others.Password},
		"another attempt": {User: job + "/s0/a2", Password: ticket.Password}, "another slice": {User: job + "/s1/a1", Password: ticket.Password},
		"another form of the attempt": {User: job + "/s00/a1", Password: ticketPassword(w.server.ticketKey, job+"/s00/a1")},
		"no user":                     {Password: ticket.Password}, "no password": {User: ticket.User, Password: ticketPrefix},
		"of another gateway": newWorldTicket(t, ticket.User),
	} {
		require.Empty(t, w.pulls(bad, module, "pull"), name)
		status, _, body := w.as(bad, "GET", ticket.Downloads+"/modules/"+mine.Module.String())
		require.Equal(t, http.StatusUnauthorized, status, "%s: %s", name, body)
	}
	// It is for pulling alone: not for the API, nor as a bearer, nor for the registry itself.
	for _, path := range []string{"/v1/whoami", "/v1/jobs/" + job, "/v1/nodes", "/v2/"} {
		status, _, _ := w.as(ticket, "GET", w.url+path)
		require.Equal(t, http.StatusUnauthorized, status, path)
	}
	status, _, _ := w.as(ticket, "POST", w.url+"/v1/jobs/"+job+"/slices/0/attempts/1/secrets")
	require.Equal(t, http.StatusUnauthorized, status)
	status, _ = w.get(ticket.Password, tokenPath+"?service="+w.server.cfg.RegistryService)
	require.Equal(t, http.StatusUnauthorized, status)

	// The chain takes it back, whatever the reason.
	for name, change := range map[string]func(*jobstypes.Job, *jobstypes.Slice){
		"cancelled":      func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_CANCELLED },
		"reported":       func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_REPORTED },
		"matched anew":   func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Attempt = 2 },
		"after its time": func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Due = w.now.Unix() },
	} {
		w.change(job, change)
		require.Empty(t, w.pulls(ticket, module, "pull"), name)
		require.Empty(t, w.pulls(ticket, client.RepoRunner, "pull"), name)
		status, _, _ := w.as(ticket, "GET", ticket.Downloads+"/modules/"+mine.Module.String())
		require.Equal(t, http.StatusUnauthorized, status, name)
		w.change(job, func(_ *jobstypes.Job, s *jobstypes.Slice) {
			s.Status, s.Attempt, s.Due = jobstypes.SLICE_STATUS_MATCHED, 1, end.Unix()
		})
		require.NotEmpty(t, w.pulls(ticket, module, "pull"), name)
	}
	w.mu.Lock()
	w.nodeLabels = nil
	w.mu.Unlock()
	require.Empty(t, w.pulls(ticket, module, "pull"), "its node is served by its agent")
}

// newWorldTicket is what another gateway would give for an attempt.
func newWorldTicket(t *testing.T, user string) Ticket {
	t.Helper()
	key, err := ticketKey(t.TempDir())
	require.NoError(t, err)
	return Ticket{User: user, Password: ticketPassword(key, user)}
}

// Only oracles get tickets, and only of what runs on Nomad.
func TestWhoGetsTickets(t *testing.T) {
	w := newWorld(t)
	p := w.pushed(w.alice, "a")
	job := w.job(w.alice, "job", p.SpecDigest, p.Module, w.clock().Add(time.Hour))
	ask := func(token string, attempt int) int {
		status, _, _ := w.send(token, "POST", ticketPath(job, attempt), nil)
		return status
	}
	oracle := w.onNomad()
	w.mu.Lock()
	labels := w.nodeLabels
	w.nodeLabels = nil
	w.mu.Unlock()
	require.Equal(t, http.StatusForbidden, ask(oracle, 1), "its node is served by its agent")
	w.mu.Lock()
	w.nodeLabels = labels
	w.mu.Unlock()
	require.Equal(t, http.StatusOK, ask(oracle, 1))
	require.Equal(t, http.StatusForbidden, ask(oracle, 2), "no such attempt")
	for who, token := range map[string]string{"owner": w.login(w.alice), "stranger to the job": w.login(w.bob), "operator": w.login(w.operator), "node": w.nodeLogin()} {
		require.Equal(t, http.StatusForbidden, ask(token, 1), who)
	}
	require.Equal(t, http.StatusUnauthorized, ask("", 1))
	w.change(job, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_SETTLED })
	require.Equal(t, http.StatusForbidden, ask(oracle, 1), "after the end")
}

// The runner is the operators' to push, and stays.
func TestRunnersRepository(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.GCAge = time.Hour })
	layer := client.BytesBlob("", []byte("runner"))
	_, err := w.registry(w.login(w.alice)).PushArtifact(t.Context(), client.RepoRunner, "", client.Module(layer))
	require.ErrorIs(t, err, client.ErrDenied)
	manifest, err := w.registry(w.login(w.operator)).PushArtifact(t.Context(), client.RepoRunner, "", client.Module(layer))
	require.NoError(t, err)
	w.wait(1000 * time.Hour)
	_, err = w.server.CollectGarbage(t.Context())
	require.NoError(t, err)
	_, err = w.registry(w.login(w.operator)).PullManifest(t.Context(), client.RepoRunner, manifest.String())
	require.NoError(t, err)
}

func TestTicketKeyMustBeOne(t *testing.T) {
	dir := t.TempDir()
	key, err := ticketKey(dir)
	require.NoError(t, err)
	again, err := ticketKey(dir)
	require.NoError(t, err)
	require.Equal(t, key, again)
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileTicketKey), []byte("short"), 0o600))
	_, err = ticketKey(dir)
	require.ErrorContains(t, err, "holds no key")
}

// The user of a ticket is read in the one form in which it is written.
func FuzzTicketUser(f *testing.F) {
	f.Add("job1x/s0/a1")
	f.Add("job1x/s00/a1")
	f.Add("job1x/s4294967296/a1")
	f.Fuzz(func(t *testing.T, user string) {
		p, ok := parseTicketUser(user)
		if ok && p.attemptID().String() != user || ok && strings.ContainsAny(p.job, "/.%") {
			t.Fatalf("%q is read as %+v", user, p)
		}
	})
}
