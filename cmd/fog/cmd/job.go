package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/registry/client"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func newJobCmd(a *app) *cobra.Command {
	return group("job", "Write, submit and follow jobs, and get their results",
		newJobInitCmd(a), newJobSchemaCmd(a), newJobPushCmd(a), newJobPlanCmd(a), newJobSubmitCmd(a),
		newJobStatusCmd(a), newJobWhyCmd(a), newJobWatchCmd(a), newJobListCmd(a), newJobLogsCmd(a), newJobStatsCmd(a), newJobEventsCmd(a), newJobExecCmd(a), newJobResultCmd(a),
		newJobAcceptCmd(a), newJobTopUpCmd(a), newJobUpdateCmd(a), newJobScaleCmd(a), newJobCancelCmd(a), newJobWithdrawCmd(a),
	)
}

func newJobInitCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "init [DIR]", Short: "Write a commented job file to start from", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			return a.initJob(filepath.Join(dir, jobfile.DefaultPath))
		},
	}
}

func (a *app) initJob(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists and is not overwritten; remove it, or choose another folder", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(jobfile.Template())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return a.print(map[string]string{"file": path}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "wrote %s; edit it, then: fog job submit %s\n", path, path)
		return err
	})
}

func newJobSchemaCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of job files", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(jobfile.Schema())
			return err
		},
	}
}

func newJobPushCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "push [FILE]", Short: "Pack a job and push it to the registry", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := jobfile.Load(jobPath(args))
			if err != nil {
				return err
			}
			return a.withPacked(cmd.Context(), f, func(p jobclient.Packed) error {
				if err := a.push(cmd.Context(), p); err != nil {
					return err
				}
				return a.print(p, func(w io.Writer) error { return printPacked(w, p) })
			})
		},
	}
}

func jobPath(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return jobfile.DefaultPath
}

// withPacked packs a job into a temporary folder for as long as do takes.
func (a *app) withPacked(ctx context.Context, f *jobfile.File, do func(jobclient.Packed) error) (err error) {
	temp, err := os.MkdirTemp("", "fog-job-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if f.Build != "" {
		a.say("building %s …", f.Build)
	}
	sealing, err := a.sealing(ctx, f)
	if err != nil {
		return err
	}
	packed, err := jobclient.PackSealed(ctx, f, temp, nil, sealing)
	if err != nil {
		return err
	}
	if packed.Reused() {
		there, err := a.pushedBefore(ctx, packed)
		if err != nil {
			return err
		}
		if !there { // gone meanwhile, so they are encrypted anew
			if err := sealing.Pushes.Forget(packed); err != nil {
				return err
			}
			return a.withPacked(ctx, f, do)
		}
	}
	return do(packed)
}

// push brings a packed job to the registry, with a bar for each part.
func (a *app) push(ctx context.Context, p jobclient.Packed) error {
	if err := a.checkSecrets(ctx, p); err != nil {
		return err
	}
	if err := a.putInputsKey(ctx, p); err != nil {
		return err
	}
	if err := a.pushes().Note(p); err != nil { // before the push, so that nobody forgets the key meanwhile
		return err
	}
	registry, err := a.registry(ctx)
	if err != nil {
		return err
	}
	if p.Owner, err = a.contentOwner(ctx); err != nil {
		return err
	}
	screen := a.bars()
	defer screen.end()
	if screen.screen == nil {
		a.say("pushing to %s: %s %s, inputs %s …", a.profile.Registry, p.Program(), size(p.ModuleBytes), size(p.InputsBytes))
	}
	return jobclient.Push(ctx, registry, p, func(s jobclient.Stage) client.Progress { return screen.bytes("push " + string(s)) })
}

func printPacked(w io.Writer, p jobclient.Packed) error {
	inputs := "none"
	if !p.Inputs.IsZero() {
		inputs = fmt.Sprintf("%s (%s)", p.Inputs, size(p.InputsBytes))
		if p.Encrypted {
			inputs += ", encrypted"
		}
	}
	return fields(w, "spec", p.SpecDigest.String(), string(p.Program()), fmt.Sprintf("%s (%s)", p.Module, size(p.ModuleBytes)),
		"architecture", p.Arch, "inputs", inputs)
}

// programWord says what an engine runs.
func programWord(e nodestypes.Engine) string {
	if e == nodestypes.ENGINE_DOCKER {
		return string(jobclient.StageImage)
	}
	return string(jobclient.StageModule)
}

// submitFlags of `fog job submit`.
type submitFlags struct {
	salt         string
	wait, noPush bool
}

func newJobSubmitCmd(a *app) *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use: "submit [FILE]", Short: "Push a job and submit it with its budget", Args: cobra.MaximumNArgs(1),
		Long: `Push a job and submit it with its budget, cap × max_duration × tasks and the fee, which is taken from the wallet; what is not used
comes back. A periodic job gets the budget of its first runs (schedule.runs) into its account. With --salt the command can be repeated safely: the same job with the same salt is submitted once.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.submitJob(cmd.Context(), jobPath(args), f) },
	}
	cmd.Flags().StringVar(&f.salt, "salt", "", "name that makes the job's id, unique for its owner (default: random)")
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until the job is closed, and fail unless it is COMPLETED")
	cmd.Flags().BoolVar(&f.noPush, "no-push", false, "send nothing to the registry, which must hold the job already")
	return cmd
}

func (a *app) submitJob(ctx context.Context, path string, f submitFlags) error {
	if len(f.salt) > jobstypes.MaxSaltLength {
		return usagef("--salt has %d bytes; it must have at most %d", len(f.salt), jobstypes.MaxSaltLength)
	}
	if f.salt == "" {
		f.salt = jobclient.NewSalt()
	}
	file, err := jobfile.Load(path)
	if err != nil {
		return err
	}
	if f.wait && file.Type == jobfile.TypePeriodic {
		return usagef("--wait is for jobs that end; a periodic job goes on until it is cancelled")
	}
	return a.withPacked(ctx, file, func(p jobclient.Packed) error {
		if f.noPush {
			registry, err := a.registry(ctx)
			if err != nil {
				return err
			}
			if p.Owner, err = a.contentOwner(ctx); err != nil {
				return err
			}
			if err := jobclient.CheckPushed(ctx, registry, p); err != nil {
				return err
			}
			if err := a.checkSecrets(ctx, p); err != nil {
				return err
			}
		}
		c, err := a.jobClient(ctx)
		if err != nil {
			return err
		}
		if err := a.checkOwner(ctx, c.Sender.Address()); err != nil {
			return err
		}
		if !f.noPush {
			if err := a.push(ctx, p); err != nil {
				return err
			}
		}
		out, err := c.Submit(ctx, file, p, f.salt)
		if err != nil {
			return a.explainBudget(ctx, c, file, err)
		}
		return a.submitted(ctx, c, out, f.wait)
	})
}

// explainBudget tells how much was needed when the wallet had too little.
func (a *app) explainBudget(ctx context.Context, c *jobclient.Client, file *jobfile.File, err error) error {
	if !isInsufficient(err) {
		return err
	}
	budget, budgetErr := c.Budget(ctx, file)
	if budgetErr != nil {
		return err
	}
	return hint(err, "the job needs %s and the transaction's fee; send %s more FOG, or lower price.cap_per_task_hour, max_duration or tasks",
		fog(budget), c.Sender.Address())
}

func (a *app) submitted(ctx context.Context, c *jobclient.Client, out jobclient.Submitted, wait bool) error {
	if out.Existed {
		a.say("%s was submitted before; nothing was sent", out.JobID)
	}
	if !wait {
		return a.print(out, func(w io.Writer) error {
			if err := fields(w, "job", out.JobID, "funded", fog(out.Funded), "account", out.Account, "first run", when(out.NextTime)); err != nil {
				return err
			}
			next := "watch"
			if out.NextTime != 0 {
				next = "status"
			}
			a.say("next: fog job %s %s", next, out.JobID)
			return nil
		})
	}
	if !a.json() {
		if err := fields(a.stdout, "job", out.JobID, "funded", fog(out.Funded), "account", out.Account); err != nil {
			return err
		}
	}
	job, err := a.follow(ctx, c, out.JobID, false)
	if err != nil {
		return err
	}
	v := struct {
		jobclient.Submitted
		Job json.RawMessage `json:"job"`
	}{Submitted: out}
	if v.Job, err = protoJSON(c.Chain.Codec(), &job); err != nil {
		return err
	}
	if err := a.print(v, func(w io.Writer) error { return printEnd(w, job) }); err != nil {
		return err
	}
	return endOf(job)
}

// jobClient connects to the chain with the developer's key.
func (a *app) jobClient(ctx context.Context) (*jobclient.Client, error) {
	c, err := a.chain(ctx)
	if err != nil {
		return nil, err
	}
	sender, err := a.sender(ctx, c, "")
	if err != nil {
		return nil, err
	}
	return &jobclient.Client{Chain: c, Sender: sender}, nil
}

// jobID checks the form of an id before anything is connected to.
func jobID(args []string) (string, error) {
	if _, err := escrowtypes.ParseID(jobstypes.JobHRP, args[0]); err != nil {
		return "", usagef("%q is not the id of a job (job1…): %w", args[0], err)
	}
	return args[0], nil
}
