package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/gwclient"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
)

// pushesFile in the home remembers pushes of encrypted inputs.
const pushesFile = "pushes.json"

// pushGrace is how long the key of a push is kept for a job that is still to be submitted.
const pushGrace = 24 * time.Hour

func (a *app) pushes() *jobclient.Pushes {
	return jobclient.NewPushes(filepath.Join(a.home, pushesFile))
}

// sealing is what packing a job needs to encrypt it.
func (a *app) sealing(ctx context.Context, f *jobfile.File) (jobclient.Sealing, error) {
	if !f.Encrypt {
		return jobclient.Sealing{}, nil
	}
	keys, err := a.encryptionKeys(ctx)
	if errors.Is(err, errNoEncryptionKey) {
		return jobclient.Sealing{}, f.Problem("encrypt", fmt.Errorf("needs your key, and %w", err))
	}
	if err != nil {
		return jobclient.Sealing{}, err
	}
	owner, err := a.contentOwner(ctx)
	return jobclient.Sealing{Recipient: keys.Recipient(), Owner: owner, Pushes: a.pushes()}, err
}

// pushedBefore tells whether registry and gateway still have the encrypted inputs of an earlier push, and their key.
func (a *app) pushedBefore(ctx context.Context, p jobclient.Packed) (bool, error) {
	registry, err := a.registry(ctx)
	if err != nil {
		return false, err
	}
	owner, err := a.contentOwner(ctx)
	if err != nil {
		return false, err
	}
	if _, err := registry.StatBlob(ctx, registry.ContentRepo(owner, client.RepoInputs, p.Inputs), p.Inputs); errors.Is(err, client.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	have, err := a.secretPaths(ctx)
	return slices.Contains(have, p.Key.Path), err
}

// putInputsKey brings the key of new encrypted inputs to the gateway, before anybody can run a job that needs it.
func (a *app) putInputsKey(ctx context.Context, p jobclient.Packed) error {
	if len(p.Key.Value) == 0 {
		return nil
	}
	if err := a.call(ctx, http.MethodPut, "/v1/secrets/"+secrets.JobFile(p.Key.Path), gateway.NewSecret{Value: p.Key.Value}, nil); err != nil {
		err = fmt.Errorf("the key of the encrypted inputs: %w", err)
		var refused *gwclient.Error
		if errors.As(err, &refused) && refused.Code == "too_many_secrets" {
			return hint(err, "`fog secret prune` forgets the keys of jobs that have ended")
		}
		return err
	}
	return nil
}

// pruneSecrets forgets the keys of inputs that no job needs any more.
func (a *app) pruneSecrets(ctx context.Context) error {
	have, err := a.secretPaths(ctx)
	if err != nil {
		return err
	}
	owner, err := a.contentOwner(ctx)
	if err != nil {
		return err
	}
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	registry, err := a.registry(ctx)
	if err != nil {
		return err
	}
	used, err := (&jobclient.Client{Chain: ch, Registry: registry}).InputsKeys(ctx, owner)
	if err != nil {
		return err
	}
	young, err := a.pushes().Since(time.Now().Add(-pushGrace))
	if err != nil {
		return err
	}
	forgotten := []string{}
	for _, path := range have {
		if !jobclient.IsInputsKey(path) || used[path] || slices.Contains(young, path) {
			continue
		}
		if err := a.call(ctx, http.MethodDelete, "/v1/secrets/"+secrets.JobFile(path), nil, nil); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		forgotten = append(forgotten, path)
	}
	return a.print(gateway.SecretPaths{Paths: forgotten}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d keys of inputs forgotten, %d secrets left\n", len(forgotten), len(have)-len(forgotten))
		return err
	})
}
