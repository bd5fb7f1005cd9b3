// Package ref parses the names of the OCI distribution specification: repositories, tags and references.
//
// A name that passed here is safe to use in a URL, and a repository also in a path below a folder: no component is
// empty, starts with a dot, or holds a separator.
package ref

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
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

// Reference is a tag or a digest; exactly one is set.
type Reference struct {
	Tag    string
	Digest artifact.Digest
}

// Parse reads a reference: whatever holds a colon must be a digest, anything else a tag.
func Parse(s string) (Reference, error) {
	if strings.Contains(s, ":") {
		d, err := artifact.ParseDigest(s)
		if err != nil {
			return Reference{}, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if d.IsZero() {
			return Reference{}, fmt.Errorf("%w: digest is all zeros, which stands for none", ErrInvalid)
		}
		return Reference{Digest: d}, nil
	}
	if err := CheckTag(s); err != nil {
		return Reference{}, err
	}
	return Reference{Tag: s}, nil
}

func (r Reference) String() string {
	if !r.Digest.IsZero() {
		return r.Digest.String()
	}
	return r.Tag
}
