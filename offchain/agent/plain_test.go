package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/seal"
)

// plainMachine opens, drops, damages and takes up inputs of a few attempts. What is there is what was sealed, and after a drop nothing is.
type plainMachine struct {
	dir   string
	plain *plain
	key   *age.X25519Identity
	label seal.Label
	files map[string]string // sealed archives, by the text in them
	open  map[dispatch.AttemptID]string
}

func (m *plainMachine) restart(t *rapid.T) {
	c, err := openCache(filepath.Join(m.dir, "cache"), 1<<20)
	require.NoError(t, err)
	m.plain = newPlain(filepath.Join(m.dir, plainDir), c)
}

func (m *plainMachine) sealed(t *rapid.T, text string) (string, artifact.Digest) {
	file, ok := m.files[text]
	if !ok {
		stage, err := os.MkdirTemp(m.dir, "stage-")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(stage, "input.txt"), []byte(text), 0o600))
		file = filepath.Join(m.dir, fmt.Sprintf("sealed-%d", len(m.files)))
		var out bytes.Buffer
		w, err := seal.NewWriter(&out, m.label, m.key.Recipient())
		require.NoError(t, err)
		require.NoError(t, artifact.Pack(w, stage, artifact.Limits{}))
		require.NoError(t, w.Close())
		require.NoError(t, os.WriteFile(file, out.Bytes(), 0o600))
		require.NoError(t, os.RemoveAll(stage))
		m.files[text] = file
	}
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	return file, artifact.DigestOf(raw)
}

func TestPlainMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, err := seal.NewKey()
		require.NoError(t, err)
		dir, err := os.MkdirTemp("", "fog-plain-")
		require.NoError(t, err)
		defer func() { require.NoError(t, os.RemoveAll(dir)) }()
		m := &plainMachine{dir: dir, key: key, label: seal.Inputs("fog1alice", "fog-inputs/ab"), files: map[string]string{}, open: map[dispatch.AttemptID]string{}}
		m.restart(t)
		attempt := func(t *rapid.T) dispatch.AttemptID {
			return dispatch.AttemptID{Job: "job1a", Slice: rapid.Uint32Range(0, 2).Draw(t, "slice"), Attempt: 1}
		}
		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				id, text := attempt(t), rapid.SampledFrom([]string{"one", "two"}).Draw(t, "text")
				file, digest := m.sealed(t, text)
				got, err := m.plain.inputs(id, digest, file, m.label, []byte(m.key.String()))
				require.NoError(t, err)
				raw, err := os.ReadFile(filepath.Join(got, "input.txt"))
				require.NoError(t, err)
				require.Equal(t, text, string(raw))
				m.open[id] = text
			},
			"wrong key": func(t *rapid.T) {
				id := attempt(t)
				if m.open[id] == "one" {
					t.Skip("it is open already")
				}
				other, err := seal.NewKey()
				require.NoError(t, err)
				file, digest := m.sealed(t, "one")
				_, err = m.plain.inputs(id, digest, file, m.label, []byte(other.String()))
				require.ErrorAs(t, err, new(*handover.JobError))
				delete(m.open, id)
			},
			"damage": func(t *rapid.T) {
				id := attempt(t)
				home := filepath.Join(m.dir, plainDir, plainName(id))
				if m.open[id] == "" {
					t.Skip("nothing to damage")
				}
				switch rapid.IntRange(0, 2).Draw(t, "what") {
				case 0:
					require.NoError(t, os.MkdirAll(filepath.Join(home, plainInputs), 0o700))
					require.NoError(t, os.WriteFile(filepath.Join(home, plainInputs, "input.txt"), []byte("three"), 0o600))
				case 1:
					require.NoError(t, os.WriteFile(filepath.Join(home, plainRecord), []byte("{"), 0o600))
				case 2:
					require.NoError(t, os.RemoveAll(filepath.Join(home, plainInputs)))
				}
				m.open[id] = "damaged"
			},
			"drop": func(t *rapid.T) {
				id := attempt(t)
				require.NoError(t, m.plain.drop(id))
				delete(m.open, id)
			},
			"restart": m.restart,
			"sweep": func(t *rapid.T) {
				keep := map[string]bool{}
				for id := range m.open {
					if rapid.Bool().Draw(t, "keep") {
						keep[plainName(id)] = true
					} else {
						delete(m.open, id)
					}
				}
				require.NoError(t, m.plain.sweep(keep))
			},
			"": func(t *rapid.T) {
				there, err := filepath.Glob(filepath.Join(m.dir, plainDir, "*"))
				require.NoError(t, err)
				require.Len(t, there, len(m.open), "a folder for each attempt that runs, and no other")
				if len(m.open) == 0 {
					require.Zero(t, m.plain.cache.total, "room that nobody has")
				}
			},
		})
	})
}

func TestPlainNeedsRoom(t *testing.T) {
	c, err := openCache(t.TempDir(), 100)
	require.NoError(t, err)
	p := newPlain(t.TempDir(), c)
	file := filepath.Join(t.TempDir(), "sealed")
	require.NoError(t, os.WriteFile(file, make([]byte, 51), 0o600))
	id := dispatch.AttemptID{Job: "job1a"}
	key, err := seal.NewKey()
	require.NoError(t, err)
	_, err = p.inputs(id, artifact.Digest{1}, file, seal.Inputs("fog1alice", "fog-inputs/ab"), []byte(key.String()))
	require.ErrorIs(t, err, errTooBig)
	_, err = p.inputs(id, artifact.Digest{1}, file, seal.Inputs("fog1alice", "fog-inputs/ab"), []byte("no key"))
	require.ErrorAs(t, err, new(*handover.JobError))
	require.ErrorContains(t, err, "push the job again")
}
