// Package ref parses the names of the OCI distribution specification: repositories, tags, digests and references.
//
// A name that passed here is safe to use in a URL, and a repository or a digest also in a path below a folder: no component is
// empty, starts with a dot, or holds a separator.
package ref

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// MaxRepoLength is the longest repository name that is accepted.
const MaxRepoLength = 255

// ErrInvalid is wrapped by every error of this package.
var ErrInvalid = errors.New("invalid name")

// The expressions are those of the distribution specification v1.1.
var (
	repoExpr = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagExpr  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// CheckRepo refuses a repository name that the specification does not allow.
func CheckRepo(name string) error {
	if len(name) > MaxRepoLength {
		return fmt.Errorf("%w: repository has %d characters; use at most %d", ErrInvalid, len(name), MaxRepoLength)
	}
	if !repoExpr.MatchString(name) {
		return fmt.Errorf("%w: repository %q; use lower-case letters, digits and single . _ - inside components divided by /", ErrInvalid, name)
	}
	return nil
}

// CheckTag refuses a tag that the specification does not allow.
func CheckTag(tag string) error {
	if !tagExpr.MatchString(tag) {
		return fmt.Errorf("%w: tag %q; use 1 to 128 letters, digits, . _ -, not starting with . or -", ErrInvalid, tag)
	}
	return nil
}

const prefix = "sha256:"

// Digest is "sha256:" and 64 lower-case hex digits; no other algorithm is supported.
type Digest string

// ParseDigest accepts only the canonical form.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok || len(digits) != 2*sha256.Size {
		return "", fmt.Errorf("%w: digest %q; use sha256: and 64 hex digits", ErrInvalid, clip(s))
	}
	for _, c := range []byte(digits) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("%w: digest %q; use lower-case hex digits", ErrInvalid, s)
		}
	}
	return Digest(s), nil
}

// FromSum makes the digest of a SHA-256 sum.
func FromSum(sum [sha256.Size]byte) Digest { return Digest(prefix + hex.EncodeToString(sum[:])) }

// FromBytes hashes data.
func FromBytes(data []byte) Digest { return FromSum(sha256.Sum256(data)) }

// FromHash takes the sum of a running SHA-256 hash.
func FromHash(h interface{ Sum([]byte) []byte }) Digest {
	return Digest(prefix + hex.EncodeToString(h.Sum(nil)))
}

// Hex is the part after the algorithm.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), prefix) }

// Sum is the 32 raw bytes; d must come from this package's constructors, otherwise the zero sum is returned.
func (d Digest) Sum() (sum [sha256.Size]byte) {
	raw, err := hex.DecodeString(d.Hex())
	if err != nil || len(raw) != len(sum) {
		return sum
	}
	copy(sum[:], raw)
	return sum
}

// Reference is a tag or a digest; exactly one is set.
type Reference struct {
	Tag    string
	Digest Digest
}

// Parse reads a reference: whatever holds a colon must be a digest, anything else a tag.
func Parse(s string) (Reference, error) {
	if strings.Contains(s, ":") {
		d, err := ParseDigest(s)
		return Reference{Digest: d}, err
	}
	if err := CheckTag(s); err != nil {
		return Reference{}, err
	}
	return Reference{Tag: s}, nil
}

func (r Reference) String() string {
	if r.Digest != "" {
		return string(r.Digest)
	}
	return r.Tag
}

func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}
