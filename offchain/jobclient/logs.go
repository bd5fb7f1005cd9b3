package jobclient

import (
	"context"
	"fmt"
	"io"

	"github.com/foggrid/fogd/offchain/registry/client"
)

// TaskLog is the log of one task, from the run whose result counts.
type TaskLog struct {
	Task    uint32
	Slice   uint32
	Attempt uint32
	// Size in bytes; no log was kept if Present is false.
	Size    int64
	Present bool

	layer client.Descriptor
	repo  string
}

// Logs finds the logs of the tasks that have a result; task narrows it to one. Logs are not attested: they are what the provider
// says, below a manifest that was checked.
func (c *Client) Logs(ctx context.Context, id string, task *uint32) ([]TaskLog, error) {
	job, err := c.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	if task != nil && *task >= job.Tasks {
		return nil, fmt.Errorf("task %d of %s, which has %d, from 0: %w", *task, id, job.Tasks, ErrNoSuchTask)
	}
	slices, err := c.Slices(ctx, id)
	if err != nil {
		return nil, err
	}
	places := placeTasks(slices, job.Tasks)
	if task != nil {
		only := places[*task]
		places = make([]*place, job.Tasks)
		places[*task] = only
	}
	layers, err := c.verified(ctx, slices, places)
	if err != nil {
		return nil, err
	}
	var out []TaskLog
	for number, p := range places {
		if p == nil {
			continue
		}
		s := slices[p.slice]
		log := TaskLog{Task: uint32(number), Slice: s.Number, Attempt: s.Attempt, repo: c.Registry.SliceRepo(id, s.Number, s.Attempt)}
		if l := layers[p.slice][uint32(number)-s.FirstTask].Log; l != nil {
			log.Present, log.Size, log.layer = true, l.Size, *l
		}
		out = append(out, log)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no logs: %w", id, ErrNotFinished)
	}
	return out, nil
}

// maxLog is the most that is read of one task's log.
const maxLog = 64 << 20

// WriteLog writes the text of a log.
func (c *Client) WriteLog(ctx context.Context, log TaskLog, w io.Writer) error {
	if !log.Present {
		return nil
	}
	if log.Size > maxLog {
		return fmt.Errorf("task %d: %w: its log has %d bytes", log.Task, client.ErrTooLarge, log.Size)
	}
	// A log is verified as a whole before any of it is shown.
	text, err := c.Registry.ReadBlob(ctx, log.repo, log.layer.Digest, maxLog)
	if err != nil {
		return fmt.Errorf("log of task %d: %w", log.Task, err)
	}
	_, err = w.Write(text)
	return err
}
