package jobclient

import (
	"context"
	"fmt"
	"io"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// TaskOutput is what one task left, compared with the chain, and where it lies.
type TaskOutput struct {
	Task    uint32 `json:"task"`
	Slice   uint32 `json:"slice"`
	Attempt uint32 `json:"attempt"`
	// Digest and Size of the archive of the output.
	Digest    artifact.Digest `json:"digest"`
	Size      int64           `json:"size"`
	Succeeded bool            `json:"succeeded"`
	ExitCode  uint32          `json:"exit_code"`
	Failure   string          `json:"failure,omitempty"`

	repo  string
	layer client.Descriptor
}

// emptyArchive is what EmptyDigest names; nobody has to have pushed it.
var emptyArchive = make([]byte, 1024)

// Outputs finds the outputs of the tasks that have one, or of one task (not nil), each compared with the chain.
func (c *Client) Outputs(ctx context.Context, id string, task *uint32) ([]TaskOutput, error) {
	job, err := c.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	if task != nil && *task >= job.Tasks {
		return nil, fmt.Errorf("task %d of %s, which has %d, from 0: %w", *task, id, job.Tasks, ErrNoSuchTask)
	}
	runs, err := c.Slices(ctx, id)
	if err != nil {
		return nil, err
	}
	places := placeTasks(runs, job.Tasks)
	if task != nil {
		only := places[*task]
		places = make([]*place, job.Tasks)
		places[*task] = only
	}
	layers, err := c.verified(ctx, runs, places)
	if err != nil {
		return nil, err
	}
	out := []TaskOutput{}
	for number, p := range places {
		if p == nil {
			continue
		}
		s := runs[p.slice]
		layer := layers[p.slice][uint32(number)-s.FirstTask].Result
		o := TaskOutput{
			Task: uint32(number), Slice: s.Number, Attempt: s.Attempt, Digest: layer.Digest, Size: layer.Size, Succeeded: p.failure == nil,
			repo: c.Registry.SliceRepo(id, s.Number, s.Attempt), layer: layer,
		}
		if layer.Digest == artifact.EmptyDigest {
			o.Size = int64(len(emptyArchive))
		}
		if p.failure != nil {
			o.ExitCode, o.Failure = p.failure.ExitCode, p.failure.Reason.String()
		}
		out = append(out, o)
	}
	if task != nil && len(out) == 0 {
		return nil, fmt.Errorf("task %d of %s: %w", *task, id, ErrNotFinished)
	}
	return out, nil
}

// WriteOutput writes the archive of an output. If it fails, what w got must not be used.
func (c *Client) WriteOutput(ctx context.Context, o TaskOutput, w io.Writer) error {
	if o.Digest == artifact.EmptyDigest {
		_, err := w.Write(emptyArchive)
		return err
	}
	return c.Registry.PullBlob(ctx, o.repo, o.layer, w)
}
