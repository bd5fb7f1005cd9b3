// Command fog-runner runs one task inside a container that Nomad started; it is all that the runner image holds (ADR 0013).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code, err := runner.Run(ctx, os.Args[1:], os.Getenv)
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
