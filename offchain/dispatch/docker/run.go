package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Exit is how a container ended by itself.
type Exit struct {
	Code              uint32
	Started, Finished time.Time
}

// waitPause is that before a wait that broke off is tried again.
const waitPause = 200 * time.Millisecond

const (
	codeNotExecutable = 126
	codeNotFound      = 127
)

// Run executes a task to its end and leaves nothing of it in the daemon. A container that an earlier process left running is joined. The
// error is a *dispatch.Failure, or the cause of the context's end; times are set if the task ran.
func (e *Engine) Run(ctx context.Context, t Task) (exit Exit, err error) {
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
		defer cancel()
		if cleanErr := e.remove(clean, e.name(t)); cleanErr != nil && err == nil {
			err = dispatch.NodeFailure("clear the container away", cleanErr)
		}
	}()
	joined, err := e.join(ctx, t)
	if err == nil && !joined {
		err = e.begin(ctx, t)
	}
	if err != nil {
		return exit, e.blame(ctx, "start the container", err)
	}
	state, err := e.watch(ctx, t)
	if state != nil {
		exit = Exit{Code: uint32(state.ExitCode), Started: parseTime(state.StartedAt), Finished: parseTime(state.FinishedAt)}
	}
	if err != nil {
		return exit, e.blame(ctx, "watch the container", err)
	}
	if state.OOMKilled && state.ExitCode != 0 {
		return exit, dispatch.Failf(dispatch.ReasonMemory, "more than %d MiB of memory, what is in /out and /tmp included", t.Assignment.MemoryMiB)
	}
	full, err := e.collect(ctx, t)
	if err != nil {
		return exit, e.blame(ctx, "collect the output", err)
	}
	if full && state.ExitCode != 0 {
		return exit, dispatch.Failf(dispatch.ReasonOutput, "it failed with exit code %d when /out was full (%d MiB)", state.ExitCode, t.Assignment.StorageMiB)
	}
	return exit, nil
}

// join reports whether the container of an earlier process can be gone on with. One whose /out is lost is of no use.
func (e *Engine) join(ctx context.Context, t Task) (bool, error) {
	task, err := e.api.ContainerInspect(ctx, e.name(t), client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return false, e.remove(ctx, e.name(t))
	}
	if err != nil {
		return false, err
	}
	c := task.Container
	same := c.Config != nil && c.Config.Labels[labelFingerprint] == t.Fingerprint.String() && c.Config.Labels[labelScope] == e.scope
	begun := c.State != nil && (c.State.Status == container.StateRunning || c.State.Status == container.StateExited)
	held, err := e.held(ctx, t)
	if err != nil || same && begun && held {
		return err == nil, err
	}
	return false, e.remove(ctx, e.name(t))
}

// held reports whether the holder runs, which it does not any more after the daemon was stopped.
func (e *Engine) held(ctx context.Context, t Task) (bool, error) {
	holder, err := e.api.ContainerInspect(ctx, e.name(t)+"-hold", client.ContainerInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil && holder.Container.State != nil && holder.Container.State.Running, err
}

// begin makes and starts volume, holder and container.
func (e *Engine) begin(ctx context.Context, t Task) error {
	ctx, cancel := context.WithTimeoutCause(ctx, setupLimit, dispatch.Failf(dispatch.ReasonNode, "the Docker Engine did not start the container within %s", setupLimit))
	defer cancel()
	if _, err := e.api.VolumeCreate(ctx, e.outVolume(t)); err != nil {
		return e.blame(ctx, "make the output folder", err)
	}
	if err := e.makeSecrets(ctx, t); err != nil {
		return e.blame(ctx, "make the folder of secrets", err)
	}
	for _, c := range []client.ContainerCreateOptions{e.holder(t), e.container(t)} {
		if _, err := e.api.ContainerCreate(ctx, c); err != nil {
			return e.blame(ctx, "make the container", err)
		}
		if _, err := e.api.ContainerStart(ctx, c.Name, client.ContainerStartOptions{}); err != nil {
			return e.startFailure(ctx, c.Name, err)
		}
		if c.Name == e.name(t) {
			continue
		}
		if err := e.fillSecrets(ctx, t); err != nil { // through the holder
			return e.blame(ctx, "hand over the secrets", err)
		}
	}
	return nil
}

// startFailure tells an image whose program cannot be run from a daemon that cannot run it.
func (e *Engine) startFailure(ctx context.Context, name string, failed error) error {
	found, err := e.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err == nil && found.Container.State != nil && !strings.HasSuffix(name, "-hold") {
		if code := found.Container.State.ExitCode; code == codeNotExecutable || code == codeNotFound {
			return dispatch.Failf(dispatch.ReasonBadImage, "the image's program cannot be run: %s", oneLine(failed))
		}
	}
	return e.blame(ctx, "start the container", failed)
}

// watch follows the log and waits until the container has ended, or ends it.
func (e *Engine) watch(ctx context.Context, t Task) (*container.State, error) {
	state, err := e.state(ctx, t)
	if err != nil {
		return nil, err
	}
	limit := t.Assignment.MaxDuration
	tooLong := dispatch.Failf(dispatch.ReasonTimeout, "it ran longer than %s", limit)
	left := limit
	if state.Running {
		left = max(limit-time.Since(parseTime(state.StartedAt)), 0)
	}
	running, cancel := context.WithTimeoutCause(ctx, left, tooLong)
	defer cancel()
	var followed error
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		followed = e.follow(running, t)
	}()
	if err := e.wait(running, t); err != nil {
		cause := e.blame(running, "wait for the container", err)
		cancel()
		<-logged
		return e.kill(ctx, t), cause
	}
	<-logged
	if followed != nil {
		return nil, e.blame(running, "read the log", followed)
	}
	held, err := e.held(ctx, t)
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, dispatch.Failf(dispatch.ReasonNode, "the Docker Engine was stopped while the task ran")
	}
	state, err = e.state(ctx, t)
	if err == nil && parseTime(state.FinishedAt).Sub(parseTime(state.StartedAt)) > limit {
		return state, tooLong // nobody was there to end it
	}
	return state, err
}

// kill ends the container and returns its last state, by whose times the task is paid; nil if the daemon does not tell.
func (e *Engine) kill(ctx context.Context, t Task) *container.State {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	_, err := e.api.ContainerKill(ctx, e.name(t), client.ContainerKillOptions{Signal: "KILL"})
	if err == nil {
		err = e.wait(ctx, t)
	}
	state, stateErr := e.state(ctx, t)
	if err != nil && !cerrdefs.IsConflict(err) || stateErr != nil {
		return nil
	}
	return state
}

// wait returns when the container has ended. A connection that breaks is made again, for as long as the daemon answers.
func (e *Engine) wait(ctx context.Context, t Task) error {
	for {
		result := e.api.ContainerWait(ctx, e.name(t), client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		select {
		case answer := <-result.Result:
			if answer.Error == nil {
				return nil
			}
			return errors.New(answer.Error.Message)
		case err := <-result.Error:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			state, stateErr := e.state(ctx, t)
			if stateErr != nil {
				return fmt.Errorf("%w; %w", err, stateErr)
			}
			if !state.Running {
				return nil
			}
			select {
			case <-ctx.Done():
			case <-time.After(waitPause):
			}
		}
	}
}

func (e *Engine) state(ctx context.Context, t Task) (*container.State, error) {
	found, err := e.api.ContainerInspect(ctx, e.name(t), client.ContainerInspectOptions{})
	if err != nil {
		return nil, err
	}
	if found.Container.State == nil {
		return nil, errors.New("the Docker Engine tells no state of the container")
	}
	return found.Container.State, nil
}

// oneLine is an error without line breaks, cut to what people read.
func oneLine(err error) string {
	return fmt.Sprintf("%.300s", strings.Join(strings.Fields(err.Error()), " "))
}
