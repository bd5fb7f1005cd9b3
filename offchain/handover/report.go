package handover

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// reasons are those of the link for those of a dispatcher. ReasonStopped has none: an attempt that was stopped is not reported.
var reasons = map[dispatch.Reason]link.Reason{
	dispatch.ReasonOK:       link.ReasonNone,
	dispatch.ReasonExit:     link.ReasonExit,
	dispatch.ReasonMemory:   link.ReasonMemory,
	dispatch.ReasonTimeout:  link.ReasonTimeout,
	dispatch.ReasonOutput:   link.ReasonOutput,
	dispatch.ReasonTrap:     link.ReasonTrap,
	dispatch.ReasonBadImage: link.ReasonBadImage,
	dispatch.ReasonNode:     link.ReasonNode,
}

// emptyArchive is the archive of an empty folder: two blocks of zeros.
var emptyArchive = make([]byte, 1024)

// ErrStopped says that an outcome holds tasks that were stopped, which nobody may report.
var ErrStopped = errors.New("the attempt was stopped")

// Report says how an attempt ended. Its tasks are those of the slice, in order.
func Report(nodeID string, slice jobstypes.Slice, out dispatch.Outcome, manifest artifact.Digest) (link.Report, error) {
	r := link.Report{
		NodeID: nodeID, JobID: slice.JobId, Slice: slice.Number, Attempt: slice.Attempt,
		ResultRoot: out.ResultRoot(), ManifestDigest: manifest,
	}
	if len(out.Tasks) != int(slice.TaskCount) {
		return link.Report{}, fmt.Errorf("the outcome has %d tasks, the slice %d", len(out.Tasks), slice.TaskCount)
	}
	for i, t := range out.Tasks {
		reason, ok := reasons[t.Reason]
		switch {
		case t.Reason == dispatch.ReasonStopped:
			return link.Report{}, ErrStopped
		case !ok:
			return link.Report{}, fmt.Errorf("task %d ended for the unknown reason %q", t.Task, t.Reason)
		case t.Task != slice.FirstTask+uint32(i):
			return link.Report{}, fmt.Errorf("the outcome has task %d in place of %d", t.Task, slice.FirstTask+uint32(i))
		}
		r.Tasks = append(r.Tasks, link.TaskOutcome{
			Task: t.Task, ExitCode: t.ExitCode, Reason: reason, DurationMS: uint64(max(0, t.Duration()) / time.Millisecond),
		})
	}
	return r, nil
}

// Failed is the outcome of a slice none of whose tasks ran.
func Failed(slice jobstypes.Slice, reason dispatch.Reason, why error) dispatch.Outcome {
	out := dispatch.Outcome{ID: ID(slice)}
	for i := range slice.TaskCount {
		out.Tasks = append(out.Tasks, dispatch.TaskOutcome{
			Task: slice.FirstTask + i, Reason: reason, Message: why.Error(), Result: artifact.EmptyDigest, ResultSize: int64(len(emptyArchive)),
		})
	}
	return out
}

// Result is what the registry gets: an archive for each task, then the logs that are not empty.
func Result(out dispatch.Outcome) (client.Artifact, error) {
	var outputs []client.TaskOutput
	for _, t := range out.Tasks {
		o := client.TaskOutput{Task: t.Task, Result: client.Blob{Digest: t.Result, Size: t.ResultSize}}
		if t.ResultPath == "" {
			o.Result.Size = int64(len(emptyArchive))
			o.Result.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(emptyArchive)), nil }
		} else {
			o.Result.Open = func() (io.ReadCloser, error) { return os.Open(t.ResultPath) }
		}
		if t.LogPath != "" {
			log, err := client.FileBlob("", t.LogPath)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return client.Artifact{}, fmt.Errorf("log of task %d: %w", t.Task, err)
			}
			if err == nil && log.Size > 0 {
				o.Log = log
			}
		}
		outputs = append(outputs, o)
	}
	return client.Result(outputs), nil
}

// HasFiles reports whether an outcome has something for the registry; it has not if no task ran.
func HasFiles(out dispatch.Outcome) bool {
	for _, t := range out.Tasks {
		if t.ResultPath != "" || t.LogPath != "" {
			return true
		}
	}
	return false
}
