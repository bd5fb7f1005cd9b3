package jobclient

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// ErrNoEncryptionKey is a job file with encrypt and no key of the developer's to encrypt for.
var ErrNoEncryptionKey = errors.New("the job file says encrypt, and there is no key here to encrypt for; make one with `fog keys encryption`")

// inputsKeys is the folder of an owner's secrets in which the keys of inputs are.
const inputsKeys = "fog-inputs/"

// IsInputsKey tells whether a secret is the key of the inputs of a push.
func IsInputsKey(path string) bool { return strings.HasPrefix(path, inputsKeys) }

// Sealing is what Pack needs to encrypt a job.
type Sealing struct {
	// Recipient is the developer's public key.
	Recipient string
	// Owner (fog1…) of the job; needed if it has inputs.
	Owner string
	// Pushes, if set, remembers what was pushed.
	Pushes *Pushes
}

// InputsKey opens the inputs of a push on the nodes that run its jobs.
type InputsKey struct {
	// Path is where the owner keeps it at the gateway.
	Path string
	// Value is empty if it was put there by an earlier push.
	Value []byte
}

// Reused tells whether the encrypted inputs are those of an earlier push: there is nothing of them to push, and the registry must have them.
func (p Packed) Reused() bool { return p.Key.Path != "" && len(p.Key.Value) == 0 }

// seal replaces the archive of the inputs by an encrypted one, if there is any, and makes the spec.
func (p *Packed) seal(f *jobfile.File, temp string, s Sealing) error {
	if s.Recipient == "" {
		return ErrNoEncryptionKey
	}
	p.Encrypted = true
	if !p.Inputs.IsZero() {
		if err := p.sealInputs(temp, s); err != nil {
			return fmt.Errorf("encrypt the inputs: %w", err)
		}
	}
	var err error
	p.Spec, err = f.SealedSpec(p.Module, p.Inputs, jobfile.EncryptSpec{Recipient: s.Recipient, InputsKey: p.Key.Path})
	return err
}

func (p *Packed) sealInputs(temp string, s Sealing) error {
	if s.Owner == "" {
		return errors.New("nodes get the key of the inputs from a gateway, and none is known here; log in with `fog gateway login --gateway URL`, or leave inputs or encrypt out")
	}
	p.pushOf = pushOf(p.Inputs, s)
	if before, ok, err := s.Pushes.find(p.pushOf); err != nil {
		return err
	} else if ok {
		p.Inputs, p.InputsBytes, p.inputsPath, p.Key = before.Inputs, before.Bytes, "", InputsKey{Path: before.Key}
		return nil
	}
	own, err := seal.ParseRecipient(s.Recipient)
	if err != nil {
		return err
	}
	key, err := seal.NewKey()
	if err != nil {
		return err
	}
	name := make([]byte, 16)
	rand.Read(name) // never fails: it ends the program instead
	p.Key = InputsKey{Path: inputsKeys + hex.EncodeToString(name), Value: []byte(key.String())}
	plain, sealed := p.inputsPath, filepath.Join(temp, "inputs.age")
	in, err := os.Open(plain) //nolint:gosec // the archive that was made before
	if err != nil {
		return err
	}
	p.Inputs, p.InputsBytes, err = artifact.WriteFileVia(sealed, func(w io.Writer) (io.WriteCloser, error) {
		return seal.NewWriter(w, seal.Inputs(s.Owner, p.Key.Path), own, key.Recipient())
	}, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
	p.inputsPath = sealed
	return errors.Join(err, in.Close(), os.Remove(plain))
}

// InputsKeys are the keys of inputs that the owner's jobs on chain still need: those of open jobs, and of periodic ones that go on.
func (c *Client) InputsKeys(ctx context.Context, owner string) (map[string]bool, error) {
	open, err := c.Jobs(ctx, owner, jobstypes.JOB_STATUS_OPEN)
	if err != nil {
		return nil, err
	}
	specs := map[string]bool{}
	for _, job := range open {
		specs[job.SpecDigest] = true
	}
	periodic, err := c.PeriodicJobs(ctx, owner)
	if err != nil {
		return nil, err
	}
	for _, job := range periodic {
		if job.Status != jobstypes.PERIODIC_STATUS_ENDED {
			specs[job.Submission.SpecDigest] = true
		}
	}
	used := map[string]bool{}
	for text := range specs {
		digest, err := artifact.ParseDigest(text)
		if err != nil {
			continue // what runs by it is none of ours
		}
		raw, err := c.Registry.ReadBlob(ctx, c.Registry.ContentRepo(owner, client.RepoSpecs, digest), digest, jobfile.MaxSpecBytes)
		if errors.Is(err, client.ErrNotFound) {
			continue // nobody can run it
		}
		if err != nil {
			return nil, fmt.Errorf("spec %s: %w", digest, err)
		}
		spec, err := jobfile.ParseSpec(raw)
		if err != nil {
			return nil, fmt.Errorf("spec %s: %w; take a newer fog", digest, err)
		}
		for _, path := range spec.SecretPaths() {
			used[path] = true
		}
	}
	return used, nil
}
