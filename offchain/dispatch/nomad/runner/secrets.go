package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/inside"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/lend"
)

// LendCommand comes before the other arguments of a runner that is to Lend.
const LendCommand = "lend"

// IdentityFile is where Nomad puts the workload identity of the task that lends, below EnvSecretsDir.
const IdentityFile = "nomad_" + IdentityName + ".jwt"

// IdentityName is that of the identity in the Nomad job.
const IdentityName = "fog"

// borrowTime is how long a batch task waits for its secrets at least; one that may run longer waits as long as it may run, and a service for as long as it is wanted.
const borrowTime = 2 * time.Minute

// Lend brings secrets to the task beside this one, each time that it asks, until ctx ends.
func Lend(ctx context.Context, args []string, getenv func(string) string) error {
	o, err := parse(args, getenv)
	if err != nil {
		return err
	}
	shared, private := getenv(EnvAllocDir), getenv(EnvSecretsDir)
	if o.Lend == nil || shared == "" || private == "" {
		return fmt.Errorf("there are no secrets to lend, or %s and %s are not set; this program runs inside a Nomad task only", EnvAllocDir, EnvSecretsDir)
	}
	h := lend.Helper{
		Shared: shared, Identity: filepath.Join(private, IdentityFile), Attempt: o.ID.String(), Terms: *o.Lend, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if err := h.Run(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

// borrow fills in what the secrets of an order hold. The outcome, if there is one, is that of a task that cannot have them.
func borrow(ctx context.Context, o *Order, shared string) (*dispatch.TaskOutcome, error) {
	if len(o.Secrets) == 0 {
		return nil, nil
	}
	if o.Lend == nil || len(o.Lend.Paths) != len(o.Secrets) || shared == "" {
		return nil, errors.New("the order does not say where the task's secrets are lent")
	}
	waiting, stop := ctx, func() {}
	if o.Service == nil {
		waiting, stop = context.WithTimeout(ctx, max(borrowTime, o.MaxDuration))
	}
	defer stop()
	values, err := lend.Ask(waiting, shared, o.ID.String(), *o.Lend)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	out := &dispatch.TaskOutcome{Task: o.FirstTask, Reason: dispatch.ReasonNode, Result: artifact.EmptyDigest}
	switch {
	case errors.Is(err, lend.ErrRefused):
		out.Reason = dispatch.ReasonBadImage
		fallthrough
	case err != nil:
		out.Message = fmt.Sprintf("the job's secrets: %.300v", err)
		return out, nil
	}
	for i, value := range values {
		o.Secrets[i].Value = value
	}
	if err := o.validSecrets(); err != nil {
		out.Reason, out.Message = dispatch.ReasonBadImage, fmt.Sprintf("the job's secrets: %.300v", err)
		return out, nil
	}
	if o.Image != nil && os.Geteuid() == 0 {
		return nil, inside.PutSecrets(o.Secrets)
	}
	return nil, nil
}

// validSecrets tells values that a task cannot be given.
func (o *Order) validSecrets() error {
	a := o.Assignment
	a.ModulePath = os.DevNull
	if !a.Inputs.IsZero() {
		a.InputsDir = os.DevNull
	}
	return a.Validate()
}
