package wire

import (
	"bytes"
	"testing"
)

// FuzzPackets: what is read is what would be written, to the last bit.
func FuzzPackets(f *testing.F) {
	f.Add(AppendPosition(nil, Position{1, 2, 3.5, -4}))
	f.Add(AppendSnapshot(nil, []Position{{1, 2, 3, 4}, {5, 6, 7, 8}}))
	f.Add(AppendSnapshot(nil, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := ParsePosition(b); ok && !bytes.Equal(AppendPosition(nil, p), b) {
			t.Fatalf("position %x came back as %+v", b, p)
		}
		if all, ok := ParseSnapshot(b); ok && !bytes.Equal(AppendSnapshot(nil, all), b) {
			t.Fatalf("snapshot %x came back as %+v", b, all)
		}
	})
}
