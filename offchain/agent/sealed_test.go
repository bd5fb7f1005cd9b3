package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
	"github.com/foggrid/fogd/offchain/secrets"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const (
	plantedInput = "planted-input-8d20b7"
	sealedOwner  = "fog1alice"
	keyPath      = "fog-inputs/ab"
)

// sealedPush is a developer's push of encrypted inputs.
type sealedPush struct {
	own, key *age.X25519Identity
	inputs   []byte
}

// lend gives out the key, to attempts at the owner's jobs.
func (p *sealedPush) lend(owner string, paths []string) ([][]byte, error) {
	if owner != sealedOwner || len(paths) != 1 || paths[0] != keyPath {
		return nil, secrets.ErrNoLoan
	}
	return [][]byte{[]byte(p.key.String())}, nil
}

func newKey(t *testing.T) *age.X25519Identity {
	t.Helper()
	key, err := seal.NewKey()
	require.NoError(t, err)
	return key
}

// push encrypts an input file under a label.
func push(t *testing.T, label seal.Label) *sealedPush {
	t.Helper()
	p := &sealedPush{own: newKey(t), key: newKey(t)}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "input.txt"), []byte(plantedInput), 0o600))
	var out bytes.Buffer
	w, err := seal.NewWriter(&out, label, p.own.Recipient(), p.key.Recipient())
	require.NoError(t, err)
	require.NoError(t, artifact.Pack(w, dir, artifact.Limits{}))
	require.NoError(t, w.Close())
	p.inputs = out.Bytes()
	return p
}

// sealedJob puts a job on chain whose inputs are those bytes.
func (w *world) sealedJob(id string, p *sealedPush, inputs []byte, args ...string) jobstypes.Job {
	w.t.Helper()
	spec := w.specOf(w.job(id, 1, args...))
	spec.Inputs = artifact.DigestOf(inputs)
	spec.Encrypt = &jobfile.EncryptSpec{Recipient: p.own.Recipient().String(), InputsKey: keyPath}
	require.NoError(w.t, spec.Validate())
	w.pushTo(client.RepoInputs, client.Inputs(client.BytesBlob("", inputs)))
	job := w.putJob(id, spec)
	job.Owner = sealedOwner
	w.change(func() { w.jobs[id] = job })
	return job
}

// holding lists the files below a folder that hold a text, relative to it.
func holding(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // cleared away meanwhile
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, []byte(text)) {
			rel, relErr := filepath.Rel(dir, path)
			found, err = append(found, rel), errors.Join(err, relErr)
		}
		return err
	})
	require.NoError(t, err)
	return found
}

func withSecrets(s SecretSource) func(*Config) { return func(c *Config) { c.Secrets = s } }

func (p *process) plainOf(id dispatch.AttemptID) string {
	return filepath.Join(p.dir, "agent", plainDir, plainName(id))
}

// Inputs are in the clear in one folder of the node while the task runs, results nowhere but in the task's folder until it ends; the registry has
// neither, and the developer opens the result.
func TestSealedSlice(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	pushed := push(t, seal.Inputs(sealedOwner, keyPath))
	p := w.run(t.TempDir(), withSecrets(secretFunc(pushed.lend)))

	waits := w.match(w.sealedJob("job1waits", pushed, pushed.inputs, "wait", "0"), 0, 0, 1)
	eventually(t, "the task does not begin", func() bool { return w.lastProgress(waits).TasksTotal == 1 && len(p.kept()) == 1 })
	require.Equal(t, []string{filepath.Join("agent", plainDir, plainName(waits), plainInputs, "input.txt")}, holding(t, p.dir, plantedInput))
	info, err := os.Stat(p.plainOf(waits))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, os.WriteFile(filepath.Join(p.plainOf(waits), plainInputs, "release"), nil, 0o600))
	require.Equal(t, link.ReasonNone, w.outcome(waits).Tasks[0].Reason)

	id := w.match(w.sealedJob("job1reports", pushed, pushed.inputs, "report"), 0, 0, 1)
	report := w.outcome(id)
	require.Equal(t, link.ReasonNone, report.Tasks[0].Reason)
	require.Empty(t, holding(t, p.dir, plantedInput), "nothing is left on the node")
	require.Empty(t, holding(t, w.content, plantedInput), "nothing was in the registry")
	require.NoDirExists(t, p.plainOf(id))

	m, err := w.push.PullArtifact(t.Context(), client.ResultRepo(id.Job), client.ResultTag(0, 1), t.TempDir())
	require.NoError(t, err)
	tasks, err := m.Tasks(0, 1)
	require.NoError(t, err)
	require.Equal(t, artifact.MerkleRoot([][32]byte{tasks[0].Result.Digest}), report.ResultRoot, "what is attested is what is in the registry")
	var raw bytes.Buffer
	require.NoError(t, w.push.PullBlob(t.Context(), client.ResultRepo(id.Job), tasks[0].Result, &raw))
	out := filepath.Join(t.TempDir(), "out")
	r, err := seal.NewReader(bytes.NewReader(raw.Bytes()), seal.Result(id.Job, 0), pushed.own)
	require.NoError(t, err)
	require.NoError(t, artifact.UnpackIf(r, out, artifact.Limits{}, func(artifact.Digest) error { return nil }))
	require.Len(t, holding(t, out, plantedInput), 1, "the task read its input")
	_, err = seal.NewReader(bytes.NewReader(raw.Bytes()), seal.Result(id.Job, 0), pushed.key)
	require.ErrorIs(t, err, seal.ErrKey, "the key of the inputs opens no results")
}

// Inputs that are not what the owner has sealed under the key that the spec names are run by nobody.
func TestSealedInputsThatAreOthers(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	good := push(t, seal.Inputs(sealedOwner, keyPath))
	p := w.run(t.TempDir(), withSecrets(secretFunc(good.lend)))
	flipped := bytes.Clone(good.inputs)
	flipped[len(flipped)-100] ^= 1
	under := func(label seal.Label) []byte { // the right key, another label
		other := push(t, label)
		var out bytes.Buffer
		wr, err := seal.NewWriter(&out, label, good.key.Recipient())
		require.NoError(t, err)
		r, err := seal.NewReader(bytes.NewReader(other.inputs), label, other.key)
		require.NoError(t, err)
		_, err = io.Copy(wr, r)
		require.NoError(t, errors.Join(err, wr.Close()))
		return out.Bytes()
	}
	for name, inputs := range map[string][]byte{
		"flipped":         flipped,
		"cut":             good.inputs[:len(good.inputs)-1],
		"another push's":  push(t, seal.Inputs(sealedOwner, keyPath)).inputs,
		"another owner's": under(seal.Inputs("fog1bob", keyPath)),
		"of another name": under(seal.Inputs(sealedOwner, "fog-inputs/ac")),
		"a result":        under(seal.Result("job1x", 0)),
		"in the clear":    bytes.Repeat([]byte("x"), 2048),
	} {
		job := "job1" + strings.Map(func(r rune) rune {
			if r < 'a' || r > 'z' {
				return -1
			}
			return r
		}, name)
		id := w.match(w.sealedJob(job, good, inputs, "report"), 0, 0, 1)
		require.Equal(t, link.ReasonBadImage, w.outcome(id).Tasks[0].Reason, name)
		require.NoDirExists(t, p.plainOf(id), name)
	}
	require.Empty(t, holding(t, p.dir, plantedInput))
	same := w.match(w.sealedJob("job1same", good, under(seal.Inputs(sealedOwner, keyPath)), "report"), 0, 0, 1)
	require.Equal(t, link.ReasonNone, w.outcome(same).Tasks[0].Reason, "what differs above is all that is wrong there")
}

// A node that is lent no key opens nothing.
func TestNodeWithoutTheLoan(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	pushed := push(t, seal.Inputs(sealedOwner, keyPath))
	var asked atomic.Int32
	p := w.run(t.TempDir(), withSecrets(secretFunc(func(string, []string) ([][]byte, error) {
		asked.Add(1)
		return nil, secrets.ErrNoLoan
	})))
	id := w.match(w.sealedJob(testJob, pushed, pushed.inputs, "report"), 0, 0, 1)
	eventually(t, "nobody asks", func() bool { return asked.Load() >= 3 })
	require.Empty(t, p.kept())
	require.NoDirExists(t, p.plainOf(id))
	require.Empty(t, holding(t, p.dir, plantedInput))
	require.Empty(t, holding(t, p.dir, "AGE-SECRET-KEY"))
}

// A task that the agent's end leaves behind keeps its inputs until its attempt is taken up again; those of an attempt that is over by then go.
func TestSealedInputsOverRestarts(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	pushed := push(t, seal.Inputs(sealedOwner, keyPath))
	dir := t.TempDir()
	p := w.run(dir, withSecrets(secretFunc(pushed.lend)))
	stays := w.match(w.sealedJob("job1stays", pushed, pushed.inputs, "wait", "0"), 0, 0, 1)
	goes := w.match(w.sealedJob("job1goes", pushed, pushed.inputs, "wait", "0"), 0, 0, 1)
	eventually(t, "the attempts do not start", func() bool { return len(p.kept()) == 2 })
	p.stop()
	require.DirExists(t, p.plainOf(stays))
	inode, err := os.Stat(filepath.Join(p.plainOf(stays), plainInputs))
	require.NoError(t, err)
	w.edit(goes, func(s *jobstypes.Slice) { s.Status = jobstypes.SLICE_STATUS_CANCELLED })

	p = w.run(dir, withSecrets(secretFunc(pushed.lend)))
	eventually(t, "the opened inputs of an attempt that is over stay", func() bool {
		_, err := os.Stat(p.plainOf(goes))
		return errors.Is(err, fs.ErrNotExist)
	})
	eventually(t, "the attempt is not taken up", func() bool {
		log, err := p.dispatcher.Logs(t.Context(), stays, 0)
		return err == nil && log.Close() == nil
	})
	again, err := os.Stat(filepath.Join(p.plainOf(stays), plainInputs))
	require.NoError(t, err)
	require.True(t, os.SameFile(inode, again), "a task that goes on keeps its folder")
	require.NoError(t, os.WriteFile(filepath.Join(p.plainOf(stays), plainInputs, "release"), nil, 0o600))
	require.Equal(t, link.ReasonNone, w.outcome(stays).Tasks[0].Reason)
	require.NoDirExists(t, p.plainOf(stays))
	require.Empty(t, holding(t, dir, plantedInput))
}

// Agents of before know no encrypt: they do not run the ciphertext.
func TestSpecsOfLaterReleases(t *testing.T) {
	w := newWorld(t)
	w.oracle("a")
	pushed := push(t, seal.Inputs(sealedOwner, keyPath))
	job := w.sealedJob("job1later", pushed, pushed.inputs, "report")
	raw := bytes.Replace(w.specOf(job).Canonical(), []byte(`"encrypt":`), []byte(`"encrypt2":`), 1)
	w.pushTo(client.RepoSpecs, client.Spec(raw))
	job.SpecDigest = artifact.DigestOf(raw).String()
	w.change(func() { w.jobs[job.Id] = job })
	var asked atomic.Bool
	w.run(t.TempDir(), withSecrets(secretFunc(func(string, []string) ([][]byte, error) { asked.Store(true); return nil, context.Canceled })))
	require.Equal(t, link.ReasonBadImage, w.outcome(w.match(job, 0, 0, 1)).Tasks[0].Reason)
	require.False(t, asked.Load())
}
