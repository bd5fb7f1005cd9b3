package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/link"
)

func newJobExecCmd(a *app) *cobra.Command {
	var task uint32
	var stdin bool
	cmd := &cobra.Command{
		Use: "exec ID [--task N] -- COMMAND [ARGUMENT]...", Short: "Run a command in the container of a running task", Args: cobra.MinimumNArgs(2),
		Long: `Run a command beside the program of a running task, in its container, as its user and within its limits, and fail unless it ends with exit code 0. The job file must
have exec: true, and the node's agent must run with --allow-exec, which neither has by default. The job's owner signs the command with --key; the agent checks the
signature, so that no oracle on the way can run or change one, and writes each use into its audit log. The command has no terminal.`,
		Example: "  fog job exec job1… -- /bin/ls -l /data\n  fog job exec job1… --task 2 --stdin -- /bin/sh < script.sh",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 1 {
				return usagef("write the command behind --, as in fog job exec ID -- COMMAND")
			}
			id, err := jobID(args[:1])
			if err != nil {
				return err
			}
			c := jobclient.Command{JobID: id, Task: task, Args: args[1:]}
			if stdin {
				if c.Stdin, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), link.MaxExecStdin+1)); err != nil {
					return err
				}
			}
			return a.jobExec(cmd.Context(), c)
		},
	}
	cmd.Flags().Uint32Var(&task, "task", 0, "number of the task, or of a service's replica")
	cmd.Flags().BoolVar(&stdin, "stdin", false, fmt.Sprintf("pass on standard input, at most %d KiB, which is read to its end first", link.MaxExecStdin>>10))
	return cmd
}

func (a *app) jobExec(ctx context.Context, c jobclient.Command) error {
	size := 0
	for _, arg := range c.Args {
		size += len(arg)
	}
	switch {
	case len(c.Args) > link.MaxExecArgs || size > link.MaxExecBytes:
		return usagef("the command has %d words with %d bytes; at most %d with %d", len(c.Args), size, link.MaxExecArgs, link.MaxExecBytes)
	case len(c.Stdin) > link.MaxExecStdin:
		return usagef("standard input has more than %d KiB", link.MaxExecStdin>>10)
	}
	ch, err := a.chain(ctx)
	if err != nil {
		return err
	}
	s, err := a.store()
	if err != nil {
		return err
	}
	if c.Owner, err = s.Key(ctx, a.profile.Key); err != nil {
		return a.keyError(a.profile.Key, err)
	}
	c.Output = func(p []byte) error {
		_, err := a.stdout.Write(p)
		return err
	}
	code, err := (&jobclient.Client{Chain: ch}).Exec(ctx, c)
	switch {
	case errors.Is(err, link.ErrMayNotWatch):
		return hint(err, "give the key of the job's owner with --key; the node's agent must allow it (--allow-exec)")
	case err != nil:
		return err
	case code != 0:
		return fmt.Errorf("the command ended with exit code %d", code)
	}
	return nil
}
