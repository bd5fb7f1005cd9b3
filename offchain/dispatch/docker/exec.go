package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Exec runs a command in the container of a task that runs, as the task's user and within the task's limits.
func (e *Engine) Exec(ctx context.Context, t Task, c dispatch.Command) (exitCode uint32, err error) {
	made, err := e.api.ExecCreate(ctx, e.name(t), client.ExecCreateOptions{
		User: user, Cmd: c.Args, AttachStdin: len(c.Stdin) > 0, AttachStdout: true, AttachStderr: true,
	})
	switch {
	case cerrdefs.IsNotFound(err), cerrdefs.IsConflict(err):
		return 0, errors.New("the task does not run at this moment")
	case err != nil:
		return 0, fmt.Errorf("make the command: %s", oneLine(err))
	}
	conn, err := e.api.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, fmt.Errorf("start the command: %s", oneLine(err))
	}
	stop := context.AfterFunc(ctx, conn.Close)
	defer func() {
		if stop() {
			conn.Close()
		}
	}()
	if len(c.Stdin) > 0 {
		if _, err = conn.Conn.Write(c.Stdin); err == nil {
			err = conn.CloseWrite()
		}
		if err != nil {
			return 0, fmt.Errorf("write what the command reads: %w", err)
		}
	}
	_, err = stdcopy.StdCopy(c.Out, c.Out, conn.Reader)
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err != nil:
		return 0, fmt.Errorf("read what the command writes: %w", err)
	}
	for {
		found, err := e.api.ExecInspect(ctx, made.ID, client.ExecInspectOptions{})
		if err != nil {
			return 0, fmt.Errorf("look at the command: %w", err)
		}
		if !found.Running {
			return uint32(found.ExitCode), nil
		}
		select { // its output was closed before it ended
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(waitPause):
		}
	}
}
