package gateway

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/gateway/workload"
	"github.com/foggrid/fogd/offchain/gateway/workload/workloadtest"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/envelope"
	"github.com/foggrid/fogd/offchain/secrets/file"
	"github.com/foggrid/fogd/offchain/secrets/vault"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// cluster is a world whose node is served by a Nomad region, with a job of Alice's there.
type cluster struct {
	*world
	region *workloadtest.Region
	job    string
}

func newCluster(t *testing.T, lender secrets.JobLender) *cluster {
	c := &cluster{region: workloadtest.New(t, "eu")}
	us := workloadtest.New(t, "us")
	c.world = newWorld(t, func(cfg *Config) {
		cfg.Secrets, cfg.PerWrong = lender, Rate{1, 1000}
		var err error
		cfg.Workloads, err = workload.New([]workload.Region{{Name: "eu", URL: c.region.URL}, {Name: "us", URL: us.URL}}, cfg.Now)
		require.NoError(t, err)
	})
	c.onNomad()
	c.job = c.consented("job", true)
	status, _, body := c.send(c.login(c.alice), "PUT", "/v1/secrets/db~password", NewSecret{[]byte(planted)})
	require.Equal(t, http.StatusOK, status, string(body))
	return c
}

// consented puts a job of Alice's on the chain that names a secret, and says whether it may go to Nomad.
func (c *cluster) consented(salt string, allowed bool) string {
	c.t.Helper()
	dir := c.t.TempDir()
	text := "version: 1\nname: words\nmodule: task.wasm\nsecrets: [{name: PASSWORD, path: db/password}]\nprice: {cap_per_task_hour: 0.5FOG}\nmax_duration: 1m\n"
	if allowed {
		text += "secrets_on_nomad: true\n"
	}
	require.NoError(c.t, os.WriteFile(filepath.Join(dir, "fog.yaml"), []byte(text), 0o600))
	require.NoError(c.t, os.WriteFile(filepath.Join(dir, "task.wasm"), []byte("\x00asm\x01\x00\x00\x00"+salt), 0o600))
	f, err := jobfile.Load(filepath.Join(dir, "fog.yaml"))
	require.NoError(c.t, err)
	p, err := jobclient.Pack(c.t.Context(), f, c.t.TempDir(), nil)
	require.NoError(c.t, err)
	p.Owner = c.alice.address
	require.NoError(c.t, jobclient.Push(c.t.Context(), c.registry(c.login(c.alice)), p, nil))
	return c.world.job(c.alice, salt, p.SpecDigest, p.Module, c.clock().Add(time.Hour))
}

// nomadID is the id of the Nomad job of the first attempt at a job.
func (c *cluster) nomadID(job string, attempt uint32) string {
	return nomad.JobID(dispatch.AttemptID{Job: job, Attempt: attempt}, c.nodeID)
}

func (c *cluster) claims(allocation string) workloadtest.Claims {
	return c.region.Of("default", c.nomadID(c.job, 1), nomad.LendTask, allocation, c.clock())
}

func (c *cluster) borrow(token, recipient string) (int, Lent) {
	c.t.Helper()
	status, _, body := c.send("", "POST", "/v1/nomad/secrets", WorkloadRequest{token, recipient})
	var out Lent
	if status == http.StatusOK {
		require.NoError(c.t, json.Unmarshal(body, &out))
	}
	require.NotContains(c.t, string(body), planted)
	return status, out
}

func newRecipient(t *testing.T) *age.X25519Identity {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	return key
}

// Each allocation of an attempt is lent its secrets, for its own key or by Vault's wrapping, and again after a restart.
func TestNomadSecrets(t *testing.T) {
	eachLender(t, func(t *testing.T, lender secrets.JobLender, once bool) {
		c := newCluster(t, lender)
		open := func(l Lent, key *age.X25519Identity) ([][]byte, error) {
			paths := []string{"db/password"}
			if once {
				return vault.OpenLoan(t.Context(), l.Loan, l.Owner, paths)
			}
			content, err := envelope.Open(l.Loan.Sealed, key)
			if err != nil {
				return nil, err
			}
			return content.For(c.job+"/s0/a1", c.alice.address, paths)
		}
		first, second := newRecipient(t), newRecipient(t)
		status, one := c.borrow(c.region.Sign(c.claims("a")), first.Recipient().String())
		require.Equal(t, http.StatusOK, status)
		status, two := c.borrow(c.region.Sign(c.claims("b")), second.Recipient().String())
		require.Equal(t, http.StatusOK, status)
		for _, got := range []struct {
			l   Lent
			key *age.X25519Identity
		}{{one, first}, {two, second}} {
			require.Equal(t, c.alice.address, got.l.Owner)
			values, err := open(got.l, got.key)
			require.NoError(t, err, "one allocation's loan does not end another's")
			require.Equal(t, planted, string(values[0]))
		}
		if !once {
			_, err := open(one, second)
			require.ErrorIs(t, err, envelope.ErrKey)
		}
		status, again := c.borrow(c.region.Sign(c.claims("a")), first.Recipient().String())
		require.Equal(t, http.StatusOK, status, "after a restart of the task")
		status, third := c.borrow(c.region.Sign(c.claims("c")), second.Recipient().String())
		require.Equal(t, http.StatusOK, status)
		c.change(c.job, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_REPORTED })
		c.server.recallLoans(t.Context())
		require.Empty(t, c.server.loans.list())
		for _, l := range []Lent{again, third} {
			if _, err := open(l, first); once {
				require.ErrorIs(t, err, secrets.ErrNoLoan, "recalled with the end of the slice")
			}
		}
		raw, err := os.ReadFile(AuditPath(c.server.cfg.Dir))
		require.NoError(t, err)
		require.Contains(t, string(raw), `"token":"nomad:eu/a"`)
		require.NotContains(t, string(raw), planted)
	})
}

// Attacks: identities of other tasks, jobs, attempts, places and times borrow nothing.
func TestNomadSecretsAttacks(t *testing.T) {
	s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	c := newCluster(t, s)
	to := newRecipient(t).Recipient().String()
	good := c.claims("a")
	status, _ := c.borrow(c.region.Sign(good), to)
	require.Equal(t, http.StatusOK, status)
	of := func(namespace, job, task string) string {
		return c.region.Sign(c.region.Of(namespace, job, task, "a", c.clock()))
	}
	id := c.nomadID(c.job, 1)
	refused := c.consented("refused", false)
	elsewhere := nomad.JobID(dispatch.AttemptID{Job: c.job, Attempt: 1}, "node1other")
	for name, bad := range map[string]struct {
		token string
		want  int
	}{
		"the task that runs the developer's program": {of("default", id, "run"), 403},
		"another namespace":                          {of("other", id, nomad.LendTask), 403},
		"another attempt":                            {of("default", c.nomadID(c.job, 2), nomad.LendTask), 403},
		"on another node":                            {of("default", elsewhere, nomad.LendTask), 403},
		"a job of another's":                         {of("default", "web", nomad.LendTask), 403},
		"a longer name":                              {of("default", id+"0", nomad.LendTask), 403},
		"a job that did not agree":                   {of("default", c.nomadID(refused, 1), nomad.LendTask), 403},
		"a job that is not":                          {of("default", c.nomadID(strings.Repeat("job1x", 1), 1), nomad.LendTask), 403},
		"a broken token":                             {"a.b.c", 401},
		"a token of the gateway":                     {c.login(c.alice), 401},
	} {
		status, _ := c.borrow(bad.token, to)
		require.Equal(t, bad.want, status, name)
	}
	for _, recipient := range []string{"", "age1x", "ssh-ed25519 AAAA"} {
		status, _ := c.borrow(c.region.Sign(good), recipient)
		require.Equal(t, http.StatusBadRequest, status)
	}
	for name, change := range map[string]func(*jobstypes.Job, *jobstypes.Slice){
		"before the match": func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_PENDING },
		"after the end":    func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_SETTLED },
		"matched anew":     func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Attempt = 2 },
		"another node":     func(_ *jobstypes.Job, s *jobstypes.Slice) { s.NodeId = "node1other" },
	} {
		before := c.slices[c.job][0]
		c.change(c.job, change)
		status, _ := c.borrow(c.region.Sign(good), to)
		require.NotEqual(t, http.StatusOK, status, name)
		c.change(c.job, func(_ *jobstypes.Job, s *jobstypes.Slice) { *s = before })
	}
	label := func(key, value string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.nodeLabels = []nodestypes.Attribute{{Key: handover.AttributeRegion, Value: "eu"}, {Key: key, Value: value}}
	}
	label(handover.AttributeNamespace, "grid")
	status, _ = c.borrow(c.region.Sign(good), to)
	require.Equal(t, http.StatusForbidden, status, "the node is in another namespace")
	status, _ = c.borrow(of("grid", id, nomad.LendTask), to)
	require.Equal(t, http.StatusOK, status)
	c.mu.Lock()
	c.nodeLabels = []nodestypes.Attribute{{Key: handover.AttributeRegion, Value: "us"}}
	c.mu.Unlock()
	status, _ = c.borrow(c.region.Sign(good), to)
	require.Equal(t, http.StatusForbidden, status, "the node is in another region")
}

// Without keys of Nomad or a store of secrets nothing is lent, and it is said why.
func TestNomadSecretsNeedKeys(t *testing.T) {
	w := newWorld(t)
	in := WorkloadRequest{"a.b.c", newRecipient(t).Recipient().String()}
	status, _, body := w.send("", "POST", "/v1/nomad/secrets", in)
	require.Equal(t, http.StatusNotImplemented, status)
	require.Contains(t, string(body), codeNoStore)
	s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	w = newWorld(t, func(c *Config) { c.Secrets = s })
	status, _, body = w.send("", "POST", "/v1/nomad/secrets", in)
	require.Equal(t, http.StatusNotImplemented, status)
	require.Contains(t, string(body), "--nomad-jwks")
}

func FuzzNomadJob(f *testing.F) {
	f.Add("fog-job1x-s0-a1-00000000")
	f.Add("fog-job1x-s01-a1-00000000")
	f.Fuzz(func(t *testing.T, id string) {
		p, ok := parseNomadJob(id)
		if ok && !strings.HasPrefix(id, "fog-"+strings.NewReplacer("/s", "-s", "/a", "-a").Replace(p.attemptID().String())+"-") {
			t.Fatalf("%q is read as %+v", id, p)
		}
	})
}
