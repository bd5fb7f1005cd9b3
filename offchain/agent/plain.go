package agent

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"filippo.io/age"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
)

const (
	// plainDir is below the agent's folder: inputs of encrypted jobs in the clear, a folder for each attempt that runs, and nowhere else. They are no
	// part of the cache, which other jobs and later attempts share; that holds them encrypted.
	plainDir    = "plain"
	plainInputs = "in"
	plainRecord = "record.json"
)

// plainRecordOf says what a folder was made of, so that an agent that starts again does not open them under a task that goes on.
type plainRecordOf struct {
	Sealed artifact.Digest `json:"sealed"`
	Plain  artifact.Digest `json:"plain"`
}

// plain keeps opened inputs while their attempts run. What this process has opened counts against the cache's room.
type plain struct {
	dir   string
	cache *cache

	mu    sync.Mutex
	taken map[string]int64 // bytes by folder
}

func newPlain(dir string, c *cache) *plain {
	return &plain{dir: dir, cache: c, taken: map[string]int64{}}
}

func plainName(id dispatch.AttemptID) string {
	return fmt.Sprintf("%s_s%d_a%d", id.Job, id.Slice, id.Attempt)
}

// inputs opens the sealed archive in a file into a folder of the attempt alone, or finds that it has. An archive that does not open with the
// key, or is not what the spec's owner sealed under it, is the job's fault.
func (p *plain) inputs(id dispatch.AttemptID, want artifact.Digest, file string, label seal.Label, key []byte) (string, error) {
	home := filepath.Join(p.dir, plainName(id))
	dir := filepath.Join(home, plainInputs)
	if good, err := p.has(home, want); err != nil || good {
		return dir, err
	}
	keys, err := seal.ParseKeys(key)
	if err != nil {
		return "", handover.JobFault("the key of the inputs at the gateway is none; push the job again")
	}
	if err := p.drop(id); err != nil {
		return "", err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", err
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if err := p.take(home, info.Size()); err != nil {
		return "", err
	}
	if err := openInto(file, dir, want, label, keys.Identities()); err != nil {
		return "", errors.Join(err, p.drop(id))
	}
	return dir, nil
}

func openInto(file, dir string, want artifact.Digest, label seal.Label, keys []age.Identity) (err error) {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	from, err := seal.NewReader(in, label, keys...)
	if err == nil {
		err = artifact.UnpackIf(from, dir, artifact.Limits{}, func(got artifact.Digest) error {
			raw, err := json.Marshal(plainRecordOf{Sealed: want, Plain: got})
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(filepath.Dir(dir), plainRecord), raw, 0o600)
		})
	}
	if err != nil && !isHostError(err) { // its bytes are those that the spec names, so it was sealed or packed wrongly
		return handover.JobFault("the encrypted inputs: %w", err)
	}
	return err
}

// has tells whether an earlier agent opened the archive for the attempt, and nobody has changed the files since.
func (p *plain) has(home string, want artifact.Digest) (bool, error) {
	raw, err := os.ReadFile(filepath.Join(home, plainRecord))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var r plainRecordOf
	if json.Unmarshal(raw, &r) != nil || r.Sealed != want {
		return false, nil
	}
	h := sha256.New()
	if err := artifact.Pack(h, filepath.Join(home, plainInputs), artifact.Limits{}); err != nil {
		if isHostError(err) && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		return false, nil
	}
	return artifact.Digest(h.Sum(nil)) == r.Plain, nil
}

func (p *plain) take(home string, bytes int64) error {
	if 2*bytes > p.cache.capacity { // the encrypted ones are there as well
		return fmt.Errorf("%w: twice %d of %d bytes", errTooBig, bytes, p.cache.capacity)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cache.reserve(bytes); err != nil {
		return err
	}
	p.taken[home] += bytes
	return nil
}

// drop removes what an attempt's inputs hold. Dropping again does nothing.
func (p *plain) drop(id dispatch.AttemptID) error { return p.remove(plainName(id)) }

func (p *plain) remove(name string) error {
	home := filepath.Join(p.dir, name)
	if err := os.RemoveAll(home); err != nil {
		return fmt.Errorf("remove opened inputs: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cache.unreserve(p.taken[home])
	delete(p.taken, home)
	return nil
}

// sweep removes what attempts left that keep does not name.
func (p *plain) sweep(keep map[string]bool) error {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var failed error
	for _, e := range entries {
		if !keep[e.Name()] {
			failed = errors.Join(failed, p.remove(e.Name()))
		}
	}
	return failed
}

// sealedInputs brings the encrypted inputs of a spec and opens them for the attempt.
func (a *Agent) sealedInputs(ctx context.Context, id dispatch.AttemptID, owner string, spec jobfile.Spec, key []byte) (string, error) {
	file, release, err := a.fetch.blob(ctx, a.cfg.Registry.ContentRepo(owner, client.RepoInputs, spec.Inputs), spec.Inputs, 0)
	if err != nil {
		return "", err
	}
	defer release()
	return a.plain.inputs(id, spec.Inputs, file, seal.Inputs(owner, spec.Encrypt.InputsKey), key)
}

// dropPlain removes an attempt's opened inputs once nothing of it runs.
func (a *Agent) dropPlain(id dispatch.AttemptID) {
	if err := a.plain.drop(id); err != nil {
		a.log.Error("inputs that were encrypted are still on this machine's disk; trying again", "attempt", id.String(), "error", err)
	}
}

// sweepPlain removes the opened inputs of attempts that are not under way.
func (a *Agent) sweepPlain() error {
	a.mu.Lock()
	followed, keep := a.followed, map[string]bool{}
	for id := range a.runs {
		keep[plainName(id)] = true
	}
	a.mu.Unlock()
	if !followed { // those that go on are not taken up again yet
		return nil
	}
	return a.plain.sweep(keep)
}
