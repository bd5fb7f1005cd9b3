package docker

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
)

const (
	labelScope       = "io.foggrid.scope"
	labelAttempt     = "io.foggrid.attempt"
	labelTask        = "io.foggrid.task"
	labelFingerprint = "io.foggrid.fingerprint"

	inPath, outPath, tmpPath = "/in", "/out", "/tmp"
	hostname                 = "task"

	// user is that of every task, whatever the image says: an id without a name, which owns nothing on any machine.
	user = "65532:65532"

	maxProcesses = 512
	maxFiles     = 4096
	maxEntries   = 1 << 16 // as many as a result can hold
	blockSize    = 4 << 10 // of a tmpfs, and what a name in /out counts
	holderMemory = 16 << 20
	shmMiB       = 64
)

// Task is one run of an image.
type Task struct {
	Image       Image
	Assignment  dispatch.Assignment
	Fingerprint artifact.Digest
	// Number of the task in the job.
	Number uint32
	// Devices are the block devices of a service's volumes, by name; without them volumes are memory.
	Devices map[string]string
	// GPUs are the ids of those that the task has for itself.
	GPUs []string
	// OutDir is an empty folder that gets what the task leaves in /out.
	OutDir string
	// Log gets standard output and error as they come, until it has LogLimit bytes.
	Log      io.Writer
	LogLimit int64
}

// name is that of the task's container, and of its volume.
func (e *Engine) name(t Task) string {
	id := t.Assignment.ID
	return fmt.Sprintf("fog-%s-%s-s%d-a%d-t%d", e.scope, id.Job, id.Slice, id.Attempt, t.Number)
}

func (e *Engine) labels(t Task) map[string]string {
	return map[string]string{
		labelScope: e.scope, labelAttempt: t.Assignment.ID.String(), labelTask: strconv.FormatUint(uint64(t.Number), 10),
		labelFingerprint: t.Fingerprint.String(),
	}
}

// outVolume is /out: a tmpfs that the kernel holds to the limit, names included. Everything else that ordinary Docker can mount has no
// limit at all.
func (e *Engine) outVolume(t Task) client.VolumeCreateOptions {
	return e.tmpfs(t, e.name(t), int64(t.Assignment.StorageMiB)<<20)
}

func (e *Engine) tmpfs(t Task, name string, size int64) client.VolumeCreateOptions {
	return client.VolumeCreateOptions{
		Name: name, Driver: "local", Labels: e.labels(t),
		DriverOpts: map[string]string{
			"type": "tmpfs", "device": "tmpfs",
			"o": fmt.Sprintf("size=%d,nr_inodes=%d,mode=0777,nosuid,nodev", size, outInodes(size)),
		},
	}
}

// outInodes is how many files and folders may be in /out, with /out itself.
func outInodes(size int64) int64 { return min(size/blockSize, maxEntries) + 1 }

func (e *Engine) outMount(t Task) mount.Mount {
	return mount.Mount{
		Type: mount.TypeVolume, Source: e.name(t), Target: outPath, VolumeOptions: &mount.VolumeOptions{NoCopy: true},
	}
}

// hardened is what task and holder have in common: no network, no privileges, nothing to write to, limits.
func hardened(memory, nanoCPUs, processes int64) *container.HostConfig {
	no := false
	return &container.HostConfig{
		NetworkMode: "none", IpcMode: container.IPCModePrivate, CgroupnsMode: container.CgroupnsModePrivate,
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"}, ReadonlyRootfs: true, OomScoreAdj: 500, ShmSize: shmMiB << 20,
		Init: &no, LogConfig: container.LogConfig{Type: "none"},
		Resources: container.Resources{
			Memory: memory, MemorySwap: memory, NanoCPUs: nanoCPUs, PidsLimit: &processes,
			Ulimits: []*container.Ulimit{{Name: "nofile", Soft: maxFiles, Hard: maxFiles}, {Name: "core", Soft: 0, Hard: 0}},
		},
	}
}

// holder is the container that keeps /out.
func (e *Engine) holder(t Task) client.ContainerCreateOptions {
	host := hardened(holderMemory, 1e8, 1)
	host.Mounts = append([]mount.Mount{e.outMount(t)}, e.secretMounts(t, false)...)
	return client.ContainerCreateOptions{
		Name:       e.name(t) + "-hold",
		Config:     &container.Config{Image: t.Image.hold, User: user, Hostname: hostname, NetworkDisabled: true, Labels: e.labels(t)},
		HostConfig: host,
	}
}

// container is the task itself.
func (e *Engine) container(t Task) client.ContainerCreateOptions {
	out := e.base(t, cmp.Or(t.Image.defaults.WorkingDir, outPath), []mount.Mount{e.outMount(t)})
	// The log is followed as it grows; what the daemon keeps of it is bounded.
	out.HostConfig.LogConfig = jsonLog(max(2*t.LogLimit, 1<<20))
	return out
}

// base is what tasks and services have in common, in the working folder dir and with mounts besides those that all have.
func (e *Engine) base(t Task, dir string, mounts []mount.Mount) client.ContainerCreateOptions {
	a := t.Assignment
	memory := int64(a.MemoryMiB) << 20
	host := hardened(memory, int64(a.CPUMilli)*1e6, maxProcesses)
	host.Mounts = slices.Concat(mounts, e.secretMounts(t, true))
	if a.InputsDir != "" {
		host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeBind, Source: a.InputsDir, Target: inPath, ReadOnly: true})
	}
	host.Tmpfs = map[string]string{tmpPath: fmt.Sprintf("rw,nosuid,nodev,exec,mode=1777,size=%d,nr_inodes=%d", memory, maxEntries)}
	for _, path := range t.Image.volumes() { // else each would be a folder of the host without a limit
		if slices.ContainsFunc(mounts, func(m mount.Mount) bool { return m.Target == path }) {
			continue
		}
		host.Mounts = append(host.Mounts, mount.Mount{
			Type: mount.TypeTmpfs, Target: path, TmpfsOptions: &mount.TmpfsOptions{SizeBytes: memory, Mode: 0o1777},
		})
	}
	if len(t.GPUs) > 0 {
		host.DeviceRequests = []container.DeviceRequest{{Driver: "nvidia", DeviceIDs: t.GPUs, Capabilities: [][]string{{"gpu"}}}}
	}
	config := &container.Config{
		Image: t.Image.id, User: user, Hostname: hostname, NetworkDisabled: true, Labels: e.labels(t), Env: e.environment(t, dir),
		WorkingDir: dir, Healthcheck: &container.HealthConfig{Test: []string{"NONE"}}, AttachStdout: true, AttachStderr: true,
	}
	if len(a.Args) > 0 {
		config.Cmd = a.Args
	}
	return client.ContainerCreateOptions{Name: e.name(t), Config: config, HostConfig: host}
}

func jsonLog(size int64) container.LogConfig {
	return container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": strconv.FormatInt(size, 10), "max-file": "2"}}
}

// environment is what package dispatch promises; the image's own variables stay unless the job sets them.
func (e *Engine) environment(t Task, dir string) []string {
	a := t.Assignment
	env := []string{
		"FOG_JOB=" + a.ID.Job,
		"FOG_TASK_INDEX=" + strconv.FormatUint(uint64(t.Number), 10),
		"FOG_TASK_COUNT=" + strconv.FormatUint(uint64(a.JobTasks), 10),
		"PWD=" + dir,
	}
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		env = append(env, name+"="+a.Env[name])
	}
	if e.gpus && len(t.GPUs) == 0 {
		// NVIDIA's runtime, where it is the default, heeds this variable whoever sets it; images for CUDA ask for all.
		env = append(env, "NVIDIA_VISIBLE_DEVICES=void")
	}
	return env
}

// parseTime reads a time of the daemon; it is zero if there is none.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 2000 {
		return time.Time{}
	}
	return t.UTC()
}
