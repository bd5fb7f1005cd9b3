package docker

import (
	"context"
	"errors"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// deviceOption is what the daemon calls the device of a volume.
const deviceOption = "device"

func (e *Engine) prepareVolumes(ctx context.Context, t Task) error {
	if t.Devices != nil {
		if err := e.prepareDevices(ctx, t); err != nil {
			return err
		}
	}
	if len(inMemory(t)) == 0 && len(t.Assignment.Secrets) == 0 {
		return nil
	}
	return e.prepareMemory(ctx, t)
}

// inMemory are the volumes without a device.
func inMemory(t Task) []dispatch.Volume {
	if t.Devices != nil {
		return nil
	}
	return t.Assignment.Service.Volumes
}

// prepareMemory makes volumes that are memory, and secrets, with what holds them.
func (e *Engine) prepareMemory(ctx context.Context, t Task) error {
	held, err := e.held(ctx, t)
	if err != nil || held {
		return err
	}
	// A container that still names the volumes would keep them.
	if err := e.remove(ctx, e.name(t)); err != nil {
		return err
	}
	for _, v := range inMemory(t) {
		if err := e.makeVolume(ctx, e.serviceVolume(t, v)); err != nil {
			return err
		}
	}
	if err := e.makeSecrets(ctx, t); err != nil {
		return err
	}
	holder := e.serviceHolder(t)
	if _, err := e.api.ContainerCreate(ctx, holder); err != nil {
		return err
	}
	if _, err = e.api.ContainerStart(ctx, holder.Name, client.ContainerStartOptions{}); err != nil {
		return err
	}
	return e.fillSecrets(ctx, t)
}

// prepareDevices tells the daemon of the devices. It mounts them when a container starts.
func (e *Engine) prepareDevices(ctx context.Context, t Task) error {
	if err := e.evict(ctx, t); err != nil {
		return err
	}
	for _, v := range t.Assignment.Service.Volumes {
		want := e.serviceVolume(t, v)
		found, err := e.api.VolumeInspect(ctx, want.Name, client.VolumeInspectOptions{})
		switch {
		case err == nil && found.Volume.Options[deviceOption] == want.DriverOpts[deviceOption]:
			continue
		case err == nil: // after a restart of the machine it is another device
			err = e.remove(ctx, e.name(t))
		case cerrdefs.IsNotFound(err):
			err = nil
		}
		if err != nil {
			return err
		}
		if err := e.makeVolume(ctx, want); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) makeVolume(ctx context.Context, v client.VolumeCreateOptions) error {
	if _, err := e.api.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil && !cerrdefs.IsNotFound(err) {
		return err
	}
	_, err := e.api.VolumeCreate(ctx, v)
	return err
}

// evict ends the containers of other attempts at the same task, which a process that was killed left running: the volumes are this one's now.
func (e *Engine) evict(ctx context.Context, t Task) error {
	filter := make(client.Filters).Add("label", labelScope+"="+e.scope)
	containers, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return err
	}
	mine := e.labels(t)
	var failed error
	for _, c := range containers.Items {
		job, _, _ := strings.Cut(c.Labels[labelAttempt], "/")
		if job != t.Assignment.ID.Job || c.Labels[labelTask] != mine[labelTask] || c.Labels[labelAttempt] == mine[labelAttempt] {
			continue
		}
		failed = errors.Join(failed, e.stop(ctx, c.ID), e.removeContainer(ctx, c.ID))
	}
	return failed
}

func (e *Engine) volumeName(t Task, v dispatch.Volume) string { return e.name(t) + "-v-" + v.Name }

// serviceVolume is a volume on its device, or in memory.
func (e *Engine) serviceVolume(t Task, v dispatch.Volume) client.VolumeCreateOptions {
	device, onDisk := t.Devices[v.Name]
	if !onDisk {
		return e.tmpfs(t, e.volumeName(t, v), int64(v.SizeMiB)<<20)
	}
	return client.VolumeCreateOptions{
		Name: e.volumeName(t, v), Driver: "local", Labels: e.labels(t),
		DriverOpts: map[string]string{"type": "ext4", deviceOption: device, "o": "nosuid,nodev,noatime"},
	}
}

func (e *Engine) serviceMounts(t Task, volumes []dispatch.Volume) (mounts []mount.Mount) {
	for _, v := range volumes {
		mounts = append(mounts, mount.Mount{
			Type: mount.TypeVolume, Source: e.volumeName(t, v), Target: v.Path, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
		})
	}
	return mounts
}

// serviceHolder keeps volumes in memory, and secrets, while the service does not run.
func (e *Engine) serviceHolder(t Task) client.ContainerCreateOptions {
	holder := e.holder(t)
	holder.HostConfig.Mounts = append(e.serviceMounts(t, inMemory(t)), e.secretMounts(t, false)...)
	return holder
}
