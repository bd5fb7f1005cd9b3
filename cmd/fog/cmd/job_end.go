package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/seal"
)

// resultFlags of `fog job result`.
type resultFlags struct {
	dir                  string
	accept, partial, raw bool
}

func newJobResultCmd(a *app) *cobra.Command {
	var f resultFlags
	cmd := &cobra.Command{
		Use: "result ID -o DIR", Short: "Download a job's results, checked against the chain", Args: cobra.ExactArgs(1),
		Long: `Download a job's results into a folder for each task, DIR/0, DIR/1 and so on. The Merkle root of each slice's results is compared
with the one on chain first; a result that is not the one the oracles attested is refused. Running the command again fetches what is missing.

Results of a job with "encrypt: true" are decrypted on the way with the keys of this home (fog keys encryption); altered ones are refused. With --raw
archives stay as they are in the registry, a file for each task: DIR/0.tar.age, or DIR/0.tar of a job that is not encrypted.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			if f.dir == "" {
				return usagef("where to? give a folder with -o DIR")
			}
			return a.jobResult(cmd.Context(), id, f)
		},
	}
	cmd.Flags().StringVarP(&f.dir, "dir", "o", "", "folder for the results")
	cmd.Flags().BoolVar(&f.accept, "accept", false, "accept the results once they are here, which pays the providers at once")
	cmd.Flags().BoolVar(&f.partial, "partial", false, "take what is there of a job that is not finished")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "keep the archives, encrypted if they are, in a file for each task")
	return cmd
}

func (a *app) jobResult(ctx context.Context, id string, f resultFlags) error {
	c, err := a.resultClient(ctx, f.accept)
	if err != nil {
		return err
	}
	screen := a.bars()
	results, err := c.Fetch(ctx, id, jobclient.FetchOptions{
		Dir: f.dir, Partial: f.partial, Raw: f.raw, Progress: client.Progress(screen.bytes("results")),
		Keys: func() (seal.Keys, error) { return a.encryptionKeys(ctx) },
	})
	screen.end()
	switch {
	case errors.Is(err, jobclient.ErrNotFinished):
		return hint(err, "wait with `fog job watch %s --results`, or take what is there with --partial", id)
	case errors.Is(err, seal.ErrKey):
		return hint(err, "bring the key that the job was submitted with: `fog keys encryption --import`, or keep the encrypted archives with --raw")
	case err != nil:
		return err
	}
	v := struct {
		jobclient.Results
		Accepted int `json:"slices_accepted"`
	}{Results: results}
	if f.accept {
		if v.Accepted, err = c.Accept(ctx, id); err != nil {
			return fmt.Errorf("the results are in %s, but accepting them failed: %w", f.dir, err)
		}
	}
	return a.print(v, func(w io.Writer) error {
		failed := 0
		for _, t := range results.Tasks {
			if !t.Succeeded {
				failed++
			}
		}
		_, err := fmt.Fprintf(w, "%d results in %s (%d of failed tasks), %d missing; %d slices have the digests that are on chain; %s downloaded; %d slices accepted\n",
			len(results.Tasks), f.dir, failed, len(results.Missing), results.Slices, size(results.Bytes), v.Accepted)
		return err
	})
}

// resultClient connects to chain and registry; the key is needed only to sign.
func (a *app) resultClient(ctx context.Context, sign bool) (*jobclient.Client, error) {
	var c *jobclient.Client
	if sign {
		var err error
		if c, err = a.jobClient(ctx); err != nil {
			return nil, err
		}
	} else {
		ch, err := a.chain(ctx)
		if err != nil {
			return nil, err
		}
		c = &jobclient.Client{Chain: ch}
	}
	var err error
	c.Registry, err = a.registry(ctx)
	return c, err
}

func newJobLogsCmd(a *app) *cobra.Command {
	var task uint32
	var follow bool
	cmd := &cobra.Command{
		Use: "logs ID", Short: "Print what tasks wrote to standard output and error", Args: cobra.ExactArgs(1),
		Long: `Print what tasks wrote to standard output and error. Logs come from the provider's result; unlike the results they are not attested.
With --follow the log of one task comes from its node as it is written, through an oracle, to the job's owner only, who signs with --key.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			if follow {
				if a.json() {
					return usagef("--follow prints the log as it is; leave --output json out")
				}
				return a.followLog(cmd.Context(), id, task)
			}
			var only *uint32
			if cmd.Flags().Changed("task") {
				only = &task
			}
			return a.jobLogs(cmd.Context(), id, only)
		},
	}
	cmd.Flags().Uint32Var(&task, "task", 0, "number of one task (default: all, or with --follow the first)")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "print the log of a task that runs, until it has ended")
	return cmd
}

func (a *app) jobLogs(ctx context.Context, id string, task *uint32) error {
	c, err := a.resultClient(ctx, false)
	if err != nil {
		return err
	}
	logs, err := c.Logs(ctx, id, task)
	if err != nil {
		return err
	}
	if a.json() {
		return a.jsonLogs(ctx, c, id, logs)
	}
	for _, l := range logs {
		if task == nil {
			if _, err := fmt.Fprintf(a.stdout, "==> task %d (slice %d, attempt %d) <==\n", l.Task, l.Slice, l.Attempt); err != nil {
				return err
			}
		}
		if !l.Present {
			a.say("task %d left no log", l.Task)
		}
		if err := c.WriteLog(ctx, l, a.stdout); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) jsonLogs(ctx context.Context, c *jobclient.Client, id string, logs []jobclient.TaskLog) error {
	type entry struct {
		Task    uint32 `json:"task"`
		Slice   uint32 `json:"slice"`
		Attempt uint32 `json:"attempt"`
		Present bool   `json:"present"`
		Text    string `json:"text"`
	}
	all := make([]entry, 0, len(logs))
	for _, l := range logs {
		var text bytes.Buffer
		if err := c.WriteLog(ctx, l, &text); err != nil {
			return err
		}
		all = append(all, entry{l.Task, l.Slice, l.Attempt, l.Present, text.String()})
	}
	return a.print(map[string]any{"job_id": id, "logs": all}, nil)
}

func newJobAcceptCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "accept ID", Short: "Accept the reported results, which pays the providers at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			c, err := a.jobClient(cmd.Context())
			if err != nil {
				return err
			}
			settled, err := c.Accept(cmd.Context(), id)
			if err != nil {
				return err
			}
			return a.print(map[string]any{"job_id": id, "slices_accepted": settled}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s: %d slices accepted\n", id, settled)
				return err
			})
		},
	}
}

func newJobCancelCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "cancel ID", Short: "Cancel a job: what waits is given back, what runs is paid for its time", Args: cobra.ExactArgs(1),
		Long: "Cancel a job: what waits is given back, what runs is paid for its time. A periodic job starts no more runs; one that is under way goes on, and can be cancelled by its own id.",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			c, err := a.jobClient(cmd.Context())
			if err != nil {
				return err
			}
			res, err := c.Cancel(cmd.Context(), id)
			if err != nil {
				return err
			}
			return a.print(sent{JobID: id, Height: res.Height, TxHash: res.Hash}, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is cancelled; take what is free with `fog job withdraw %s`\n", id, id)
				return err
			})
		},
	}
}

func newJobWithdrawCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "withdraw ID", Short: "Send what is free in the job's escrow account to the wallet", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := jobID(args)
			if err != nil {
				return err
			}
			c, err := a.jobClient(cmd.Context())
			if err != nil {
				return err
			}
			account, err := c.AccountOf(cmd.Context(), id)
			if err != nil {
				return err
			}
			withdrawn, err := jobclient.WithdrawFree(cmd.Context(), c.Chain, c.Sender, account.Id)
			if err != nil {
				return err
			}
			return a.printWithdrawn(account.Id, withdrawn)
		},
	}
}
