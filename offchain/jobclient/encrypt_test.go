package jobclient

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

const sealedText = jobText + "encrypt: true\n"

func newKeys(t testing.TB) seal.Keys {
	t.Helper()
	key, err := seal.NewKey()
	require.NoError(t, err)
	return seal.Keys{key}
}

// inputsOf opens pushed inputs and returns what is in words.txt.
func (w *world) inputsOf(p Packed, owner string, key age.Identity) (string, error) {
	w.t.Helper()
	var raw bytes.Buffer
	repo := w.registry.ContentRepo(p.Owner, client.RepoInputs, p.Inputs)
	require.NoError(w.t, w.registry.PullBlob(w.t.Context(), repo, client.Descriptor{Digest: p.Inputs, Size: p.InputsBytes}, &raw))
	require.NotContains(w.t, raw.String(), "some words")
	r, err := seal.NewReader(&raw, seal.Inputs(owner, p.Key.Path), key)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(w.t.TempDir(), "in")
	if err := artifact.UnpackIf(r, dir, artifact.Limits{}, func(artifact.Digest) error { return nil }); err != nil {
		return "", err
	}
	return read(w.t, dir, "words.txt"), nil
}

// What is pushed opens with the developer's key and with the one that is lent to nodes, and a push that is made again is the same.
func TestPushEncrypted(t *testing.T) {
	w := newWorld(t)
	own := newKeys(t)
	f := jobFile(t, sealedText, "\x00asm1234")
	s := Sealing{Recipient: own.Recipient(), Owner: w.owner, Pushes: NewPushes(filepath.Join(t.TempDir(), "home", "pushes.json"))}
	temp := t.TempDir()
	p, err := PackSealed(t.Context(), f, temp, nil, s)
	require.NoError(t, err)
	require.False(t, p.Reused())
	require.True(t, IsInputsKey(p.Key.Path))
	require.Equal(t, []string{p.Key.Path}, p.Spec.SecretPaths())
	require.Equal(t, own.Recipient(), p.Spec.Encrypt.Recipient)
	require.NoFileExists(t, filepath.Join(temp, "inputs.tar"), "what is in the clear is not kept")
	require.NoError(t, s.Pushes.Note(p))
	require.NoError(t, Push(t.Context(), w.registry, p, nil))
	require.NoError(t, CheckPushed(t.Context(), w.registry, p))
	lent, err := seal.ParseKeys(p.Key.Value)
	require.NoError(t, err)
	for _, key := range []age.Identity{own[0], lent[0]} {
		words, err := w.inputsOf(p, w.owner, key)
		require.NoError(t, err)
		require.Equal(t, "some words", words)
	}
	_, err = w.inputsOf(p, w.owner, newKeys(t)[0])
	require.ErrorIs(t, err, seal.ErrKey)
	_, err = w.inputsOf(p, "fog1bob", own[0])
	require.ErrorIs(t, err, seal.ErrOther)

	again, err := PackSealed(t.Context(), f, t.TempDir(), nil, s)
	require.NoError(t, err)
	require.True(t, again.Reused())
	require.Equal(t, p.SpecDigest, again.SpecDigest)
	require.Empty(t, again.Key.Value, "nobody here has it any more")
	require.NoError(t, Push(t.Context(), w.registry, again, nil))
	msg, err := Message(f, p, w.owner, "s")
	require.NoError(t, err)
	require.Equal(t, `!has(attr["nomad.region"])`, msg.Constraints.Where, "kept off nodes on Nomad")

	for name, other := range map[string]Sealing{
		"for another key":   {Recipient: newKeys(t).Recipient(), Owner: s.Owner, Pushes: s.Pushes},
		"for another owner": {Recipient: s.Recipient, Owner: "fog1bob", Pushes: s.Pushes},
		"forgetful":         {Recipient: s.Recipient, Owner: s.Owner},
	} {
		p2, err := PackSealed(t.Context(), f, t.TempDir(), nil, other)
		require.NoError(t, err, name)
		require.NotEqual(t, p.Inputs, p2.Inputs, name)
		require.NotEqual(t, p.Key.Path, p2.Key.Path, name)
	}
	young, err := s.Pushes.Since(time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, []string{p.Key.Path}, young)
	young, err = s.Pushes.Since(time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Empty(t, young)
	require.NoError(t, s.Pushes.Forget(again))
	fresh, err := PackSealed(t.Context(), f, t.TempDir(), nil, s)
	require.NoError(t, err)
	require.False(t, fresh.Reused())
}

func TestPackEncryptedRefuses(t *testing.T) {
	f := jobFile(t, sealedText, "\x00asm1234")
	_, err := Pack(t.Context(), f, t.TempDir(), nil)
	require.ErrorIs(t, err, ErrNoEncryptionKey)
	_, err = PackSealed(t.Context(), f, t.TempDir(), nil, Sealing{Recipient: newKeys(t).Recipient()})
	require.ErrorContains(t, err, "fog gateway login")
	broken := filepath.Join(t.TempDir(), "pushes.json")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))
	_, err = PackSealed(t.Context(), f, t.TempDir(), nil, Sealing{Recipient: newKeys(t).Recipient(), Owner: "fog1alice", Pushes: NewPushes(broken)})
	require.ErrorContains(t, err, "remove it")
	bare := jobFile(t, strings.Replace(sealedText, "inputs: [words.txt]\n", "", 1), "\x00asm1234")
	p, err := PackSealed(t.Context(), bare, t.TempDir(), nil, Sealing{Recipient: newKeys(t).Recipient()})
	require.NoError(t, err, "results alone need no gateway")
	require.Empty(t, p.Spec.SecretPaths())
	require.NoError(t, NewPushes(broken).Note(p), "there is nothing to note")
}

// The keys that jobs still need are those of open jobs and of periodic ones that go on.
func TestInputsKeys(t *testing.T) {
	w := newWorld(t)
	keys := map[string]string{}
	for name, text := range map[string]string{
		"open": sealedText, "closed": sealedText,
		"periodic": sealedText + "type: periodic\nschedule: {cron: '@daily', runs: 2}\n", "ended": sealedText + "type: periodic\nschedule: {cron: '@daily', runs: 2}\n",
	} {
		f := jobFile(t, strings.Replace(text, "name: test", "name: "+name, 1), "\x00asm1234")
		p, err := PackSealed(t.Context(), f, t.TempDir(), nil, Sealing{Recipient: newKeys(t).Recipient(), Owner: w.owner})
		require.NoError(t, err)
		require.NoError(t, Push(t.Context(), w.registry, p, nil))
		out, err := w.client.Submit(t.Context(), f, p, name)
		require.NoError(t, err)
		keys[name] = p.Key.Path
		switch name {
		case "closed":
			w.close(out.JobID, jobstypes.CLOSE_REASON_COMPLETED)
		case "ended":
			job := w.periodic[out.JobID]
			job.Status = jobstypes.PERIODIC_STATUS_ENDED
			w.periodic[out.JobID] = job
		}
	}
	used, err := w.client.InputsKeys(t.Context(), w.owner)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{keys["open"]: true, keys["periodic"]: true}, used)
}

// sealedOutput seals an output of a task, as a node does.
func (w *world) sealedOutput(text, job string, task uint32, to string) client.Blob {
	w.t.Helper()
	recipient, err := seal.ParseRecipient(to)
	require.NoError(w.t, err)
	var out bytes.Buffer
	wr, err := seal.NewWriter(&out, seal.Result(job, task), recipient)
	require.NoError(w.t, err)
	dir := w.t.TempDir()
	if text != "" {
		require.NoError(w.t, os.WriteFile(filepath.Join(dir, "out.txt"), []byte(text), 0o600))
	}
	require.NoError(w.t, artifact.Pack(wr, dir, artifact.Limits{}))
	require.NoError(w.t, wr.Close())
	return client.BytesBlob("", out.Bytes())
}

// sealedJob is a job on chain with encrypt, and its slice with these outputs.
func (w *world) sealedJob(salt, to string, outputs func(id string) []client.Blob) string {
	w.t.Helper()
	f := jobFile(w.t, strings.Replace(sealedText, "inputs: [words.txt]\n", "", 1), "\x00asm1234")
	p, err := PackSealed(w.t.Context(), f, w.t.TempDir(), nil, Sealing{Recipient: to})
	require.NoError(w.t, err)
	require.NoError(w.t, Push(w.t.Context(), w.registry, p, nil))
	id := w.job(salt, 0)
	blobs := outputs(id)
	job := w.jobs[id]
	job.SpecDigest, job.Tasks = p.SpecDigest.String(), uint32(len(blobs))
	w.jobs[id] = job
	var tasks []client.TaskOutput
	var leaves [][32]byte
	for i, b := range blobs {
		tasks, leaves = append(tasks, client.TaskOutput{Task: uint32(i), Result: b}), append(leaves, b.Digest)
	}
	_, err = w.registry.PushArtifact(w.t.Context(), w.registry.SliceRepo(id, 0, 1), client.ResultTag(0, 1), client.Result(tasks))
	require.NoError(w.t, err)
	root := artifact.MerkleRoot(leaves)
	w.slices[id] = []jobstypes.Slice{{JobId: id, TaskCount: uint32(len(blobs)), Attempt: 1, Outcome: &jobstypes.Outcome{ResultRoot: root[:]}}}
	return id
}

func withKeys(dir string, keys seal.Keys) FetchOptions {
	return FetchOptions{Dir: dir, Keys: func() (seal.Keys, error) { return keys, nil }}
}

func jobSpecIsGone(t *testing.T, w *world, id string) {
	t.Helper()
	job := w.jobs[id]
	job.SpecDigest = artifact.DigestOf([]byte("gone")).String()
	w.jobs[id] = job
}

func TestFetchDecrypts(t *testing.T) {
	w := newWorld(t)
	own := newKeys(t)
	id := w.sealedJob("a", own.Recipient(), func(id string) []client.Blob {
		return []client.Blob{w.sealedOutput("zero", id, 0, own.Recipient()), w.sealedOutput("", id, 1, own.Recipient()), w.output("")}
	})
	dir := filepath.Join(t.TempDir(), "out")
	res, err := w.client.Fetch(t.Context(), id, withKeys(dir, own))
	require.NoError(t, err)
	require.Equal(t, "zero", read(t, dir, "0", "out.txt"))
	require.Empty(t, names(t, filepath.Join(dir, "1")))
	require.Empty(t, names(t, filepath.Join(dir, "2")), "of a task that never ran")
	require.Equal(t, []string{openedFile, "0", "1", "2"}, names(t, dir), "nothing temporary is left")
	require.Positive(t, res.Bytes)

	res, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir})
	require.NoError(t, err, "what is there needs no key")
	require.Zero(t, res.Bytes)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0", "out.txt"), []byte("changed"), 0o600))
	_, err = w.client.Fetch(t.Context(), id, withKeys(dir, own))
	require.ErrorIs(t, err, ErrOtherContent)

	raw := filepath.Join(t.TempDir(), "raw")
	for range 2 { // the second finds it there
		res, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: raw, Raw: true})
		require.NoError(t, err)
	}
	require.Zero(t, res.Bytes)
	require.Equal(t, []string{"0.tar.age", "1.tar.age", "2.tar.age"}, names(t, raw))
	require.Equal(t, res.Tasks[0].Digest, artifact.DigestOf([]byte(read(t, raw, "0.tar.age"))))
	require.NoError(t, os.WriteFile(filepath.Join(raw, "0.tar.age"), nil, 0o600))
	_, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: raw, Raw: true})
	require.ErrorIs(t, err, ErrOtherContent)

	jobSpecIsGone(t, w, id)
	other := filepath.Join(t.TempDir(), "out")
	_, err = w.client.Fetch(t.Context(), id, withKeys(other, append(newKeys(t), own...)))
	require.NoError(t, err, "without the spec, and with a key that is not in use any more")
	require.Equal(t, "zero", read(t, other, "0", "out.txt"))
}

// A result that is attested and still not what a node may leave is not used, and nothing of it is written.
func TestFetchRefusesWhatIsNotSealedForIt(t *testing.T) {
	own, other := newKeys(t), newKeys(t)
	flip := func(b client.Blob, at int) client.Blob {
		in, err := b.Open()
		require.NoError(t, err)
		var raw bytes.Buffer
		_, err = raw.ReadFrom(in)
		require.NoError(t, err)
		changed := raw.Bytes()
		changed[(at+len(changed))%len(changed)] ^= 1
		return client.BytesBlob("", changed)
	}
	for name, c := range map[string]struct {
		output func(w *world, id string) client.Blob
		want   error
	}{
		"in the clear":        {func(w *world, _ string) client.Blob { return w.output("zero") }, ErrNotEncrypted},
		"flipped":             {func(w *world, id string) client.Blob { return flip(w.sealedOutput("zero", id, 0, own.Recipient()), -5) }, ErrNotEncrypted},
		"of another task":     {func(w *world, id string) client.Blob { return w.sealedOutput("zero", id, 1, own.Recipient()) }, ErrNotEncrypted},
		"of another job":      {func(w *world, _ string) client.Blob { return w.sealedOutput("zero", "job1x", 0, own.Recipient()) }, ErrNotEncrypted},
		"for somebody else":   {func(w *world, id string) client.Blob { return w.sealedOutput("zero", id, 0, other.Recipient()) }, seal.ErrKey},
		"no archive in there": {func(_ *world, id string) client.Blob { return sealedBytes(t, id, own.Recipient()) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.sealedJob("a", own.Recipient(), func(id string) []client.Blob { return []client.Blob{c.output(w, id)} })
			dir := filepath.Join(t.TempDir(), "out")
			_, err := w.client.Fetch(t.Context(), id, withKeys(dir, own))
			require.Error(t, err)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.Empty(t, names(t, dir))
			_, err = w.client.Fetch(t.Context(), id, FetchOptions{Dir: dir, Raw: true})
			require.NoError(t, err, "who disputes it can have it as it is")
		})
	}
}

// sealedBytes seals what is no archive.
func sealedBytes(t *testing.T, id, to string) client.Blob {
	t.Helper()
	recipient, err := seal.ParseRecipient(to)
	require.NoError(t, err)
	var out bytes.Buffer
	w, err := seal.NewWriter(&out, seal.Result(id, 0), recipient)
	require.NoError(t, err)
	_, err = w.Write(bytes.Repeat([]byte("no archive "), 200))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return client.BytesBlob("", out.Bytes())
}

func TestSpecOfSealedJob(t *testing.T) {
	w := newWorld(t)
	id := w.sealedJob("a", newKeys(t).Recipient(), func(string) []client.Blob { return nil })
	spec, err := w.client.specOf(t.Context(), w.jobs[id])
	require.NoError(t, err)
	require.NotNil(t, spec.Encrypt)
	jobSpecIsGone(t, w, id)
	spec, err = w.client.specOf(t.Context(), w.jobs[id])
	require.NoError(t, err)
	require.Equal(t, jobfile.Spec{}, spec)
}

func FuzzParseOpened(f *testing.F) {
	a, b := artifact.DigestOf([]byte("a")), artifact.DigestOf([]byte("b"))
	f.Add(a.String() + " " + b.String() + "\n" + b.String())
	f.Add("\n \n" + a.String() + " " + a.String())
	f.Fuzz(func(t *testing.T, text string) {
		found := parseOpened(text)
		var again strings.Builder
		for from, to := range found {
			require.Contains(t, text, from.String()+" "+to.String())
			again.WriteString(from.String() + " " + to.String() + "\n")
		}
		require.Equal(t, found, parseOpened(again.String()))
	})
}
