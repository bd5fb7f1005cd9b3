// Package copies keeps second copies of a registry's files, by key, where they survive the registry's own disk: in another folder or
// in a bucket that speaks the S3 protocol. A store promises that a key holds all of a body or what it held before; what it
// returns is not trusted, the registry compares it with the digest.
package copies

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	// ErrMissing is a key that the store does not hold.
	ErrMissing = errors.New("the copy is missing")
	// ErrKey is a key that no store takes.
	ErrKey = errors.New("a key is names of a-z, A-Z, 0-9, '.', '_' and '-', separated by '/', none of them '.' or '..'")
)

// Object is what a store lists.
type Object struct {
	Key  string
	Size int64
}

// Store holds copies. Its methods may be called at the same time.
type Store interface {
	// Name says for people where the copies are; it holds no secret.
	Name() string
	// Put keeps size bytes of body under the key, in place of what it held.
	Put(ctx context.Context, key string, body io.Reader, size int64) error
	// Get opens what the key holds; ErrMissing if nothing.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// Delete forgets the key; a missing one is no error.
	Delete(ctx context.Context, key string) error
	// List calls each for every key that begins with the prefix, in no particular order, and returns its first error.
	List(ctx context.Context, prefix string, each func(Object) error) error
}

var keyForm = regexp.MustCompile(`^[a-zA-Z0-9._-]+(/[a-zA-Z0-9._-]+)*$`)

// CheckKey returns ErrKey if a store must not take the key.
func CheckKey(key string) error {
	if !keyForm.MatchString(key) || len(key) > 1024 {
		return fmt.Errorf("%.80q: %w", key, ErrKey)
	}
	for _, name := range strings.Split(key, "/") {
		if name == "." || name == ".." {
			return fmt.Errorf("%.80q: %w", key, ErrKey)
		}
	}
	return nil
}

// Open returns the store of an address: a folder's path, or s3://HOST[:PORT]/BUCKET[/PREFIX], with ?insecure=true for plain HTTP and ?region=.
// The keys of a bucket come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from the files that AWS's tools read.
func Open(address string) (Store, error) {
	scheme, _, isURL := strings.Cut(address, "://")
	if !isURL {
		if address == "" {
			return nil, errors.New("the address of a copy is empty; name a folder or s3://HOST/BUCKET")
		}
		root, err := filepath.Abs(address)
		if err != nil {
			return nil, err
		}
		return NewDir(root)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of a copy: %w", err)
	}
	if scheme != "s3" {
		return nil, fmt.Errorf("a copy is kept in a folder or at s3://HOST/BUCKET, not at %s://", scheme)
	}
	return newS3(u, os.Getenv)
}
