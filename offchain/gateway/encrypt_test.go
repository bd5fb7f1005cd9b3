package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
	"github.com/foggrid/fogd/offchain/secrets"
	"github.com/foggrid/fogd/offchain/secrets/vault"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const plantedInput = "planted-input-90b1ce"

// encryptedJob pushes a job of an owner with encrypted inputs and their key, and puts it on the chain. Nothing in the clear is left of it.
func (w *world) encryptedJob(owner wallet, salt, recipient string) (string, jobclient.Packed) {
	w.t.Helper()
	dir, err := os.MkdirTemp("", "fog-encrypt-")
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, os.RemoveAll(dir)) }()
	for name, content := range map[string]string{
		"fog.yaml":  "version: 1\nname: words\nmodule: task.wasm\ninputs: [words.txt]\nencrypt: true\nprice: {cap_per_task_hour: 0.5FOG}\nmax_duration: 1m\n",
		"task.wasm": "\x00asm\x01\x00\x00\x00" + salt, "words.txt": plantedInput,
	} {
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	f, err := jobfile.Load(filepath.Join(dir, "fog.yaml"))
	require.NoError(w.t, err)
	p, err := jobclient.PackSealed(w.t.Context(), f, dir, nil, jobclient.Sealing{Recipient: recipient, Owner: owner.address})
	require.NoError(w.t, err)
	p.Owner = owner.address
	token := w.login(owner)
	status, _, body := w.send(token, "PUT", "/v1/secrets/"+secrets.JobFile(p.Key.Path), NewSecret{p.Key.Value})
	require.Equal(w.t, http.StatusOK, status, string(body))
	require.NoError(w.t, jobclient.Push(w.t.Context(), w.registry(token), p, nil))
	return w.job(owner, salt, p.SpecDigest, p.Module, w.clock().Add(time.Hour)), p
}

// lentKey opens a loan of one secret.
func lentKey(ctx context.Context, l Lent, key ed25519.PrivateKey, job, path string) ([]byte, error) {
	var values [][]byte
	var err error
	if len(l.Loan.Sealed) > 0 {
		values, err = secrets.OpenSealed(l.Loan, key, job+"/s0/a1", l.Owner, []string{path})
	} else {
		values, err = vault.OpenLoan(ctx, l.Loan, l.Owner, []string{path})
	}
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// Gateway and registry hold encrypted inputs that the assigned node opens with what it is lent, and nobody else.
func TestEncryptedInputsOpenOnTheAssignedNode(t *testing.T) {
	eachLender(t, func(t *testing.T, lender secrets.JobLender, _ bool) {
		log := &lockedBuffer{}
		w := newWorld(t, func(c *Config) {
			c.Secrets, c.Log = lender, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		own, err := seal.NewKey()
		require.NoError(t, err)
		job, p := w.encryptedJob(w.alice, "job", own.Recipient().String())
		other, q := w.encryptedJob(w.alice, "other", own.Recipient().String())
		require.NotEqual(t, p.Inputs, q.Inputs)
		node := w.nodeLogin()
		for who, token := range map[string]string{"the owner": w.login(w.alice), "another developer": w.login(w.bob), "the operator": w.login(w.operator)} {
			status, _ := w.borrow(token, job, 1)
			require.Equal(t, http.StatusForbidden, status, who)
		}
		status, lent := w.borrow(node, job, 1)
		require.Equal(t, http.StatusOK, status)
		text, err := lentKey(t.Context(), lent, w.nodeKey, job, p.Key.Path)
		require.NoError(t, err)
		keys, err := seal.ParseKeys(text)
		require.NoError(t, err)

		pull := func(p jobclient.Packed) *bytes.Buffer {
			var raw bytes.Buffer
			repo := client.OwnedRepo(w.alice.address, client.RepoInputs, p.Inputs)
			require.NoError(t, w.registry(node).PullBlob(t.Context(), repo, client.Descriptor{Digest: p.Inputs, Size: p.InputsBytes}, &raw))
			return &raw
		}
		r, err := seal.NewReader(pull(p), seal.Inputs(w.alice.address, p.Key.Path), keys.Identities()...)
		require.NoError(t, err)
		out := filepath.Join(t.TempDir(), "out")
		require.NoError(t, artifact.UnpackIf(r, out, artifact.Limits{}, func(artifact.Digest) error { return nil }))
		require.FileExists(t, filepath.Join(out, "words.txt"))
		require.NoError(t, os.RemoveAll(out))
		_, err = seal.NewReader(pull(q), seal.Inputs(w.alice.address, q.Key.Path), keys.Identities()...)
		require.ErrorIs(t, err, seal.ErrKey, "the key of one push opens no other")

		for _, id := range []string{job, other} {
			w.change(id, func(_ *jobstypes.Job, s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_SETTLED })
			status, _ = w.borrow(node, id, 1)
			require.Equal(t, http.StatusForbidden, status, "after the end")
		}
		log.mu.Lock()
		said := log.String()
		log.mu.Unlock()
		for _, text := range []string{plantedInput, "AGE-SECRET-KEY-1"} {
			require.NotContains(t, said, text)
			require.NoError(t, filepath.WalkDir(filepath.Dir(w.dir), func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return err
				}
				raw, err := os.ReadFile(path)
				require.False(t, bytes.Contains(raw, []byte(text)), "%s in %s", text, path)
				return err
			}))
		}
	})
}
