package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/foggrid/fogd/offchain/secrets"
)

// jobsFolder of KV holds the secrets of jobs, at jobs/OWNER/NAME.
const jobsFolder = "jobs"

// writeWrap is how long the answer to a write can be unwrapped, which nobody does: the policy lets nothing out, not even that, without.
const writeWrap = 10 * time.Second

func jobPath(owner, path string) string {
	return jobsFolder + "/" + owner + "/" + secrets.JobFile(path)
}

// wrapping is a client of the session whose answers are wrapped for so long.
func (s *Store) wrapping(current *session, life time.Duration) (*api.Client, error) {
	c, err := current.client.Clone()
	if err != nil {
		return nil, err
	}
	c.SetToken(current.client.Token())
	if s.cfg.Namespace != "" {
		c.SetNamespace(s.cfg.Namespace)
	}
	c.SetWrappingLookupFunc(func(string, string) string { return fmt.Sprintf("%ds", life/time.Second) })
	return c, nil
}

// PutJobSecret writes the only version that KV keeps of a secret.
func (s *Store) PutJobSecret(ctx context.Context, owner, path string, value []byte) error {
	if err := secrets.CheckNewJobSecret(ctx, s, owner, path, value); err != nil {
		return err
	}
	at := jobPath(owner, path)
	return s.do(ctx, "write "+at, func(ctx context.Context, current *session) error {
		if _, err := current.client.Logical().WriteWithContext(ctx, s.cfg.Mounts.KV+"/metadata/"+at, map[string]any{"max_versions": 1}); err != nil {
			return err
		}
		c, err := s.wrapping(current, writeWrap)
		if err != nil {
			return err
		}
		_, err = c.Logical().WriteWithContext(ctx, s.cfg.Mounts.KV+"/data/"+at, map[string]any{
			"data": map[string]any{fieldValue: base64.StdEncoding.EncodeToString(value)},
		})
		return err
	})
}

// JobSecrets lists the paths of an owner.
func (s *Store) JobSecrets(ctx context.Context, owner string) ([]string, error) {
	if err := secrets.CheckJobSecret(owner, "any"); err != nil {
		return nil, err
	}
	paths := []string{}
	err := s.do(ctx, "list the secrets of "+owner, func(ctx context.Context, current *session) error {
		paths = paths[:0]
		secret, err := current.client.Logical().ListWithContext(ctx, s.cfg.Mounts.KV+"/metadata/"+jobsFolder+"/"+owner)
		if err != nil || secret == nil {
			return err
		}
		keys, _ := secret.Data["keys"].([]any)
		for _, key := range keys {
			if name, ok := key.(string); ok && !strings.HasSuffix(name, "/") {
				paths = append(paths, secrets.JobPath(name))
			}
		}
		return nil
	})
	slices.Sort(paths)
	return paths, err
}

// RemoveJobSecret removes a secret with its metadata.
func (s *Store) RemoveJobSecret(ctx context.Context, owner, path string) error {
	if err := secrets.CheckJobSecret(owner, path); err != nil {
		return err
	}
	have, err := s.JobSecrets(ctx, owner)
	if err != nil {
		return err
	}
	if !slices.Contains(have, path) {
		return fmt.Errorf("secret %q: %w", path, secrets.ErrNotFound)
	}
	return s.do(ctx, "remove "+jobPath(owner, path), func(ctx context.Context, current *session) error {
		_, err := current.client.Logical().DeleteWithContext(ctx, s.cfg.Mounts.KV+"/metadata/"+jobPath(owner, path))
		return err
	})
}

// LendJobSecrets has Vault wrap each secret on its own: this program does not see what is inside, nor does its policy let it read otherwise.
func (s *Store) LendJobSecrets(ctx context.Context, to secrets.Borrower, owner string, paths []string) (secrets.Loan, error) {
	now := time.Now()
	life, err := to.Life(now)
	if err != nil {
		return secrets.Loan{}, err
	}
	l := secrets.Loan{Vault: s.cfg.Address, Namespace: s.cfg.Namespace, Expires: now.Add(life).UTC().Truncate(time.Second)}
	if s.cfg.CACert != "" {
		raw, err := os.ReadFile(s.cfg.CACert)
		if err != nil {
			return secrets.Loan{}, fmt.Errorf("vault: authority of the server: %w", err)
		}
		l.CA = string(raw)
	}
	for _, path := range paths {
		if err := secrets.CheckJobSecret(owner, path); err != nil {
			return secrets.Loan{}, errors.Join(err, s.RecallLoan(ctx, l))
		}
		wrap, err := s.wrap(ctx, s.cfg.Mounts.KV+"/data/"+jobPath(owner, path), life)
		if err != nil {
			return secrets.Loan{}, errors.Join(fmt.Errorf("secret %q: %w", path, err), s.RecallLoan(ctx, l))
		}
		l.Wrapped, l.Accessors = append(l.Wrapped, wrap.Token), append(l.Accessors, wrap.Accessor)
	}
	return l, nil
}

func (s *Store) wrap(ctx context.Context, at string, life time.Duration) (wrap *api.SecretWrapInfo, err error) {
	err = s.do(ctx, "wrap "+at, func(ctx context.Context, current *session) error {
		c, err := s.wrapping(current, life)
		if err != nil {
			return err
		}
		secret, err := c.Logical().ReadWithContext(ctx, at)
		if err != nil {
			return err
		}
		if secret == nil {
			return secrets.ErrNotFound
		}
		if wrap = secret.WrapInfo; wrap == nil {
			return errors.New("the answer is not wrapped; is there a proxy that drops the header X-Vault-Wrap-TTL?")
		}
		return nil
	})
	return wrap, err
}

// RecallLoan revokes the wrapping tokens that nobody has used.
func (s *Store) RecallLoan(ctx context.Context, l secrets.Loan) error {
	var failed error
	for _, accessor := range l.Accessors {
		err := s.do(ctx, "revoke what was wrapped", func(ctx context.Context, current *session) error {
			err := current.client.Auth().Token().RevokeAccessorWithContext(ctx, accessor)
			var answer *api.ResponseError
			if errors.As(err, &answer) && (answer.StatusCode == http.StatusBadRequest || answer.StatusCode == http.StatusNotFound) {
				return nil // it was opened, or has run out
			}
			return err
		})
		failed = errors.Join(failed, err)
	}
	return failed
}
