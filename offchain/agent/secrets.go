package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/secrets"
)

// SecretSource gets the values of an owner's secrets, in the order of their paths, for an attempt that this node runs.
type SecretSource interface {
	JobSecrets(ctx context.Context, id dispatch.AttemptID, owner string, paths []string) ([][]byte, error)
}

// errSecrets is a failure to get the secrets of a job, of which the job's owner is told.
var errSecrets = errors.New("the job's secrets")

// fillSecrets gets what an assignment's secrets hold, and the key of the inputs, if they are encrypted. They are in memory only, here and in
// what runs the task.
func (a *Agent) fillSecrets(ctx context.Context, out *dispatch.Assignment, owner string, spec jobfile.Spec) (inputsKey []byte, err error) {
	paths := spec.SecretPaths()
	if len(paths) == 0 {
		return nil, nil
	}
	if a.cfg.Secrets == nil {
		return nil, fmt.Errorf("%w: the job needs secrets, and this agent has no gateway to get them from; run it with --gateway", dispatch.ErrInvalidAssignment)
	}
	values, err := a.cfg.Secrets.JobSecrets(ctx, out.ID, owner, paths)
	if errors.Is(err, secrets.ErrNoStore) {
		return nil, fmt.Errorf("%w: the job needs secrets: %w", dispatch.ErrInvalidAssignment, err)
	}
	if err != nil {
		return nil, handover.Blame(fmt.Errorf("%w: %w", errSecrets, err))
	}
	for i := range spec.Secrets {
		out.Secrets[i].Value = values[i]
	}
	if spec.SealedInputs() {
		inputsKey = values[len(spec.Secrets)]
	}
	return inputsKey, nil
}
