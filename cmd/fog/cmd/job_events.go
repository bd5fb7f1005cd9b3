package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/link"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// eventsLook is the pause between two looks at the chain for a job's next event.
const eventsLook = 3 * time.Second

func newJobEventsCmd(a *app) *cobra.Command {
	var task uint32
	var follow bool
	cmd := &cobra.Command{
		Use: "events ID", Short: "Show what happened to a job, on the chain and on the node of a task", Args: cobra.ExactArgs(1),
		Long: `Show the life of a job as the chain has it, and what its node tells of an attempt at a task that runs: content fetched, started, ended, started again, health, out of
memory; on Nomad the events of the task's allocation. What the node tells comes through an oracle to the job's owner only, who signs with --key, and is not attested; it is gone when the attempt is over.
With --follow it goes on until the job is closed. With --output json there is one object a line.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			return a.jobEvents(cmd.Context(), id, task, follow)
		},
	}
	cmd.Flags().Uint32Var(&task, "task", 0, "number of the task, or of a service's replica, whose node is asked")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job is closed")
	return cmd
}

// eventPrinter writes events of the chain and of nodes, which come at the same time.
type eventPrinter struct {
	mu   sync.Mutex
	w    io.Writer
	json bool
	rest []byte // of a line that is not complete
}

// eventLine is an event as JSON.
type eventLine struct {
	From string `json:"from"`
	dispatch.Event
}

func (p *eventPrinter) print(from string, e dispatch.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		return json.NewEncoder(p.w).Encode(eventLine{from, e})
	}
	text := e.Event
	if e.Task != nil {
		text += fmt.Sprintf(" task %d", *e.Task)
	}
	for _, part := range []string{e.Reason, e.Message} {
		if part != "" {
			text += ": " + part
		}
	}
	if e.ExitCode != 0 {
		text += fmt.Sprintf(" (exit code %d)", e.ExitCode)
	}
	_, err := fmt.Fprintf(p.w, "%s  %-5s  %s\n", e.Time.UTC().Format(time.DateTime), from, text)
	return err
}

// piece takes lines of a node.
func (p *eventPrinter) piece(piece link.Piece) error {
	p.rest = append(p.rest, piece.Log...)
	for {
		line, rest, complete := bytes.Cut(p.rest, []byte{'\n'})
		if !complete {
			return nil
		}
		p.rest = rest
		var e dispatch.Event
		if err := json.Unmarshal(line, &e); err != nil {
			continue // cut by what is no longer kept
		}
		if err := p.print("node", e); err != nil {
			return err
		}
	}
}

func (a *app) jobEvents(ctx context.Context, id string, task uint32, follow bool) error {
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	c := &jobclient.Client{Chain: ch}
	p := &eventPrinter{w: a.stdout, json: a.json()}
	told, closed, err := chainEvents(ctx, c, id, 0, p)
	if err != nil {
		return err
	}
	if closed || !follow && !runsNow(ctx, c, id, task) {
		return nil
	}
	watch := jobclient.Watch{
		JobID: id, Task: task, Kind: link.WatchEvents, Once: !follow, Piece: p.piece, Patience: 20 * time.Second,
		Source: func(link.Place) { p.rest = nil },
	}
	if !follow {
		return a.unlessNotShown(a.watchTask(ctx, watch))
	}
	g, ctx := errgroup.WithContext(ctx)
	watching, stop := context.WithCancel(ctx)
	g.Go(func() error {
		defer stop()
		for !closed {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(eventsLook):
			}
			if told, closed, err = chainEvents(ctx, c, id, told, p); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		err := a.watchTask(watching, watch)
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case errors.Is(err, jobclient.ErrNobodyShows):
			a.say("what the node tells cannot be followed, only the chain's events are: %v", err)
			return nil
		}
		return a.unlessNotShown(err)
	})
	return g.Wait()
}

// unlessNotShown says it, and is no error, if only the chain tells of a job.
func (a *app) unlessNotShown(err error) error {
	if errors.Is(err, link.ErrNotShown) {
		a.say("only the chain's events are shown: %v", err)
		return nil
	}
	return err
}

// runsNow reports whether a task is on a node; an error is for who asks that node next.
func runsNow(ctx context.Context, c *jobclient.Client, id string, task uint32) bool {
	slices, err := c.Slices(ctx, id)
	if err != nil {
		return true
	}
	for _, s := range slices {
		if s.Status == jobstypes.SLICE_STATUS_MATCHED && task >= s.FirstTask && task-s.FirstTask < s.TaskCount {
			return true
		}
	}
	return false
}

// chainEvents prints what the chain has of a job's life after the first told events, and tells how many there are now and whether the job is closed.
func chainEvents(ctx context.Context, c *jobclient.Client, id string, told int, p *eventPrinter) (all int, closed bool, err error) {
	events, closed, err := c.Events(ctx, id)
	if err != nil {
		return told, false, err
	}
	for _, e := range events[min(told, len(events)):] {
		if err := p.print("chain", dispatch.Event{Time: e.Time, Event: e.Event, Message: e.Message}); err != nil {
			return told, false, err
		}
	}
	return len(events), closed, nil
}
