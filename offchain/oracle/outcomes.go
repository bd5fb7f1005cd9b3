package oracle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	oracletypes "github.com/foggrid/fogd/x/oracle/types"
)

// attempt names one try at a slice.
type attempt struct {
	job     string
	slice   uint32
	attempt uint32
}

// reportBook holds what agents said of attempts whose rounds are under way.
type reportBook struct {
	mu      sync.Mutex
	entries map[attempt]*entry
}

type entry struct {
	// arrived is closed when a report is there.
	arrived chan struct{}
	report  *link.SignedReport
	// started is when the first sign of work came; zero before.
	started time.Time
	// refused is why the report cannot be taken.
	refused error
}

func newReportBook() *reportBook { return &reportBook{entries: map[attempt]*entry{}} }

// at returns the entry of an attempt, a fresh one if there is none. The caller holds mu.
func (b *reportBook) at(a attempt) *entry {
	e := b.entries[a]
	if e == nil {
		e = &entry{arrived: make(chan struct{})}
		b.entries[a] = e
	}
	return e
}

// watch returns the channel that is closed when the report is there.
func (b *reportBook) watch(a attempt) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at(a).arrived
}

// put stores a report; a second one of the same attempt replaces one that was refused only.
func (b *reportBook) put(a attempt, r link.SignedReport) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.at(a)
	if e.report != nil && e.refused == nil {
		return
	}
	if e.report == nil {
		close(e.arrived)
	}
	e.report, e.refused = &r, nil
}

// get returns the report and the first sign of work.
func (b *reportBook) get(a attempt) (*link.SignedReport, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.at(a)
	return e.report, e.started
}

func (b *reportBook) refuse(a attempt, why error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at(a).refused = why
}

func (b *reportBook) refusal(a attempt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at(a).refused
}

func (b *reportBook) markStarted(a attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.at(a); e.started.IsZero() {
		e.started = time.Now()
	}
}

func (b *reportBook) forget(a attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, a)
}

// slice reads one slice of a job.
func (w *Worker) slice(ctx context.Context, job string, number uint32) (jobstypes.Slice, error) {
	resp, err := jobstypes.NewQueryClient(w.cfg.Chain.Latest()).Slice(ctx, &jobstypes.QuerySliceRequest{JobId: job, Number: number})
	if err != nil {
		return jobstypes.Slice{}, err
	}
	return resp.Slice, nil
}

// takeReport keeps a report until the vote that rests on it is on chain; only then is it acknowledged, so that the agent sends it
// again to a worker that lost it.
func (w *Worker) takeReport(ctx context.Context, nodeID string, report link.SignedReport) error {
	slice, err := w.slice(ctx, report.JobID, report.Slice)
	if err != nil { // also a slice that is not there: this oracle's node may be behind the agent's
		return err
	}
	a := attempt{report.JobID, report.Slice, report.Attempt}
	switch {
	case slice.Attempt < report.Attempt, slice.Attempt == report.Attempt && slice.Status == jobstypes.SLICE_STATUS_PENDING:
		return errNotYet // the match is not in this oracle's state yet
	case slice.Attempt > report.Attempt, slice.Status != jobstypes.SLICE_STATUS_MATCHED:
		return nil // decided without this report, or by it
	}
	if slice.NodeId != nodeID || slice.Provider == w.cfg.Operator {
		return fmt.Errorf("%w: the slice is not for this node, or not for this oracle to judge", link.ErrRefused)
	}
	if _, served, err := w.nomadPlace(ctx, slice); err != nil || served {
		return errors.Join(err, refusedIf(served))
	}
	if err := w.report.refusal(a); err != nil {
		return fmt.Errorf("%w: %w", link.ErrRefused, err)
	}
	w.report.put(a, report)
	return errNotYet
}

// takeProgress notes the first sign of work, and how a service is.
func (w *Worker) takeProgress(node string, p link.Progress) {
	w.infirmary.note(node, p, time.Now())
	w.mu.Lock()
	known := false
	for _, t := range w.tracked {
		if t.round.Kind != oracletypes.KindOutcome {
			continue
		}
		s, err := jobstypes.DecodeOutcomeSubject(t.round.Subject)
		known = known || err == nil && s.Job.Bech32(jobstypes.JobHRP) == p.JobID && s.Slice == p.Slice && s.Attempt == p.Attempt
	}
	w.mu.Unlock()
	if known { // a stranger's hints must not fill the book
		w.report.markStarted(attempt{p.JobID, p.Slice, p.Attempt})
	}
}

// answerOutcome waits for the agent's report, checks it against the chain and the registry, and votes for what it says.
func (w *Worker) answerOutcome(ctx context.Context, round oracletypes.Round) error {
	subject, err := jobstypes.DecodeOutcomeSubject(round.Subject)
	if err != nil {
		return fmt.Errorf("%w: %w", errAbstain, err)
	}
	a := attempt{subject.Job.Bech32(jobstypes.JobHRP), subject.Slice, subject.Attempt}
	slice, err := w.slice(ctx, a.job, a.slice)
	if err != nil {
		return err
	}
	switch {
	case slice.Attempt != a.attempt:
		return fmt.Errorf("%w: the attempt is over", errAbstain)
	case slice.Provider == w.cfg.Operator:
		return fmt.Errorf("%w: the node is the operator's own", errAbstain)
	}
	outcome, meter, err := w.outcomeOf(ctx, round, slice)
	if err != nil {
		return err
	}
	body, err := outcome.Marshal()
	if err != nil {
		return err
	}
	claim := sha256.Sum256(body)
	vote := oracletypes.Vote{RoundId: round.Id, Claim: claim[:], Meter: meter, Body: body}
	if err := settled(w.voter.cast(ctx, vote, 0)); err != nil {
		return err
	}
	w.log.Info("outcome attested", "job", a.job, "slice", a.slice, "attempt", a.attempt, "failed", len(outcome.Failures), "metered_ms", meter)
	w.report.forget(a)
	return nil
}

// outcome waits until there is something to say of an attempt.
func (w *Worker) outcome(ctx context.Context, a attempt, slice jobstypes.Slice) (jobstypes.Outcome, uint64, error) {
	arrived := w.report.watch(a)
	late := time.NewTimer(time.Until(time.Unix(slice.MatchedTime, 0).Add(w.cfg.StartTimeout)))
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return jobstypes.Outcome{}, 0, ctx.Err()
		case <-arrived:
			report, started := w.report.get(a)
			outcome, meter, err := w.judge(ctx, *report, started, slice)
			if errors.Is(err, errFalseReport) {
				w.log.Warn("refusing a report", "node", slice.NodeId, "job", a.job, "slice", a.slice, "error", err)
				w.report.refuse(a, err)
			}
			return outcome, meter, err
		case <-late.C:
			if _, started := w.report.get(a); started.IsZero() {
				if _, connected := w.server.Session(slice.NodeId); connected {
					return notStarted(slice), 0, nil
				}
				// An agent that is not there is a matter of liveness; it may have started before the link broke.
			}
		}
	}
}

// errFalseReport says that a report contradicts the chain or the registry.
var errFalseReport = errors.New("false report")

// judge turns a report into the outcome to vote for.
func (w *Worker) judge(
	ctx context.Context, report link.SignedReport, started time.Time, slice jobstypes.Slice,
) (jobstypes.Outcome, uint64, error) {
	if len(report.Tasks) != int(slice.TaskCount) {
		return jobstypes.Outcome{}, 0, fmt.Errorf("%w: it has %d tasks, the slice %d", errFalseReport, len(report.Tasks), slice.TaskCount)
	}
	outcome := jobstypes.Outcome{ResultRoot: report.ResultRoot[:]}
	total := uint64(0)
	for i, t := range report.Tasks {
		if t.Task != slice.FirstTask+uint32(i) {
			return outcome, 0, fmt.Errorf("%w: it names task %d in place of %d", errFalseReport, t.Task, slice.FirstTask+uint32(i))
		}
		total += t.DurationMS
		if t.Reason != link.ReasonNone {
			outcome.Failures = append(outcome.Failures, jobstypes.TaskFailure{
				Task: t.Task, ExitCode: t.ExitCode, Reason: jobstypes.FailureReason(t.Reason),
			})
		}
	}
	if err := outcome.Validate(); err != nil {
		return outcome, 0, fmt.Errorf("%w: %w", errFalseReport, err)
	}
	if err := w.checkResult(ctx, report, slice); err != nil {
		return outcome, 0, err
	}
	// What the agent says of its time counts only up to what passed on this oracle's clock.
	since := time.Unix(slice.MatchedTime, 0)
	if !started.IsZero() {
		since = started.Add(-time.Second)
	}
	meter := min(total/uint64(len(report.Tasks)), uint64(max(0, time.Since(since).Milliseconds())))
	return outcome, meter, nil
}

// checkResult fetches the result's manifest and compares the Merkle root of its digests with the report's.
func (w *Worker) checkResult(ctx context.Context, report link.SignedReport, slice jobstypes.Slice) error {
	leaves := make([][32]byte, slice.TaskCount)
	if report.ManifestDigest == [32]byte{} {
		empty := artifact.EmptyDigest
		for i := range leaves {
			leaves[i] = empty
		}
	} else {
		digest := artifact.Digest(report.ManifestDigest)
		repo := w.cfg.Registry.SliceRepo(slice.JobId, slice.Number, slice.Attempt)
		manifest, err := w.cfg.Registry.PullManifest(ctx, repo, digest.String())
		if err != nil {
			return fmt.Errorf("result of slice %d of %s: %w", slice.Number, slice.JobId, err)
		}
		tasks, err := manifest.Tasks(slice.FirstTask, slice.TaskCount)
		if err != nil {
			return fmt.Errorf("%w: result manifest: %w", errFalseReport, err)
		}
		for i, t := range tasks {
			leaves[i] = t.Result.Digest
			if _, err := w.cfg.Registry.StatBlob(ctx, repo, t.Result.Digest); err != nil {
				return fmt.Errorf("result of task %d of %s: %w", t.Task, slice.JobId, err)
			}
		}
	}
	if artifact.MerkleRoot(leaves) != report.ResultRoot {
		return fmt.Errorf("%w: result_root is not that of the result in the registry", errFalseReport)
	}
	return nil
}

// notStarted is the outcome of a slice that its node never began.
func notStarted(slice jobstypes.Slice) jobstypes.Outcome {
	leaves := make([][32]byte, slice.TaskCount)
	var o jobstypes.Outcome
	for i := range leaves {
		leaves[i] = artifact.EmptyDigest
		o.Failures = append(o.Failures, jobstypes.TaskFailure{
			Task: slice.FirstTask + uint32(i), Reason: jobstypes.FAILURE_REASON_NOT_STARTED,
		})
	}
	root := artifact.MerkleRoot(leaves)
	o.ResultRoot = root[:]
	return o
}
