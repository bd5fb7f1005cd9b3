package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

const digestPrefix = "sha256:"

// ErrDigestMismatch says that bytes are not those that a digest names.
var ErrDigestMismatch = errors.New("digest mismatch")

// Digest is the SHA-256 of an artifact's bytes.
type Digest [sha256.Size]byte

// EmptyDigest names the archive of an empty folder: the result of a task that left no output.
var EmptyDigest = DigestOf(make([]byte, emptyArchiveSize))

// An empty tar stream is two zero blocks.
const emptyArchiveSize = 1024

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// DigestReader returns the digest and the number of all bytes that r yields.
func DigestReader(r io.Reader) (Digest, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return Digest{}, n, fmt.Errorf("read bytes to digest: %w", err)
	}
	return Digest(h.Sum(nil)), n, nil
}

// ParseDigest reads the OCI form "sha256:" followed by 64 lower-case hex digits; no other spelling is accepted, so that equal digests
// are equal strings.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	digits, ok := strings.CutPrefix(s, digestPrefix)
	if !ok {
		return d, fmt.Errorf("digest %.80q does not start with %q; write %s<64 hex digits>", s, digestPrefix, digestPrefix)
	}
	if len(digits) != hex.EncodedLen(len(d)) {
		return d, fmt.Errorf("digest has %d digits; write %s<64 hex digits>", len(digits), digestPrefix)
	}
	if strings.ToLower(digits) != digits {
		return d, fmt.Errorf("digest %q has upper-case digits; write them in lower case", s)
	}
	if _, err := hex.Decode(d[:], []byte(digits)); err != nil {
		return Digest{}, fmt.Errorf("digest %.80q is not hexadecimal; write %s<64 hex digits>", s, digestPrefix)
	}
	return d, nil
}

// String returns the OCI form of d.
func (d Digest) String() string { return digestPrefix + d.Hex() }

// Hex returns the 64 hex digits of d without a prefix.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// Compare orders digests as byte strings.
func (d Digest) Compare(other Digest) int { return bytes.Compare(d[:], other[:]) }

// MarshalText implements encoding.TextMarshaler; a zero digest is the empty string.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return []byte{}, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; the empty string is the zero digest.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Digest{}
		return nil
	}
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
