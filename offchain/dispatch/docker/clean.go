package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/dispatch"
)

const removePause = 50 * time.Millisecond

// remove takes away a task's container, its holder, its volume and its secrets; what is not there is fine.
func (e *Engine) remove(ctx context.Context, name string) error {
	var failed error
	for _, c := range []string{name, name + "-hold"} {
		failed = errors.Join(failed, e.removeContainer(ctx, c))
	}
	for _, v := range []string{name, name + secretsSuffix} {
		if _, err := e.api.VolumeRemove(ctx, v, client.VolumeRemoveOptions{Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// removeContainer returns when the container is gone, also if somebody else is removing it.
func (e *Engine) removeContainer(ctx context.Context, id string) error {
	for {
		_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if err == nil || cerrdefs.IsNotFound(err) {
			return nil
		}
		if !cerrdefs.IsConflict(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(removePause):
		}
	}
}

// Sweep removes what this dispatcher's earlier processes left of attempts that keep does not name. Nothing that it names must be
// touched by others meanwhile.
func (e *Engine) Sweep(ctx context.Context, keep func(attempt string) bool) error {
	filter := make(client.Filters).Add("label", labelScope+"="+e.scope)
	containers, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	var failed error
	for _, c := range containers.Items {
		if keep(c.Labels[labelAttempt]) {
			continue
		}
		if err := e.removeContainer(ctx, c.ID); err != nil {
			failed = errors.Join(failed, fmt.Errorf("remove container %s: %w", c.ID, err))
		}
	}
	volumes, err := e.api.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	if err != nil {
		return errors.Join(failed, fmt.Errorf("list volumes: %w", err))
	}
	for _, v := range volumes.Items {
		if keep(v.Labels[labelAttempt]) {
			continue
		}
		if _, err := e.api.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
			failed = errors.Join(failed, fmt.Errorf("remove volume %s: %w", v.Name, err))
		}
	}
	networks, err := e.api.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		return errors.Join(failed, fmt.Errorf("list networks: %w", err))
	}
	for _, n := range networks.Items {
		if keep(n.Labels[labelAttempt]) {
			continue
		}
		if err := e.removeNetwork(ctx, n.ID); err != nil {
			failed = errors.Join(failed, fmt.Errorf("remove network %s: %w", n.Name, err))
		}
	}
	return failed
}

// Remove takes away all that is left of one attempt.
func (e *Engine) Remove(ctx context.Context, id dispatch.AttemptID) error {
	return e.Sweep(ctx, func(attempt string) bool { return attempt != id.String() })
}
