package jobclient

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

var (
	// ErrNotFinished is a job of which some tasks have no result yet.
	ErrNotFinished = errors.New("some tasks have no result yet")
	// ErrNoResult is a job that ended without any result.
	ErrNoResult = errors.New("the job ended without a result")
	// ErrOtherContent is a folder in the way of a task's output that holds something else.
	ErrOtherContent = errors.New("holds something else than this task's output; remove it, or choose another folder")
)

// FetchOptions say what to fetch and where to.
type FetchOptions struct {
	// Dir gets a folder for each task, named by its number.
	Dir string
	// Partial takes what is there of a job that is not finished.
	Partial bool
	// Progress is told of the bytes of the results.
	Progress client.Progress
	// Keys gives the developer's keys, once, if results are encrypted.
	Keys func() (seal.Keys, error)
	// Raw leaves the archives as they are, encrypted if they are, in a file for each task.
	Raw bool
}

// TaskResult is the result of one task.
type TaskResult struct {
	Task    uint32 `json:"task"`
	Slice   uint32 `json:"slice"`
	Attempt uint32 `json:"attempt"`
	// Digest of the archive of the output, as attested.
	Digest    artifact.Digest `json:"digest"`
	Succeeded bool            `json:"succeeded"`
	ExitCode  uint32          `json:"exit_code,omitempty"`
	Failure   string          `json:"failure,omitempty"`
	// Dir is the task's folder, or with Raw its file.
	Dir string `json:"dir"`
}

// Results are what Fetch brought.
type Results struct {
	JobID string       `json:"job_id"`
	Tasks []TaskResult `json:"tasks"`
	// Missing tasks have no result.
	Missing []uint32 `json:"missing"`
	// Slices whose result was compared with the chain.
	Slices int `json:"slices_verified"`
	// Bytes that were downloaded.
	Bytes int64 `json:"bytes"`
}

// Fetch downloads the outputs of a job's tasks. All slices are compared with the chain before anything is written; each task's folder
// appears whole, with the digest that was attested, or not at all. What an earlier call brought is kept.
func (c *Client) Fetch(ctx context.Context, id string, opts FetchOptions) (Results, error) {
	job, err := c.Job(ctx, id)
	if err != nil {
		return Results{}, err
	}
	runs, err := c.Slices(ctx, id)
	if err != nil {
		return Results{}, err
	}
	places := placeTasks(runs, job.Tasks)
	out := Results{JobID: id, Missing: []uint32{}}
	for task, p := range places {
		if p == nil {
			out.Missing = append(out.Missing, uint32(task))
		}
	}
	switch open := job.Status == jobstypes.JOB_STATUS_OPEN; {
	case open && (len(out.Missing) == int(job.Tasks) || len(out.Missing) > 0 && !opts.Partial):
		return out, fmt.Errorf("%s: %d of %d: %w", id, len(out.Missing), job.Tasks, ErrNotFinished)
	case len(out.Missing) == int(job.Tasks):
		return out, fmt.Errorf("%s (%s): %w", id, job.CloseReason, ErrNoResult)
	}
	layers, err := c.verified(ctx, runs, places)
	if err != nil {
		return out, err
	}
	for _, l := range layers {
		if l != nil {
			out.Slices++
		}
	}
	// A task may write no more than it reserved; names and padding come on top.
	limit := int64(job.Resources.StorageMib+1) << 21 //nolint:gosec // the chain bounds what a task may write
	open, err := c.opener(ctx, job, opts, artifact.Limits{MaxBytes: limit})
	if err != nil {
		return out, err
	}
	for task, p := range places {
		if p == nil {
			continue
		}
		s := runs[p.slice]
		r := TaskResult{
			Task: uint32(task), Slice: s.Number, Attempt: s.Attempt, Digest: layers[p.slice][uint32(task)-s.FirstTask].Result.Digest,
			Succeeded: p.failure == nil, Dir: open.place(strconv.Itoa(task)),
		}
		if p.failure != nil {
			r.ExitCode, r.Failure = p.failure.ExitCode, p.failure.Reason.String()
		}
		out.Tasks = append(out.Tasks, r)
	}
	out.Bytes, err = c.download(ctx, job, out.Tasks, sizes(layers), open, opts.Progress)
	return out, err
}

// sizes of results by digest.
func sizes(layers [][]client.TaskLayers) map[artifact.Digest]client.Descriptor {
	found := map[artifact.Digest]client.Descriptor{}
	for _, slice := range layers {
		for _, t := range slice {
			found[t.Result.Digest] = t.Result
		}
	}
	return found
}

// batch is how many outputs lie on disk as archives at a time.
const batch = 16

// download brings the outputs that are not there yet.
func (c *Client) download(
	ctx context.Context, job jobstypes.Job, tasks []TaskResult, found map[artifact.Digest]client.Descriptor, open *opener, progress client.Progress,
) (bytes int64, err error) {
	if err := os.MkdirAll(open.dir, 0o755); err != nil {
		return 0, err
	}
	var missing []TaskResult
	var total int64
	for _, t := range tasks {
		there, err := open.holds(t)
		if err != nil {
			return 0, err
		}
		if !there {
			missing = append(missing, t)
		}
		if found[t.Digest].Size > open.limits.MaxBytes {
			return 0, fmt.Errorf("task %d: %w: its result has %d bytes, the job allows %d MiB", t.Task, client.ErrTooLarge,
				found[t.Digest].Size, job.Resources.StorageMib)
		}
	}
	temp, err := os.MkdirTemp(open.dir, ".fog-*")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	for part := range slices.Chunk(missing, batch) {
		_, size := archives(part, found)
		total += size
	}
	for part := range slices.Chunk(missing, batch) {
		registry := c.Registry
		if progress != nil {
			registry = registry.WithProgress(func(done, _ int64) { progress(bytes+done, total) })
		}
		layers, _ := archives(part, found)
		for repo, those := range byRepo(layers, part, func(t TaskResult) string { return registry.SliceRepo(job.Id, t.Slice, t.Attempt) }) {
			if err := registry.PullLayers(ctx, repo, those, temp); err != nil {
				return bytes, fmt.Errorf("results of %s: %w", job.Id, err)
			}
			for _, l := range those {
				bytes += l.Size
			}
		}
		if err := open.all(temp, part); err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// archives are what has to be downloaded for tasks, and its size; equal outputs share one.
func archives(tasks []TaskResult, found map[artifact.Digest]client.Descriptor) (layers []client.Descriptor, size int64) {
	seen := map[artifact.Digest]bool{artifact.EmptyDigest: true}
	for _, t := range tasks {
		if !seen[t.Digest] {
			seen[t.Digest] = true
			layers = append(layers, found[t.Digest])
			size += found[t.Digest].Size
		}
	}
	return layers, size
}

// byRepo sorts layers by the repository of a task that they are of.
func byRepo(layers []client.Descriptor, tasks []TaskResult, repo func(TaskResult) string) map[string][]client.Descriptor {
	places := map[artifact.Digest]string{}
	for _, t := range tasks {
		places[t.Digest] = repo(t)
	}
	sorted := map[string][]client.Descriptor{}
	for _, l := range layers {
		sorted[places[l.Digest]] = append(sorted[places[l.Digest]], l)
	}
	return sorted
}

// all makes the folders of tasks whose archives lie in temp, and removes the archives.
func (o *opener) all(temp string, tasks []TaskResult) error {
	for _, t := range tasks {
		if err := o.unpack(t, client.LayerPath(temp, t.Digest)); err != nil {
			return fmt.Errorf("task %d: %w", t.Task, err)
		}
	}
	for _, t := range tasks {
		if err := os.Remove(client.LayerPath(temp, t.Digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// holds tells whether a folder is there and is the one that the digest names; another one is an error.
func holds(dir string, d artifact.Digest) (bool, error) {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	h := sha256.New()
	if err := artifact.Pack(h, dir, artifact.Limits{}); err != nil {
		return false, fmt.Errorf("%s %w (%w)", dir, ErrOtherContent, err)
	}
	if artifact.Digest(h.Sum(nil)) != d {
		return false, fmt.Errorf("%s %w", dir, ErrOtherContent)
	}
	return true, nil
}
