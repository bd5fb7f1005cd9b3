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

// fillSecrets gets what an assignment's secrets hold. It is in memory only, here and in what runs the task.
func (a *Agent) fillSecrets(ctx context.Context, out *dispatch.Assignment, owner string, refs []jobfile.SecretRef) error {
	if len(refs) == 0 {
		return nil
	}
	if a.cfg.Secrets == nil {
		return fmt.Errorf("%w: the job needs secrets, and this agent has no gateway to get them from; run it with --gateway", dispatch.ErrInvalidAssignment)
	}
	paths := make([]string, len(refs))
	for i, ref := range refs {
		paths[i] = ref.Path
	}
	values, err := a.cfg.Secrets.JobSecrets(ctx, out.ID, owner, paths)
	if errors.Is(err, secrets.ErrNoStore) {
		return fmt.Errorf("%w: the job needs secrets: %w", dispatch.ErrInvalidAssignment, err)
	}
	if err != nil {
		return handover.Blame(fmt.Errorf("%w: %w", errSecrets, err))
	}
	for i := range refs {
		out.Secrets[i].Value = values[i]
	}
	return nil
}
