package nomad

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
)

const (
	// keptEvents are those of a task that are kept here; Nomad itself keeps ten of each task of an allocation.
	keptEvents = 256
	// lostEvent is an allocation's, of whose client nobody knows any more; it has no event in Nomad.
	lostEvent = "Client Lost"
)

// chronicle is what is known of a task's events, in the order in which they became known. The zero value is empty.
type chronicle struct {
	told []dispatch.Event
	// first is how many were dropped before told.
	first int
	// newest is the time up to which the events of each source are known: Nomad lists them again with each change.
	newest map[source]int64
}

// source is a task of an allocation, or with no task the allocation itself.
type source struct{ alloc, task string }

// take adds what an allocation tells that was not known, oldest first.
func (c *chronicle) take(number uint32, a *api.AllocationListStub) {
	if c.newest == nil {
		c.newest = map[source]int64{}
	}
	var fresh []dispatch.Event
	add := func(kind string, at int64, e dispatch.Event) {
		e.Event, e.Time, e.Task = kind, time.Unix(0, at).UTC(), &number
		fresh = append(fresh, e)
	}
	for name, state := range a.TaskStates {
		if state == nil {
			continue
		}
		from := source{a.ID, name}
		known := c.newest[from]
		for _, e := range state.Events {
			if e == nil || streamed(e.Time) <= known {
				continue
			}
			add(e.Type, streamed(e.Time), eventOf(name, e))
			c.newest[from] = max(c.newest[from], streamed(e.Time))
		}
	}
	if from := (source{alloc: a.ID}); a.ClientStatus == api.AllocClientStatusLost && c.newest[from] == 0 {
		c.newest[from] = a.ModifyTime
		add(lostEvent, streamed(a.ModifyTime), dispatch.Event{Reason: string(dispatch.ReasonNode), Message: oneLine(describe(a))})
	}
	slices.SortStableFunc(fresh, func(a, b dispatch.Event) int { return a.Time.Compare(b.Time) })
	c.told = append(c.told, fresh...)
	if over := len(c.told) - keptEvents; over > 0 {
		c.first, c.told = c.first+over, slices.Clone(c.told[over:])
	}
}

// streamed is a time as the event stream has it, which Nomad's client reads through a float: a list has it to the nanosecond.
func streamed(nanos int64) int64 { return int64(float64(nanos)) }

// eventOf is an event of Nomad's without its time and kind.
func eventOf(task string, n *api.TaskEvent) (e dispatch.Event) {
	e.Message = n.DisplayMessage
	if e.Message == "" {
		e.Message = n.Message
	}
	if task == prepareName || task == LendTask { // of a container before it, or beside it
		e.Message = task + ": " + e.Message
	}
	e.Message = strings.TrimSuffix(oneLine(e.Message), ":")
	if n.Type == api.TaskTerminated {
		if code, err := strconv.ParseUint(n.Details["exit_code"], 10, 32); err == nil {
			e.ExitCode = uint32(code)
		}
		if n.Details["oom_killed"] == "true" {
			e.Reason = string(dispatch.ReasonMemory)
		}
	}
	return e
}

// chronicle notes what an allocation tells. The caller holds mu.
func (t *attempt) chronicle(a *api.AllocationListStub) {
	index, ok := allocIndex(a.Name)
	if !ok || a.CreateIndex < t.since || index >= t.assignment.Tasks {
		return
	}
	task := t.assignment.FirstTask + index
	if t.chronicles[task] == nil {
		t.chronicles[task] = &chronicle{}
	}
	t.chronicles[task].take(task, a)
}

// eventsAfter returns the events of a task after the first n.
func (t *attempt) eventsAfter(task uint32, n int) (events []dispatch.Event, next int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.chronicles[task]
	if c == nil {
		return nil, n
	}
	return slices.Clone(c.told[min(max(n-c.first, 0), len(c.told)):]), c.first + len(c.told)
}

// Events implements dispatch.Chronicler. An offset is the time of an event, in nanoseconds: it means the same to every oracle, each of which learns
// of events in its own order.
func (d *Dispatcher) Events(
	ctx context.Context, id dispatch.AttemptID, task uint32, from uint64, once bool, emit func(offset uint64, piece []byte) error,
) error {
	t, err := d.task(ctx, id, task)
	if err != nil {
		return err
	}
	for told := 0; ; {
		ended := once || t.over(task) // before reading, so that nothing is missed
		events, next := t.eventsAfter(task, told)
		for _, e := range events {
			at := uint64(max(e.Time.UnixNano(), 0))
			if at <= from {
				continue
			}
			line, err := json.Marshal(e)
			if err != nil {
				return fmt.Errorf("events of task %d of attempt %s: %w", task, id, err)
			}
			line = append(line, '\n')
			if err := emit(at-min(at, uint64(len(line))), line); err != nil {
				return err
			}
		}
		if told = next; ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(t.opts.LookEvery / 5):
		}
	}
}
