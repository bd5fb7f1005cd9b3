package nomadtest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

// signer is a key with which a region signs workload identities.
type signer struct {
	id  string
	key *rsa.PrivateKey
}

// RotateKeys has workload identities signed by a new key from now on; with forget the old ones are not published any more.
func (s *Server) RotateKeys(forget bool) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if forget {
		s.signers = nil
	}
	s.signers = append(s.signers, signer{s.uuid(), key})
	return nil
}

func (s *Server) serveKeys(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range s.signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Algorithm: string(jose.RS256), Use: "sig"})
	}
	raw, err := json.Marshal(set)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(raw) //nolint:errcheck // the other side is gone
}

// Claims are what Nomad says of a task.
type Claims struct {
	jwt.Claims
	Namespace  string `json:"nomad_namespace"`
	Job        string `json:"nomad_job_id"`
	Task       string `json:"nomad_task"`
	Allocation string `json:"nomad_allocation_id"`
}

// Token signs what is said of a task with the newest key.
func (s *Server) Token(c Claims) (string, error) {
	s.mu.Lock()
	newest := s.signers[len(s.signers)-1]
	s.mu.Unlock()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", newest.id)
	by, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: newest.key}, options)
	if err != nil {
		return "", err
	}
	return jwt.Signed(by).Claims(c).Serialize()
}

// identify writes the tokens that a task asks for into its folder of secrets.
func (s *Server) identify(a *allocation, task *api.Task, dir string) error {
	for _, id := range task.Identities {
		now := time.Now()
		token, err := s.Token(Claims{
			Claims: jwt.Claims{
				Subject:  fmt.Sprintf("%s:%s:%s:%s:%s:%s", s.opts.Region, a.key.namespace, a.key.id, *a.job.TaskGroups[0].Name, task.Name, id.Name),
				Audience: id.Audience, IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(id.TTL)),
			},
			Namespace: a.key.namespace, Job: a.key.id, Task: task.Name, Allocation: a.stub.ID,
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "nomad_"+id.Name+".jwt"), []byte(token), 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sidecar runs the task that brings secrets, until ctx ends.
func (s *Server) sidecar(ctx context.Context, a *allocation, task *api.Task) error {
	private := filepath.Join(s.dir, "private", a.stub.ID, task.Name) // Nomad shows it to nobody
	if err := os.MkdirAll(private, 0o700); err != nil {
		return err
	}
	if err := s.identify(a, task, private); err != nil {
		return err
	}
	env := s.env(a)
	s.runs.Go(func() {
		runner.Lend(ctx, args(task)[1:], func(name string) string { //nolint:errcheck // it says so where the secrets are missed
			if name == runner.EnvSecretsDir {
				return private
			}
			return env(name)
		})
	})
	return nil
}
