package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/durable"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/store"
)

// ErrAltered is a file of policies that is not what was written through the gateway.
var ErrAltered = errors.New("the policies on disk are not those that were written; restore the file, or write the policies again with `fog gateway policy reset`")

// PolicyVersion is one state of the policies.
type PolicyVersion struct {
	Version uint64    `json:"version"`
	Digest  string    `json:"digest"`
	By      string    `json:"by"`
	Time    time.Time `json:"time"`
}

const tablePolicies = "policies"

// Rules are the policies in force and the versions before. The text of each version is a file, which people can read and keep under
// version control; its digest is in the store, and a file that does not have it is not used.
type Rules struct {
	dir   string
	store store.Store
	now   func() time.Time

	mu      sync.RWMutex
	current *access.Policies
	version PolicyVersion
}

// OpenRules loads the newest version; the first is the one out of the box. A read-only store must have one.
func OpenRules(ctx context.Context, dir string, s store.Store, now func() time.Time) (*Rules, error) {
	r := &Rules{dir: dir, store: s, now: now}
	versions, err := r.Versions(ctx)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return r, r.Write(ctx, access.DefaultText(), "gateway")
	}
	newest := versions[len(versions)-1]
	text, err := r.text(newest)
	if err != nil {
		return nil, err
	}
	if r.current, err = access.Compile(text); err != nil {
		return nil, fmt.Errorf("policies of version %d: %w", newest.Version, err)
	}
	r.version = newest
	return r, nil
}

// ResetRules puts policies in force without reading those before, for a gateway that does not start because they were altered.
func ResetRules(ctx context.Context, dir string, s store.Store, text []byte, now func() time.Time) (PolicyVersion, error) {
	r := &Rules{dir: dir, store: s, now: now}
	err := r.Write(ctx, text, "at the machine")
	return r.version, err
}

func (r *Rules) path(version uint64) string {
	return filepath.Join(r.dir, fmt.Sprintf("policy-%06d.cedar", version))
}

func (r *Rules) text(v PolicyVersion) ([]byte, error) {
	text, err := os.ReadFile(r.path(v.Version))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: %w", r.path(v.Version), ErrAltered)
	}
	if err != nil {
		return nil, err
	}
	if artifact.DigestOf(text).String() != v.Digest {
		return nil, fmt.Errorf("%s: %w", r.path(v.Version), ErrAltered)
	}
	return text, nil
}

// Versions lists all versions, oldest first.
func (r *Rules) Versions(ctx context.Context) ([]PolicyVersion, error) {
	versions := []PolicyVersion{}
	err := r.store.List(ctx, tablePolicies, func(_ string, raw []byte) error {
		var v PolicyVersion
		err := json.Unmarshal(raw, &v)
		versions = append(versions, v)
		return err
	})
	return versions, err
}

// Current returns the policies in force, and their version.
func (r *Rules) Current() (*access.Policies, PolicyVersion) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.current, r.version
}

// Text is that of the policies in force.
func (r *Rules) Text() ([]byte, PolicyVersion, error) {
	_, v := r.Current()
	text, err := r.text(v)
	return text, v, err
}

// Write checks policies and puts them in force from the next request on.
func (r *Rules) Write(ctx context.Context, text []byte, by string) error {
	compiled, err := access.Compile(text)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	versions, err := r.Versions(ctx)
	if err != nil {
		return err
	}
	v := PolicyVersion{Version: 1, Digest: compiled.Digest(), By: by, Time: r.now().UTC()}
	if n := len(versions); n > 0 {
		v.Version = versions[n-1].Version + 1
	}
	if err := writeFile(r.path(v.Version), text); err != nil {
		return err
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := r.store.Create(ctx, tablePolicies, fmt.Sprintf("%06d", v.Version), raw); err != nil {
		return err
	}
	r.current, r.version = compiled, v
	return nil
}

// writeFile makes the name survive a power cut too: the store knows the version from then on, and the gateway does not start without the file.
func writeFile(path string, data []byte) error {
	if err := durable.Replace(path, data, 0o600); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
