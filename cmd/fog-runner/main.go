// Command fog-runner runs one task inside a container that Nomad started; it is all that the runner image holds (ADR 0013). With "prepare" before
// its other arguments it makes an allocation ready for a container of another image, in which it then is the first process (ADR 0020). With "lend" it brings
// the secrets of a job to the task beside it (ADR 0027).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	_ "golang.org/x/crypto/x509roots/fallback" // the image holds no authorities

	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code, err := run(ctx, os.Args[1:])
	stopped := ctx.Err() != nil && errors.Is(err, ctx.Err())
	stop()
	switch {
	case stopped:
		code = runner.ExitFailed
	case err != nil:
		fmt.Fprintln(os.Stderr, "fog-runner:", err)
		code = runner.ExitFailed
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string) (int, error) {
	if len(args) > 0 && args[0] == runner.PrepareCommand {
		return 0, runner.Prepare(ctx, args[1:], os.Getenv)
	}
	if len(args) > 0 && args[0] == runner.LendCommand {
		return 0, runner.Lend(ctx, args[1:], os.Getenv)
	}
	return runner.Run(ctx, args, os.Getenv)
}
