package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func clock() time.Time { return time.Unix(1_700_000_000, 0) }

func event(n int) Event {
	return Event{Actor: "fog1x", Verb: "GET", Path: fmt.Sprintf("/v1/jobs/%d", n), Allowed: n%2 == 0, Policies: []string{"p"}}
}

// written is a log of n records and its file.
func written(t testing.TB, n int) (*Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path, clock)
	require.NoError(t, err)
	for i := range n {
		require.NoError(t, l.Append(event(i), i%10 == 0))
	}
	return l, path
}

func TestAppendReadVerify(t *testing.T) {
	l, path := written(t, 3*stride)
	head := l.Head()
	require.NoError(t, l.Close())
	l, err := Open(path, clock)
	require.NoError(t, err)
	require.Equal(t, head, l.Head())
	require.NoError(t, l.Append(event(7), true))
	for _, c := range []struct {
		from  uint64
		limit int
		want  []uint64
	}{
		{0, 2, []uint64{1, 2}}, {1, 1, []uint64{1}}, {stride, 3, []uint64{stride, stride + 1, stride + 2}},
		{3*stride + 1, 9, []uint64{3*stride + 1}}, {3*stride + 2, 9, nil}, {5, 0, nil},
	} {
		records, err := l.Read(c.from, c.limit)
		require.NoError(t, err)
		var got []uint64
		for _, r := range records {
			got = append(got, r.Seq)
		}
		require.Equal(t, c.want, got)
	}
	last := l.Head()
	require.NoError(t, l.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	report, err := Verify(bytes.NewReader(raw), &head)
	require.NoError(t, err)
	require.EqualValues(t, 3*stride+1, report.Records)
	require.Equal(t, last, report.Head)
}

// Whatever one byte is made, whatever line is left out, repeated or moved: it is found, but for what is cut off at the end.
func TestTamperingIsFound(t *testing.T) {
	l, path := written(t, 12)
	head := l.Head()
	require.NoError(t, l.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(raw), "\n")[:12]
	rapid.Check(t, func(t *rapid.T) {
		changed := append([]string{}, lines...)
		switch rapid.IntRange(0, 4).Draw(t, "how") {
		case 0:
			at, with := rapid.IntRange(0, len(raw)-2).Draw(t, "at"), rapid.Byte().Draw(t, "with")
			text := bytes.Clone(raw)
			if text[at] == with {
				return
			}
			text[at] = with
			changed = []string{string(text)}
		case 1:
			i := rapid.IntRange(0, 10).Draw(t, "removed")
			changed = append(changed[:i], changed[i+1:]...)
		case 2:
			i := rapid.IntRange(0, 11).Draw(t, "repeated")
			changed = append(changed, lines[i])
		case 3:
			i := rapid.IntRange(0, 10).Draw(t, "swapped")
			changed[i], changed[i+1] = changed[i+1], changed[i]
		case 4:
			changed = changed[:rapid.IntRange(0, 11).Draw(t, "kept")]
			report, err := Verify(strings.NewReader(strings.Join(changed, "")), nil)
			if err != nil || int(report.Records) != len(changed) {
				t.Fatalf("%+v %v", report, err)
			}
		}
		if _, err := Verify(strings.NewReader(strings.Join(changed, "")), &head); err == nil {
			t.Fatal("not found")
		}
	})
}

// A record that was written anew, with the right hash, does not fit to the one after it.
func TestOneRecordAnewIsFound(t *testing.T) {
	l, path := written(t, 12)
	require.NoError(t, l.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.SplitAfter(string(raw), "\n")[:12]
	for i := range 11 {
		head := origin()
		if i > 0 {
			before, err := Verify(strings.NewReader(strings.Join(lines[:i], "")), nil)
			require.NoError(t, err)
			head = before.Head
		}
		forged, _, err := line(head, clock(), Event{Actor: "fog1y", Verb: "GET", Path: "/"})
		require.NoError(t, err)
		changed := strings.Join(lines[:i], "") + string(forged) + strings.Join(lines[i+1:], "")
		_, err = Verify(strings.NewReader(changed), nil)
		require.ErrorIs(t, err, ErrBroken)
		require.ErrorContains(t, err, "does not follow")
	}
}

// Someone who writes the whole log anew is found by the anchor alone.
func TestRewrittenLog(t *testing.T) {
	l, _ := written(t, 5)
	head := l.Head()
	require.NoError(t, l.Close())
	l, path := written(t, 0)
	for range 5 {
		require.NoError(t, l.Append(event(1), false))
	}
	require.NoError(t, l.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	_, err = Verify(bytes.NewReader(raw), nil)
	require.NoError(t, err)
	_, err = Verify(bytes.NewReader(raw), &head)
	require.ErrorIs(t, err, ErrBroken)
}

func TestTornEndIsRepairedAndNoted(t *testing.T) {
	l, path := written(t, 3)
	require.NoError(t, l.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, raw[:len(raw)-7], 0o600))
	report, err := Verify(bytes.NewReader(raw[:len(raw)-7]), nil)
	require.NoError(t, err)
	require.EqualValues(t, 2, report.Records)
	require.Positive(t, report.Torn)
	l, err = Open(path, clock)
	require.NoError(t, err)
	records, err := l.Read(1, 9)
	require.NoError(t, err)
	require.Len(t, records, 3)
	require.Equal(t, "REPAIR", records[2].Verb)
	require.NoError(t, l.Close())
}

func TestOpenRefusesABrokenLog(t *testing.T) {
	l, path := written(t, 3)
	require.NoError(t, l.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(raw, []byte("fog1x"), []byte("fog1y"), 1), 0o600))
	_, err = Open(path, clock)
	require.ErrorIs(t, err, ErrBroken)
	require.ErrorContains(t, err, "record 1")
}

func TestConcurrentAppends(t *testing.T) {
	l, path := written(t, 0)
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			for i := range 50 {
				if err := l.Append(event(i), false); err != nil {
					t.Error(err)
				}
				if _, err := l.Read(1, 3); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	require.NoError(t, l.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	report, err := Verify(bytes.NewReader(raw), nil)
	require.NoError(t, err)
	require.EqualValues(t, 400, report.Records)
}

func FuzzVerify(f *testing.F) {
	l, path := written(f, 2)
	require.NoError(f, l.Close())
	raw, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(raw)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		report, err := Verify(bytes.NewReader(text), nil)
		if err != nil || report.Records == 0 || report.Torn > 0 {
			return
		}
		// A log that holds is broken by any of its own lines at its end.
		twice := append(bytes.Clone(text), text[bytes.LastIndexByte(text[:len(text)-1], '\n')+1:]...)
		if _, err := Verify(bytes.NewReader(twice), nil); err == nil {
			t.Fatal("a repeated record is accepted")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l, _ := written(b, 0)
	for b.Loop() {
		if err := l.Append(event(1), false); err != nil {
			b.Fatal(err)
		}
	}
}
