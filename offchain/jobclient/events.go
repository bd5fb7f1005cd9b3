package jobclient

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// Event is something in the life of a job that the chain has recorded.
type Event struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Message string    `json:"message,omitempty"`
}

// Events are those of a job in order, as its record and those of its slices have them, and whether it is closed. Later calls return the same ones
// first, unless two that are new are older than one that was told.
func (c *Client) Events(ctx context.Context, id string) (all []Event, closed bool, err error) {
	job, err := c.Job(ctx, id)
	if err != nil {
		return nil, false, err
	}
	list, err := c.Slices(ctx, id)
	if err != nil {
		return nil, false, err
	}
	return eventsOf(job, list), job.Status == jobstypes.JOB_STATUS_CLOSED, nil
}

func eventsOf(job jobstypes.Job, list []jobstypes.Slice) (all []Event) {
	add := func(second int64, event, format string, args ...any) {
		if second != 0 {
			all = append(all, Event{time.Unix(second, 0).UTC(), event, fmt.Sprintf(format, args...)})
		}
	}
	add(job.SubmittedTime, "submitted", "%d tasks", job.Tasks)
	for _, s := range list {
		add(s.MatchedTime, "matched", "slice %d (tasks %d to %d) on %s, attempt %d", s.Number, s.FirstTask, s.FirstTask+max(s.TaskCount, 1)-1, s.NodeId, s.Attempt)
		if s.Serving != nil {
			add(s.Serving.StartedTime, "serving", "slice %d, revision %d", s.Number, s.Serving.Revision.Number)
		}
		if s.Outcome != nil {
			add(s.ReportedTime, "reported", "slice %d: %d succeeded, %d failed", s.Number, s.TaskCount-uint32(len(s.Outcome.Failures)), len(s.Outcome.Failures)) //nolint:gosec // at most 256 tasks
		}
	}
	add(job.CancelledTime, "ending", "no further work is paid")
	add(job.ClosedTime, "closed", "%s", strings.ToLower(strings.TrimPrefix(job.CloseReason.String(), "CLOSE_REASON_")))
	slices.SortStableFunc(all, func(a, b Event) int { return cmp.Compare(a.Time.Unix(), b.Time.Unix()) })
	return all
}
