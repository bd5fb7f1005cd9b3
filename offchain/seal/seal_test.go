package seal

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func newKeys(t require.TestingT, n int) (keys Keys) {
	for range n {
		key, err := NewKey()
		require.NoError(t, err)
		keys = append(keys, key)
	}
	return keys
}

func sealed(t require.TestingT, content []byte, label Label, keys ...*age.X25519Identity) []byte {
	var out bytes.Buffer
	to := make([]age.Recipient, len(keys))
	for i, key := range keys {
		to[i] = key.Recipient()
	}
	w, err := NewWriter(&out, label, to...)
	require.NoError(t, err)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func open(raw []byte, label Label, keys ...age.Identity) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(raw), label, keys...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// What was sealed comes back with each of the keys and with no other, under its own label and no other.
func TestRoundTrip(t *testing.T) {
	keys := newKeys(t, 3)
	labels := []Label{Inputs("fog1alice", "fog-inputs/ab"), Inputs("fog1alice", "fog-inputs/ac"), Inputs("fog1bob", "fog-inputs/ab"), Result("job1a", 0), Result("job1a", 10), Result("job1b", 0)}
	rapid.Check(t, func(t *rapid.T) {
		content := bytes.Repeat(rapid.SliceOf(rapid.Byte()).Draw(t, "content"), rapid.SampledFrom([]int{0, 1, 7, 4000}).Draw(t, "times"))
		label := rapid.SampledFrom(labels).Draw(t, "label")
		raw := sealed(t, content, label, keys[:2]...)
		for _, key := range keys[:2] {
			got, err := open(raw, label, key)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got))
		}
		got, err := open(raw, label, keys.Identities()...)
		require.NoError(t, err, "one of several")
		require.True(t, bytes.Equal(content, got))
		_, err = open(raw, label, keys[2])
		require.ErrorIs(t, err, ErrKey)
		for _, other := range labels {
			if other != label {
				_, err := open(raw, other, keys[0])
				require.ErrorIs(t, err, ErrOther)
			}
		}
		if len(content) > 8 {
			require.NotContains(t, string(raw), string(content[:8]))
		}
		require.NotEqual(t, raw, sealed(t, content, label, keys[:2]...), "sealing is randomised")
	})
}

// A flipped bit anywhere, a cut anywhere, and anything after the end are found before the end is reached.
func TestTampering(t *testing.T) {
	keys := newKeys(t, 1)
	label := Result("job1a", 3)
	content := bytes.Repeat([]byte("content "), 20_000) // some chunks of age
	raw := sealed(t, content, label, keys[0])
	refused := func(what string, changed []byte) {
		t.Helper()
		got, err := open(changed, label, keys[0])
		require.Error(t, err, what)
		require.True(t, errors.Is(err, ErrAltered) || errors.Is(err, ErrKey), "%s: %v", what, err)
		require.True(t, bytes.HasPrefix(content, got), "%s: what was yielded before is authentic", what)
	}
	for _, at := range spots(len(raw)) {
		changed := bytes.Clone(raw)
		changed[at] ^= 1
		refused("flipped", changed)
		refused("cut", raw[:at])
	}
	refused("longer", append(bytes.Clone(raw), 0))
	refused("twice", append(bytes.Clone(raw), raw...))
	refused("in the clear", content)
	refused("nothing", nil)
	_, err := open(sealed(t, content, label, newKeys(t, 1)[0]), label, keys[0])
	require.ErrorIs(t, err, ErrKey, "another developer's")
}

// spots are all places of the header and some of the rest.
func spots(n int) (at []int) {
	for i := range n {
		if i < 400 || i%5003 == 0 || i > n-40 {
			at = append(at, i)
		}
	}
	return at
}

// What anybody can encrypt for a public key is no sealed archive by that.
func TestForeignContent(t *testing.T) {
	keys := newKeys(t, 1)
	for _, content := range []string{"", "fog-sealed/1 result job1a/3", strings.Repeat("x", 2*maxLabel), "fog-sealed/2 result job1a/3\n", "fog-sealed/1 other job1a/3\n", "\n"} {
		var out bytes.Buffer
		w, err := age.Encrypt(&out, keys[0].Recipient())
		require.NoError(t, err)
		_, err = io.WriteString(w, content)
		require.NoError(t, errors.Join(err, w.Close()))
		_, err = open(out.Bytes(), Result("job1a", 3), keys[0])
		require.ErrorIs(t, err, ErrAltered, "%q", content)
	}
}

func TestErrorsOfTheSource(t *testing.T) {
	keys := newKeys(t, 1)
	label := Result("job1a", 3)
	raw := sealed(t, make([]byte, 200_000), label, keys[0])
	broken := errors.New("the disk is broken")
	for _, n := range []int{0, 50, 300, 100_000} {
		r, err := NewReader(io.MultiReader(bytes.NewReader(raw[:n]), iotest.ErrReader(broken)), label, keys[0])
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, ErrAltered, "nothing is wrong with the archive")
	}
}

func TestLabels(t *testing.T) {
	for _, l := range []Label{{}, Inputs("fog1 a", "b"), Inputs("a\nb", "c"), Result("ü", 1), Inputs("a", strings.Repeat("x", maxLabel))} {
		_, err := NewWriter(io.Discard, l, newKeys(t, 1)[0].Recipient())
		require.ErrorIs(t, err, ErrLabel, "%q", l.of)
	}
}

// Sealing and opening hold a few pieces of a large archive, never much of it.
func TestMemory(t *testing.T) {
	const size = 512 << 20
	keys := newKeys(t, 1)
	label := Result("job1a", 0)
	from, to := io.Pipe()
	go func() {
		w, err := NewWriter(to, label, keys[0].Recipient())
		if err == nil {
			_, err = io.CopyN(w, zeros{}, size)
			err = errors.Join(err, w.Close())
		}
		to.CloseWithError(err)
	}()
	r, err := NewReader(from, label, keys[0])
	require.NoError(t, err)
	m := &meter{}
	n, err := io.Copy(m, r)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.Less(t, m.most, uint64(size/8), "bytes on the heap at any time")
}

// meter looks at the heap every few MiB.
type meter struct {
	seen int
	most uint64
}

func (m *meter) Write(p []byte) (int, error) {
	if m.seen += len(p); m.seen >= 4<<20 {
		m.seen = 0
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		m.most = max(m.most, now.HeapAlloc)
	}
	return len(p), nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func FuzzParseLabel(f *testing.F) {
	for _, l := range []Label{Inputs("fog1alice", "fog-inputs/ab"), Result("job1a", 7)} {
		line, err := l.line()
		require.NoError(f, err)
		f.Add(strings.TrimSuffix(line, "\n"))
	}
	f.Add("fog-sealed/1 result  /")
	f.Fuzz(func(t *testing.T, text string) {
		label, err := parseLabel(text)
		if err != nil {
			require.ErrorIs(t, err, ErrLabel)
			return
		}
		line, err := label.line()
		require.NoError(t, err)
		require.Equal(t, text+"\n", line)
	})
}

// Nothing that is not sealed by who has the key opens, and nothing panics.
func FuzzReader(f *testing.F) {
	keys := newKeys(f, 1)
	label := Result("job1a", 0)
	good := sealed(f, []byte("content"), label, keys[0])
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("age-encryption.org/v1\n-> X25519 \n---"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := open(raw, label, keys[0])
		if err == nil {
			require.Equal(t, good, raw)
			require.Equal(t, "content", string(got))
		}
	})
}
