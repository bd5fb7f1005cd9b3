package gen

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The sums are those of NUMBERS: the first eight hexadecimal digits of SHA-256 over the little-endian rows.
func TestChecksums(t *testing.T) {
	for _, c := range []struct {
		name string
		set  Set
		want string
	}{
		{"A100k", A(100_000, 8, 8, 1), "e4aa9ffd"},
		{"A1m", A(1_000_000, 8, 8, 1), "7baee27e"},
		{"B100k", B(100_000, 8, 8, 2), "1fa5e9e6"},
		{"B1m", B(1_000_000, 8, 8, 2), "32fdc904"},
	} {
		h := sha256.New()
		var buf []byte
		for i, x := range c.set.X {
			buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(x))
			if len(buf) == 1<<16 || i == len(c.set.X)-1 {
				h.Write(buf)
				buf = buf[:0]
			}
		}
		require.Equal(t, c.want, hex.EncodeToString(h.Sum(nil)[:4]), c.name)
	}
}
