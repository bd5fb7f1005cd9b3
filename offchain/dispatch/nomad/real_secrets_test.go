package nomad_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/lend"
	"github.com/foggrid/fogd/offchain/gateway/workload"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets/envelope"
)

const (
	plantedSecret = "planted-secret-e81b04c5"
	secretsOwner  = "fog1alice"
)

// lender is a gateway that lends one secret to the tasks of the cluster, by their workload identities.
type lender struct {
	verifier *workload.Verifier
	url      string

	mu         sync.Mutex
	attempt    dispatch.AttemptID // the one that runs
	recipients map[string]bool
	refused    []string
}

func (c *cluster) lender(t *testing.T) *lender {
	config, err := mtls.FromFiles(c.region.ClientCert, c.region.ClientKey, c.region.CACert)
	require.NoError(t, err)
	l := &lender{recipients: map[string]bool{}}
	l.verifier, err = workload.New([]workload.Region{{Name: testRegion, URL: c.region.Address, TLS: config}}, time.Now)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

func (l *lender) serve(w http.ResponseWriter, r *http.Request) {
	var in lend.Request
	err := json.NewDecoder(r.Body).Decode(&in)
	var id workload.Identity
	if err == nil {
		id, err = l.verifier.Verify(r.Context(), in.Identity)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if want := nomad.JobID(l.attempt, testNode); err == nil && (id.Job != want || id.Task != nomad.LendTask) {
		err = fmt.Errorf("%+v is not %s", id, want)
	}
	var to age.Recipient
	if err == nil {
		to, err = age.ParseX25519Recipient(in.Recipient)
	}
	if err != nil {
		l.refused = append(l.refused, err.Error())
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	sealed, err := envelope.Seal(envelope.Content{Attempt: l.attempt.String(), Owner: secretsOwner, Values: map[string][]byte{"db/password": []byte(plantedSecret)}}, to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	l.recipients[in.Recipient] = true
	json.NewEncoder(w).Encode(lend.Lent{Owner: secretsOwner, Loan: lend.Loan{Sealed: sealed}}) //nolint:errcheck // the other side is gone
}

func (l *lender) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.recipients)
}

// TestRealSecrets: tasks on a real Nomad get their secrets by its workload identities, a service again when its container is started again, and nothing of
// them is in Nomad's folders, logs or jobs, not even while a task runs.
func TestRealSecrets(t *testing.T) {
	networks(t)
	c := realNomad(t)
	l := c.lender(t)
	o := c.options(t, t.TempDir())
	o.LookEvery = 500 * time.Millisecond
	o.Locate = func(ctx context.Context, a dispatch.Assignment) (nomad.Content, error) {
		content, err := c.locate(ctx, a)
		content.Lend = &lend.Terms{Gateway: l.url, Owner: secretsOwner, Paths: []string{"db/password"}}
		return content, err
	}
	d := openNomad(t, o)
	slice := uint32(0)
	with := func(a dispatch.Assignment) dispatch.Assignment {
		slice++
		a.ID.Slice, a.Secrets = slice, []dispatch.Secret{{Name: "PASSWORD", Path: "db/password"}}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.attempt = a.ID
		return a
	}
	guest := dispatchtest.BuildGuestImage(t)
	want := fmt.Sprintf("%x\n", sha256.Sum256([]byte(plantedSecret)))
	for name, m := range map[string]dispatchtest.Module{"module": dispatchtest.BuildGuest(t), "container": guest} {
		out := dispatchtest.RunToEnd(t, d, with(dispatchtest.Assignment(m, 2, "secret", "PASSWORD")))
		for _, task := range out.Tasks {
			require.Equal(t, dispatch.ReasonOK, task.Reason, "%s: %s %q", name, task.Message, l.refused)
			require.Equal(t, want, dispatchtest.ResultFiles(t, task)["digest"], name)
		}
	}
	require.Equal(t, 4, l.asked(), "each allocation asks for itself")

	a := with(dispatchtest.ServiceAssignment(t, guest))
	require.NoError(t, d.Start(t.Context(), a))
	w := dispatchtest.WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	c.holds(t)
	c.lacks(t, plantedSecret)
	out, err := exec.Command("sh", "-c", "docker kill "+c.mainContainer(t)).CombinedOutput()
	require.NoError(t, err, "%s", out)
	w.Until(dispatch.ServiceRestarting)
	w.Until(dispatch.ServiceHealthy)
	require.Equal(t, 6, l.asked(), "a container that is started again asks with another key")
	c.holds(t)
	c.lacks(t, plantedSecret)
	require.NoError(t, d.Stop(t.Context(), a.ID))
	require.Empty(t, l.refused)
}

// mainContainer is the one that runs of a task's program.
func (c *cluster) mainContainer(t *testing.T) (id string) {
	t.Helper()
	c.eventually(t, "the container of the service", func() bool {
		dirs, err := filepath.Glob(c.file("client/alloc/*"))
		require.NoError(t, err)
		for _, dir := range dirs {
			out, err := exec.Command("docker", "ps", "-q", "--filter", "name=run-"+filepath.Base(dir)).Output()
			require.NoError(t, err)
			if id = strings.TrimSpace(string(out)); id != "" {
				return true
			}
		}
		return false
	})
	return id
}

// holds looks into the running container of a service: its program can read the secret, and nobody else of the container, nor change it.
func (c *cluster) holds(t *testing.T) {
	t.Helper()
	pid, err := exec.Command("docker", "inspect", "-f", "{{.State.Pid}}", c.mainContainer(t)).Output()
	require.NoError(t, err)
	file := filepath.Join("/proc", strings.TrimSpace(string(pid)), "root", dispatch.SecretsDir, "PASSWORD")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, plantedSecret, string(raw))
	for path, want := range map[string]struct {
		mode fs.FileMode
		uid  uint32
	}{file: {0o400, 65532}, filepath.Dir(file): {fs.ModeDir | 0o755, 0}} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, want.mode, info.Mode())
		require.Equal(t, want.uid, info.Sys().(*syscall.Stat_t).Uid)
	}
}

// lacks looks for a text, and its base64 at each offset, in all files of the cluster: state, logs, allocations, and keys.
func (c *cluster) lacks(t *testing.T, text string) {
	t.Helper()
	forms := []string{text}
	for skip := range 3 {
		whole := base64.RawStdEncoding.EncodeToString([]byte(text[skip:]))
		forms = append(forms, whole[:len(whole)-4])
	}
	files := 0
	require.NoError(t, filepath.WalkDir(c.dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, form := range forms {
			require.False(t, bytes.Contains(raw, []byte(form)), "%s has the secret", path)
		}
		files++
		return err
	}))
	require.Greater(t, files, 10)
	t.Logf("looked into %d files below %s", files, c.dir)
}
