package agent

import (
	"context"
	"errors"
	"io/fs"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// push brings the result of an attempt to the registry and returns its manifest's digest, zero if no task ran. It tries until the
// context ends: a result that is not there cannot be attested. If the files of the result are gone or changed, the node has failed.
func (r *run) push(ctx context.Context, out dispatch.Outcome) (dispatch.Outcome, artifact.Digest, error) {
	if !handover.HasFiles(out) {
		return out, artifact.Digest{}, nil
	}
	pause := r.agent.pause()
	for {
		result, err := handover.Result(out)
		if err == nil {
			var digest artifact.Digest
			repo, tag := r.agent.cfg.Registry.SliceRepo(r.id.Job, r.id.Slice, r.id.Attempt), client.ResultTag(r.id.Slice, r.id.Attempt)
			if digest, err = r.agent.cfg.Registry.PushArtifact(ctx, repo, tag, result); err == nil {
				return out, digest, nil
			}
		}
		if ctx.Err() != nil {
			return out, artifact.Digest{}, context.Cause(ctx)
		}
		if errors.Is(err, client.ErrDigestMismatch) || errors.Is(err, fs.ErrNotExist) {
			r.log.Error("the result's files on this machine are gone or changed", "error", err)
			return handover.Failed(r.slice, dispatch.ReasonNode, err), artifact.Digest{}, nil
		}
		r.log.Warn("the result cannot be pushed; trying again", "error", err)
		if err := pause.wait(ctx); err != nil {
			return out, artifact.Digest{}, err
		}
	}
}
