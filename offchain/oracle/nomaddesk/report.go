package nomaddesk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// errLate says that an attempt was not registered in time, by anybody.
var errLate = errors.New("nobody registered the attempt in time")

// work is one attempt under way.
type work struct {
	desk  *Desk
	slice jobstypes.Slice
	rank  int
	times times
	log   *slog.Logger
}

// Report brings the attempt that a slice is in to its outcome and its result to the registry, and says how it ended. rank is this oracle's in
// the round. It returns early only if the context ends or the desk is closed, and may be called again.
func (d *Desk) Report(ctx context.Context, slice jobstypes.Slice, rank int) (link.Report, error) {
	defer d.report(handover.ID(slice))()
	w := &work{
		desk: d, slice: slice, rank: rank, times: d.times(slice),
		log: d.opts.Log.With("job", slice.JobId, "slice", slice.Number, "attempt", slice.Attempt),
	}
	out, err := w.outcome(ctx)
	late := errors.Is(err, errLate)
	if late {
		w.log.Warn("not started", "error", err)
		out, err = handover.Failed(slice, dispatch.ReasonNode, err), nil
	}
	if err != nil {
		return link.Report{}, err
	}
	out, manifest, err := w.push(ctx, out)
	if err != nil {
		return link.Report{}, err
	}
	r, err := handover.Report(slice.NodeId, slice, out, manifest)
	if err != nil {
		return link.Report{}, err
	}
	for i, t := range out.Tasks {
		if late || neverBegan(t) {
			r.Tasks[i].Reason = link.ReasonNotStarted
		}
	}
	return r, nil
}

// neverBegan tells a task for which Nomad had no room, or no client, from one that its machine failed.
func neverBegan(t dispatch.TaskOutcome) bool {
	return t.Reason == dispatch.ReasonNode && t.Started.IsZero() && t.ResultPath != ""
}

// outcome brings the attempt to its end, whatever stands in the way: what the job is to blame for ends its tasks as BAD_IMAGE, and what
// nobody could mend before the attempt's deadline as NODE.
func (w *work) outcome(ctx context.Context) (dispatch.Outcome, error) {
	pause := w.desk.opts.retryMin
	var verdict handover.Verdict
	for {
		out, err := w.try(ctx)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return dispatch.Outcome{}, context.Cause(ctx)
		}
		switch {
		case verdict.IsJobs(err):
			w.log.Warn("the job cannot run", "error", err)
			return handover.Failed(w.slice, dispatch.ReasonBadImage, err), nil
		case errors.Is(err, dispatch.ErrInvalidAssignment):
			w.log.Error("the node's client cannot run the job", "error", err)
			return handover.Failed(w.slice, dispatch.ReasonNode, err), nil
		case errors.Is(err, errLate), errors.Is(err, dispatch.ErrClosed), errors.Is(err, errOver):
			return dispatch.Outcome{}, err
		case time.Now().After(w.times.deadline.Add(w.desk.opts.clockSlack)):
			w.log.Error("the attempt's time is over and Nomad does not say how it ended", "error", err)
			return handover.Failed(w.slice, dispatch.ReasonNode, err), nil
		}
		w.log.Warn("attempt cannot run yet; trying again", "error", err)
		if err := sleep(ctx, pause); err != nil {
			return dispatch.Outcome{}, err
		}
		pause = min(2*pause, w.desk.opts.retryMax)
	}
}

// try takes the attempt up once and watches it.
func (w *work) try(ctx context.Context) (dispatch.Outcome, error) {
	a, err := w.prepare(ctx)
	if err != nil {
		return dispatch.Outcome{}, err
	}
	if err := w.endEarlier(ctx); err != nil {
		return dispatch.Outcome{}, err
	}
	if err := w.take(ctx, a); err != nil {
		return dispatch.Outcome{}, err
	}
	late, cancel := context.WithDeadline(ctx, w.times.deadline.Add(w.desk.opts.clockSlack))
	defer cancel()
	out, err := w.desk.nomad.Watch(late, a.ID, nil)
	if err != nil {
		return dispatch.Outcome{}, fmt.Errorf("watch: %w", err)
	}
	return out, w.explainStops(ctx, out)
}

// explainStops makes failures of the node of tasks that were stopped although the chain has not gone on from them: they have ended all the same. One that was stopped
// before it began looks like the node's failure already.
func (w *work) explainStops(ctx context.Context, out dispatch.Outcome) error {
	for i, t := range out.Tasks {
		if t.Reason != dispatch.ReasonStopped && t.Reason != dispatch.ReasonNode {
			continue
		}
		slice, err := w.desk.opts.Chain.Slice(ctx, w.slice.JobId, w.slice.Number)
		if err != nil {
			return err
		}
		if over(slice, w.slice.Attempt) {
			return errOver
		}
		out.Tasks[i].Reason = dispatch.ReasonNode
	}
	return nil
}

// prepare makes the assignment. What Nomad's clients download stays in the registry; it must be there.
func (w *work) prepare(ctx context.Context) (dispatch.Assignment, error) {
	registry := w.desk.opts.Registry
	job, err := w.desk.opts.Chain.Job(ctx, w.slice.JobId)
	if err != nil {
		return dispatch.Assignment{}, fmt.Errorf("job %s: %w", w.slice.JobId, err)
	}
	job = handover.Revised(job, w.slice)
	digest, err := handover.SpecDigest(job)
	if err != nil {
		return dispatch.Assignment{}, err
	}
	raw, err := registry.ReadBlob(ctx, registry.ContentRepo(job.Owner, client.RepoSpecs, digest), digest, jobfile.MaxSpecBytes)
	if err != nil {
		return dispatch.Assignment{}, handover.Blame(fmt.Errorf("%s %s: %w", client.RepoSpecs, digest, err))
	}
	spec, err := handover.Spec(digest, raw)
	if err != nil {
		return dispatch.Assignment{}, err
	}
	if len(spec.Secrets) > 0 && !spec.SecretsOnNomad {
		return dispatch.Assignment{}, fmt.Errorf("%w: the job does not say that its secrets may go to nodes on Nomad", dispatch.ErrInvalidAssignment)
	}
	a, err := handover.Assignment(job, w.slice, spec)
	if err != nil {
		return dispatch.Assignment{}, err
	}
	shelf, err := w.desk.shelf(job.Owner, Credentials{}) // where clients pull is asked for when they are to
	if err != nil {
		return a, err
	}
	if a.Engine == dispatch.EngineDocker {
		if _, err = picture(ctx, registry, job.Owner, a.Module); err == nil {
			a.ModulePath, err = shelf.image(a.Module)
		}
	} else {
		a.ModulePath, err = w.content(ctx, shelf, client.RepoModules, a.Module)
	}
	if err != nil {
		return a, err
	}
	if !a.Inputs.IsZero() {
		if a.InputsDir, err = w.content(ctx, shelf, client.RepoInputs, a.Inputs); err != nil {
			return a, err
		}
	}
	if err := a.Validate(); err != nil {
		return a, handover.JobFault("%w", err)
	}
	return a, nil
}

// content is the address of a blob that the registry must have.
func (w *work) content(ctx context.Context, s Shelf, kind string, digest artifact.Digest) (string, error) {
	registry := w.desk.opts.Registry
	if _, err := registry.StatBlob(ctx, registry.ContentRepo(s.owner, kind, digest), digest); err != nil {
		return "", handover.Blame(fmt.Errorf("%s %s: %w", kind, digest, err))
	}
	return s.blob(kind, digest), nil
}

// endEarlier makes sure that earlier attempts at the slice that are held here do not run any more.
func (w *work) endEarlier(ctx context.Context) error {
	kept, err := w.desk.nomad.Kept()
	if err != nil {
		return err
	}
	for _, id := range kept {
		if id.Job != w.slice.JobId || id.Slice != w.slice.Number || id.Attempt >= w.slice.Attempt {
			continue
		}
		if err := w.desk.nomad.Stop(ctx, id); err != nil && !errors.Is(err, dispatch.ErrUnknownAttempt) {
			return fmt.Errorf("end the attempt before: %w", err)
		}
	}
	return nil
}

// take registers the attempt when it is this oracle's turn, or takes it up as soon as another has.
func (w *work) take(ctx context.Context, a dispatch.Assignment) error {
	turn := w.times.matched.Add(time.Duration(w.rank) * w.desk.opts.RankPause)
	for {
		now := time.Now()
		if !now.Before(turn) && now.Before(w.times.startBy) {
			return w.desk.nomad.Start(ctx, a)
		}
		held, err := w.desk.nomad.Adopt(ctx, a)
		if err != nil || held {
			return err
		}
		if now.After(w.times.startBy.Add(w.desk.opts.clockSlack)) {
			return errLate
		}
		if err := sleep(ctx, w.desk.opts.adoptEvery); err != nil {
			return err
		}
	}
}

// push brings the result to the registry and returns its manifest's digest, zero if no task ran. Another oracle may have been first: what
// is there is not sent again.
func (w *work) push(ctx context.Context, out dispatch.Outcome) (dispatch.Outcome, artifact.Digest, error) {
	if !handover.HasFiles(out) {
		return out, artifact.Digest{}, nil
	}
	for pause := w.desk.opts.retryMin; ; pause = min(2*pause, w.desk.opts.retryMax) {
		result, err := handover.Result(out)
		if err == nil {
			var digest artifact.Digest
			registry := w.desk.opts.Registry
			repo, tag := registry.SliceRepo(w.slice.JobId, w.slice.Number, w.slice.Attempt), client.ResultTag(w.slice.Number, w.slice.Attempt)
			if digest, err = registry.PushArtifact(ctx, repo, tag, result); errors.Is(err, client.ErrDenied) {
				// Once a quorum has attested, a gateway lets nobody push any more; then the result is there.
				_, err = registry.PullManifest(ctx, repo, digest.String())
			}
			if err == nil {
				return out, digest, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return out, artifact.Digest{}, context.Cause(ctx)
		case errors.Is(err, client.ErrDigestMismatch), errors.Is(err, fs.ErrNotExist):
			return out, artifact.Digest{}, fmt.Errorf("the result's files here are gone or changed: %w", err)
		}
		w.log.Warn("the result cannot be pushed; trying again", "error", err)
		if err := sleep(ctx, pause); err != nil {
			return out, artifact.Digest{}, err
		}
	}
}
