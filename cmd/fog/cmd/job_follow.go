package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/secrets"
)

func newJobStatsCmd(a *app) *cobra.Command {
	var task uint32
	var follow bool
	cmd := &cobra.Command{
		Use: "stats ID", Short: "Show what a running task takes", Args: cobra.ExactArgs(1),
		Long: `Show the processor time, memory and network traffic of a running task, as its node measures them. An oracle passes them on to the job's owner
only, who signs with --key. Of WebAssembly tasks only the times are known. With --output json and --follow there is one object a line.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			return a.jobStats(cmd.Context(), id, task, follow)
		},
	}
	cmd.Flags().Uint32Var(&task, "task", 0, "number of the task, or of a service's replica")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the task has ended")
	return cmd
}

// watchTask watches a task with the owner's key.
func (a *app) watchTask(ctx context.Context, w jobclient.Watch) error {
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	s, err := a.store()
	if err != nil {
		return err
	}
	if w.Owner, err = secrets.AnyKey(ctx, s, a.profile.Key); err != nil {
		return a.keyError(a.profile.Key, err)
	}
	w.Note = func(text string) { a.say("%s", text) }
	err = (&jobclient.Client{Chain: ch}).Follow(ctx, w)
	if errors.Is(err, link.ErrMayNotWatch) {
		return hint(err, "give the key of the job's owner with --key")
	}
	return err
}

func (a *app) followLog(ctx context.Context, id string, task uint32) error {
	some := false
	err := a.watchTask(ctx, jobclient.Watch{
		JobID: id, Task: task, Kind: link.WatchLog,
		Source: func(p link.Place) { a.say("task %d on %s (slice %d, attempt %d)", task, p.NodeID, p.Slice, p.Attempt) },
		Piece: func(p link.Piece) error {
			some = true
			_, err := a.stdout.Write(p.Log)
			return err
		},
	})
	if err == nil && !some {
		a.say("the task has ended; `fog job logs %s --task %d` prints the log of its result", id, task)
	}
	return err
}

// errEnoughStats ends a watch that wanted one sample.
var errEnoughStats = errors.New("enough")

// statsView is a sample as JSON.
type statsView struct {
	Time        time.Time  `json:"time"`
	Started     *time.Time `json:"started,omitempty"`
	Running     bool       `json:"running"`
	Measured    bool       `json:"measured"`
	CPUSeconds  float64    `json:"cpu_seconds"`
	Memory      uint64     `json:"memory_bytes"`
	MemoryLimit uint64     `json:"memory_limit_bytes"`
	Processes   uint64     `json:"processes"`
	Received    uint64     `json:"received_bytes"`
	Sent        uint64     `json:"sent_bytes"`
}

func (a *app) jobStats(ctx context.Context, id string, task uint32, follow bool) error {
	var before *link.Stats
	err := a.watchTask(ctx, jobclient.Watch{
		JobID: id, Task: task, Kind: link.WatchStats,
		Piece: func(p link.Piece) error {
			if err := a.printStats(before, *p.Stats); err != nil {
				return err
			}
			if before = p.Stats; !follow {
				return errEnoughStats
			}
			return nil
		},
	})
	switch {
	case errors.Is(err, errEnoughStats):
		return nil
	case err == nil && before == nil:
		return fmt.Errorf("task %d of %s has ended; see `fog job status`", task, id)
	}
	return err
}

// printStats writes a sample; in text the share of a processor is that since the sample before, or since the start.
func (a *app) printStats(before *link.Stats, s link.Stats) error {
	if a.json() {
		v := statsView{
			Time: s.At, Running: s.Running, Measured: s.Measured, CPUSeconds: time.Duration(s.CPUNanos).Seconds(), Memory: s.Memory,
			MemoryLimit: s.MemoryLimit, Processes: s.Processes, Received: s.Received, Sent: s.Sent,
		}
		if !s.Started.IsZero() {
			v.Started = &s.Started
		}
		return json.NewEncoder(a.stdout).Encode(v)
	}
	return writeStats(a.stdout, before, s)
}

func writeStats(w io.Writer, before *link.Stats, s link.Stats) error {
	at := s.At.Format(time.TimeOnly)
	if !s.Running {
		_, err := fmt.Fprintf(w, "%s  not running\n", at)
		return err
	}
	up := s.At.Sub(s.Started).Round(time.Second)
	if !s.Measured {
		_, err := fmt.Fprintf(w, "%s  up %s\n", at, up)
		return err
	}
	spent, since := time.Duration(s.CPUNanos), s.At.Sub(s.Started)
	if before != nil && before.Running && before.Started.Equal(s.Started) && s.CPUNanos >= before.CPUNanos {
		spent, since = time.Duration(s.CPUNanos-before.CPUNanos), s.At.Sub(before.At)
	}
	share := 0.0
	if since > 0 {
		share = 100 * spent.Seconds() / since.Seconds()
	}
	_, err := fmt.Fprintf(w, "%s  up %s  cpu %.0f %% of one  memory %s of %s  processes %d  received %s  sent %s\n", at, up, share,
		size(int64(s.Memory)), size(int64(s.MemoryLimit)), s.Processes, size(int64(s.Received)), size(int64(s.Sent)))
	return err
}
