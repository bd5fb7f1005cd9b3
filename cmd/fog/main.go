// Command fog is everything off chain in one tool: the developer's jobs, the provider's node and agent, the oracle's worker, the registry
// and a development network.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/foggrid/fogd/cmd/fog/cmd"
	_ "github.com/foggrid/fogd/cmd/fog/pages" // works by being here
)

func main() { os.Exit(run()) }

// run is main without the exit. The first interrupt ends the command in order, the second one at once.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return cmd.Report(ctx, os.Stderr, cmd.Run(ctx, os.Args[1:]))
}
