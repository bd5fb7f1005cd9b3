package gateway

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/file"
	"github.com/foggrid/fogd/offchain/secrets/vault"
	"github.com/foggrid/fogd/offchain/secrets/vault/programtest"
	"github.com/foggrid/fogd/offchain/secrets/vault/vaulttest"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// planted is a secret that is looked for wherever it must not be.
const planted = "planted-secret-7f3a91"

// eachLender runs a test with each store of secrets; once says that its loans open once and can be recalled.
func eachLender(t *testing.T, test func(t *testing.T, lender secrets.JobLender, once bool)) {
	t.Run("file", func(t *testing.T) {
		s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
		require.NoError(t, err)
		test(t, s, false)
	})
	t.Run("stand-in", func(t *testing.T) {
		test(t, programtest.Open(t, vaulttest.New(t, false).URL, "gateway", "main", nil), true)
	})
	t.Run("real", func(t *testing.T) { test(t, programtest.Open(t, vaulttest.Real(t), "gateway", "main", nil), true) })
}

// secretJob pushes a job of an owner that names the secret db/password, and puts it on the chain.
func (w *world) secretJob(owner wallet, salt string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	for name, content := range map[string]string{
		"fog.yaml":  "version: 1\nname: words\nmodule: task.wasm\nsecrets: [{name: PASSWORD, path: db/password}]\nprice: {cap_per_task_hour: 0.5FOG}\nmax_duration: 1m\n",
		"task.wasm": "\x00asm\x01\x00\x00\x00" + salt,
	} {
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	f, err := jobfile.Load(filepath.Join(dir, "fog.yaml"))
	require.NoError(w.t, err)
	p, err := jobclient.Pack(w.t.Context(), f, w.t.TempDir(), nil)
	require.NoError(w.t, err)
	p.Owner = owner.address
	require.NoError(w.t, jobclient.Push(w.t.Context(), w.registry(w.login(owner)), p, nil))
	return w.job(owner, salt, p.SpecDigest, p.Module, w.clock().Add(time.Hour))
}

// borrow asks for the secrets of an attempt at the job's only slice.
func (w *world) borrow(token, job string, attempt int) (int, Lent) {
	w.t.Helper()
	status, _, body := w.send(token, "POST", "/v1/jobs/"+job+"/slices/0/attempts/"+strconv.Itoa(attempt)+"/secrets", nil)
	var out Lent
	if status == http.StatusOK {
		require.NoError(w.t, json.Unmarshal(body, &out))
	}
	return status, out
}

func openLent(ctx context.Context, l Lent, key ed25519.PrivateKey, job string) ([][]byte, error) {
	if len(l.Loan.Sealed) > 0 {
		return secrets.OpenSealed(l.Loan, key, job+"/s0/a1", l.Owner, []string{"db/password"})
	}
	return vault.OpenLoan(ctx, l.Loan, l.Owner, []string{"db/password"})
}

// A job's secrets come to the node that runs it while it runs it, and to nobody else.
func TestSecretsGoToTheNodeThatRunsTheJob(t *testing.T) {
	eachLender(t, func(t *testing.T, lender secrets.JobLender, once bool) {
		log := &lockedBuffer{}
		w := newWorld(t, func(c *Config) {
			c.Secrets, c.Log = lender, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		alice, node := w.login(w.alice), w.nodeLogin()
		job := w.secretJob(w.alice, "job")
		status, _ := w.borrow(node, job, 1)
		require.Equal(t, http.StatusNotFound, status, "the owner has not set it")
		status, _, body := w.send(alice, "PUT", "/v1/secrets/db~password", NewSecret{[]byte(planted)})
		require.Equal(t, http.StatusOK, status, string(body))
		status, body = w.get(alice, "/v1/secrets")
		require.Equal(t, http.StatusOK, status)
		require.JSONEq(t, `{"paths":["db/password"]}`, string(body))

		status, lent := w.borrow(node, job, 1)
		require.Equal(t, http.StatusOK, status)
		values, err := openLent(t.Context(), lent, w.nodeKey, job)
		require.NoError(t, err)
		require.Equal(t, planted, string(values[0]))
		if once {
			_, err = openLent(t.Context(), lent, w.nodeKey, job)
			require.ErrorIs(t, err, secrets.ErrNoLoan, "played again")
		} else {
			_, other, err := ed25519.GenerateKey(nil)
			require.NoError(t, err)
			_, err = openLent(t.Context(), lent, other, job)
			require.ErrorIs(t, err, secrets.ErrNoLoan, "another node's key")
		}

		for who, token := range map[string]string{"the owner": alice, "another developer": w.login(w.bob), "the operator": w.login(w.operator)} {
			status, _ = w.borrow(token, job, 1)
			require.Equal(t, http.StatusForbidden, status, who)
		}
		status, _ = w.borrow("", job, 1)
		require.Equal(t, http.StatusUnauthorized, status)
		status, _ = w.borrow(node, job, 2)
		require.Equal(t, http.StatusForbidden, status, "another attempt")
		status, _ = w.borrow(node, w.secretJob(w.bob, "of bob"), 1)
		require.Equal(t, http.StatusNotFound, status, "the same path of another owner is another secret")
		past := w.clock().Add(-time.Second).Unix()
		for name, change := range map[string]func(*jobstypes.Job, *jobstypes.Slice){
			"before the match": func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status, s.NodeId = jobstypes.SLICE_STATUS_PENDING, "" },
			"another node's": func(_ *jobstypes.Job, s *jobstypes.Slice) {
				s.Status, s.NodeId = jobstypes.SLICE_STATUS_MATCHED, "node1other"
			},
			"reported": func(_ *jobstypes.Job, s *jobstypes.Slice) {
				s.Status, s.NodeId = jobstypes.SLICE_STATUS_REPORTED, w.nodeID
			},
			"settled": func(_ *jobstypes.Job, s *jobstypes.Slice) {
				s.Status, s.NodeId = jobstypes.SLICE_STATUS_SETTLED, w.nodeID
			},
			"after its time": func(_ *jobstypes.Job, s *jobstypes.Slice) {
				s.Status, s.NodeId, s.Due = jobstypes.SLICE_STATUS_MATCHED, w.nodeID, past
			},
		} {
			w.change(job, change)
			status, _ = w.borrow(node, job, 1)
			require.Equal(t, http.StatusForbidden, status, name)
		}
		w.stop()
		require.NotContains(t, log.String(), planted)
		for _, dir := range []string{w.dir, w.cfg.RegistryDir} {
			requireNowhere(t, dir, planted)
		}
		raw, err := os.ReadFile(AuditPath(w.dir))
		require.NoError(t, err)
		require.Contains(t, string(raw), "LEND")
	})
}

// requireNowhere looks for a text in all files of a folder.
func requireNowhere(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		raw, err := os.ReadFile(path)
		require.NotContains(t, string(raw), text, path)
		return err
	}))
	require.NotZero(t, files)
}

// What was lent and not opened is recalled when the slice ends, or another loan takes its place.
func TestLoansAreRecalled(t *testing.T) {
	eachLender(t, func(t *testing.T, lender secrets.JobLender, once bool) {
		if !once {
			t.Skip("SKIPPED: what is sealed for a node cannot be recalled")
		}
		w := newWorld(t, func(c *Config) { c.Secrets = lender })
		require.NoError(t, lender.PutJobSecret(t.Context(), w.alice.address, "db/password", []byte(planted)))
		job, node := w.secretJob(w.alice, "job"), w.nodeLogin()
		_, first := w.borrow(node, job, 1)
		_, second := w.borrow(node, job, 1)
		_, err := openLent(t.Context(), first, w.nodeKey, job)
		require.ErrorIs(t, err, secrets.ErrNoLoan, "replaced")
		w.server.recallLoans(t.Context())
		w.change(job, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_REPORTED })
		w.server.recallLoans(t.Context())
		_, err = openLent(t.Context(), second, w.nodeKey, job)
		require.ErrorIs(t, err, secrets.ErrNoLoan, "the slice has ended")
		require.Empty(t, w.server.loans.list())
	})
}

// Policies that an operator got wrong lend nothing to nodes that do not run the attempt.
func TestLaxPoliciesLendNothing(t *testing.T) {
	s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	w := newWorld(t, func(c *Config) { c.Secrets = s })
	require.NoError(t, s.PutJobSecret(t.Context(), w.alice.address, "db/password", []byte(planted)))
	job, node := w.secretJob(w.alice, "job"), w.nodeLogin()
	lax := string(access.DefaultText()) + `@id("lax") permit (principal, action == Action::"write", resource is Loan);`
	status, _, body := w.send(w.login(w.operator), "PUT", "/v1/policy", lax)
	require.Equal(t, http.StatusOK, status, string(body))
	status, _ = w.borrow(node, job, 1)
	require.Equal(t, http.StatusOK, status)
	for name, token := range map[string]string{"the owner": w.login(w.alice), "a stranger": ""} {
		status, _ = w.borrow(token, job, 1)
		require.Equal(t, http.StatusForbidden, status, name)
	}
	w.change(job, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.NodeId = "node1other" })
	status, _ = w.borrow(node, job, 1)
	require.Equal(t, http.StatusForbidden, status)
}

// recalled is a lender whose recall is watched.
type recalled struct {
	secrets.JobLender
	loans []secrets.Loan
}

func (r *recalled) RecallLoan(_ context.Context, l secrets.Loan) error {
	r.loans = append(r.loans, l)
	return nil
}

// A loan that takes the place of another while the chain is asked about that one is recalled with it.
func TestNewestLoanIsRecalled(t *testing.T) {
	s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	lender := &recalled{JobLender: s}
	w := newWorld(t, func(c *Config) { c.Secrets = lender })
	w.stop()
	w.server, err = New(t.Context(), w.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.server.Close()) })
	at := place{job: w.job(w.alice, "job", artifact.DigestOf([]byte("spec")), artifact.DigestOf([]byte("image")), w.clock().Add(time.Hour)), attempt: 7}
	older, newer := lent{loan: secrets.Loan{Vault: "older", Expires: w.clock().Add(time.Minute)}, p: at}, lent{loan: secrets.Loan{Vault: "newer", Expires: w.clock().Add(time.Minute)}, p: at}
	w.server.loans.put("attempt", newer)
	w.server.recall(t.Context(), older)
	require.Len(t, lender.loans, 1)
	require.Equal(t, "newer", lender.loans[0].Vault)
	require.Empty(t, w.server.loans.list())
}

// Sealing takes a tenth of a second, so neither an owner nor a node has the gateway do nothing else.
func TestSecretsAreLimited(t *testing.T) {
	s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	w := newWorld(t, func(c *Config) { c.Secrets, c.PerIssue = s, Rate{1, 10} })
	alice := w.login(w.alice)
	job, node := w.secretJob(w.alice, "job"), w.nodeLogin()
	count := func(ask func() int) (done int) {
		for range 20 {
			if status := ask(); status == http.StatusOK {
				done++
			} else {
				require.Equal(t, http.StatusTooManyRequests, status)
			}
		}
		return done
	}
	put := func() int {
		status, _, _ := w.send(alice, "PUT", "/v1/secrets/db~password", NewSecret{[]byte("x")})
		return status
	}
	require.Equal(t, 7, count(put), "three logins came from the same address")
	require.Equal(t, 10, count(func() int {
		status, _ := w.borrow(node, job, 1)
		return status
	}))
}

func TestSecretsOfOwners(t *testing.T) {
	s, err := file.Open(filepath.Join(t.TempDir(), "s"), file.Test, nil)
	require.NoError(t, err)
	w := newWorld(t, func(c *Config) { c.Secrets = s })
	alice, bob := w.login(w.alice), w.login(w.bob)
	put := func(token, name string, value any) int {
		status, _, _ := w.send(token, "PUT", "/v1/secrets/"+name, value)
		return status
	}
	require.Equal(t, http.StatusOK, put(alice, "a", NewSecret{[]byte("x")}))
	ci, _ := w.key(alice, time.Hour, access.Developer)
	require.Equal(t, http.StatusOK, put(ci, "b", NewSecret{[]byte("x")}), "a key of CI sets what its jobs need")
	for _, name := range []string{"A", "..", "a~~b", "a~b~c~d~e"} {
		require.NotEqual(t, http.StatusOK, put(alice, name, NewSecret{[]byte("x")}), name)
	}
	require.Equal(t, http.StatusBadRequest, put(alice, "a", NewSecret{}))
	require.Equal(t, http.StatusBadRequest, put(alice, "a", NewSecret{make([]byte, secrets.MaxJobValue+1)}))
	require.Equal(t, http.StatusUnauthorized, put("", "a", NewSecret{[]byte("x")}))
	status, body := w.get(bob, "/v1/secrets")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"paths":[]}`, string(body))
	status, _, _ = w.send(bob, "DELETE", "/v1/secrets/a", nil)
	require.Equal(t, http.StatusNotFound, status)
	status, _, _ = w.send(alice, "DELETE", "/v1/secrets/a", nil)
	require.Equal(t, http.StatusOK, status)

	none := newWorld(t)
	status, _ = none.get(none.login(none.alice), "/v1/secrets")
	require.Equal(t, http.StatusNotImplemented, status)
}
