package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/durable"
	"github.com/foggrid/fogd/offchain/secrets"
)

func (s *Store) jobDir(owner string) string { return filepath.Join(s.dir, jobsDir, owner) }

func (s *Store) jobFile(owner, path string) string {
	return filepath.Join(s.jobDir(owner), secrets.JobFile(path)+suffix)
}

// PutJobSecret writes jobs/OWNER/NAME.age, where ~ stands for the / of the path.
func (s *Store) PutJobSecret(ctx context.Context, owner, path string, value []byte) error {
	if err := secrets.CheckNewJobSecret(ctx, s, owner, path, value); err != nil {
		return err
	}
	if err := os.MkdirAll(s.jobDir(owner), 0o700); err != nil {
		return err
	}
	if err := durable.SyncDir(filepath.Join(s.dir, jobsDir)); err != nil { // or the folder of a new owner may be lost with what is in it
		return err
	}
	return s.put(s.jobDir(owner), secrets.JobFile(path), value, os.Rename)
}

// JobSecrets lists the files of an owner.
func (s *Store) JobSecrets(_ context.Context, owner string) ([]string, error) {
	if err := secrets.CheckJobSecret(owner, "any"); err != nil {
		return nil, err
	}
	files, err := os.ReadDir(s.jobDir(owner))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	paths := []string{}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f.Name(), suffix); ok {
			paths = append(paths, secrets.JobPath(name))
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// RemoveJobSecret removes the file.
func (s *Store) RemoveJobSecret(_ context.Context, owner, path string) error {
	if err := secrets.CheckJobSecret(owner, path); err != nil {
		return err
	}
	err := os.Remove(s.jobFile(owner, path))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("secret %q: %w", path, secrets.ErrNotFound)
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(s.jobDir(owner))
}

// LendJobSecrets seals the values for the key of the node.
func (s *Store) LendJobSecrets(_ context.Context, to secrets.Borrower, owner string, paths []string) (secrets.Loan, error) {
	now := time.Now()
	life, err := to.Life(now)
	if err != nil {
		return secrets.Loan{}, err
	}
	values := map[string][]byte{}
	for _, path := range paths {
		if err := secrets.CheckJobSecret(owner, path); err != nil {
			return secrets.Loan{}, err
		}
		if values[path], err = s.open(s.jobFile(owner, path)); err != nil {
			return secrets.Loan{}, fmt.Errorf("secret %q: %w", path, err)
		}
	}
	return secrets.SealLoan(to, owner, values, now.Add(life).UTC().Truncate(time.Second))
}

// RecallLoan does nothing: what is sealed is the node's.
func (s *Store) RecallLoan(context.Context, secrets.Loan) error { return nil }
