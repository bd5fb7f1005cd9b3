package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// stopGrace is how long a service may take to end after it was asked to, before it is killed.
const stopGrace = 10 * time.Second

// lastWords is how long the log of a service that was stopped may take to end.
const lastWords = 5 * time.Second

// serviceLogBytes are kept by the daemon for a process that takes the service over; what is older is with the dispatcher.
const serviceLogBytes = 1 << 20

// ServiceRun is one run of a service's container.
type ServiceRun struct {
	Started time.Time
	// Adopted says that the container ran already.
	Adopted bool
}

// Prepare makes what a service keeps over its runs, unless it is there: its network and its volumes. Volumes on devices have what was written
// to them; those in memory whose holder was stopped, with the daemon or the machine, are empty anew. The error is a *dispatch.Failure or the
// cause of the context's end.
func (e *Engine) Prepare(ctx context.Context, t Task) error {
	ctx, cancel := context.WithTimeoutCause(ctx, setupLimit, dispatch.Failf(dispatch.ReasonNode, "the Docker Engine did not make network and volumes within %s", setupLimit))
	defer cancel()
	if err := e.prepareNetwork(ctx, t); err != nil {
		return e.blame(ctx, "make the network", err)
	}
	if err := e.prepareVolumes(ctx, t); err != nil {
		return e.blame(ctx, "make the volumes", err)
	}
	return nil
}

// StartService starts the container of a prepared service, or goes on with one that runs. Errors are those of Prepare.
func (e *Engine) StartService(ctx context.Context, t Task) (ServiceRun, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, setupLimit, dispatch.Failf(dispatch.ReasonNode, "the Docker Engine did not start the container within %s", setupLimit))
	defer cancel()
	found, err := e.api.ContainerInspect(ctx, e.name(t), client.ContainerInspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
	case err != nil:
		return ServiceRun{}, e.blame(ctx, "look for the container", err)
	case !e.isOf(found.Container, t):
		if err := e.removeContainer(ctx, e.name(t)); err != nil {
			return ServiceRun{}, e.blame(ctx, "remove another container of this name", err)
		}
	case found.Container.State.Running:
		return ServiceRun{Started: parseTime(found.Container.State.StartedAt), Adopted: true}, nil
	default:
		return e.startService(ctx, t)
	}
	if _, err := e.api.ContainerCreate(ctx, e.serviceContainer(t)); err != nil {
		return ServiceRun{}, e.blame(ctx, "make the container", err)
	}
	return e.startService(ctx, t)
}

// isOf reports whether a container is one of this task as it is now assigned.
func (e *Engine) isOf(c container.InspectResponse, t Task) bool {
	return c.State != nil && c.Config != nil && c.Config.Labels[labelFingerprint] == t.Fingerprint.String() && c.Config.Labels[labelScope] == e.scope
}

func (e *Engine) startService(ctx context.Context, t Task) (ServiceRun, error) {
	if _, err := e.api.ContainerStart(ctx, e.name(t), client.ContainerStartOptions{}); err != nil {
		return ServiceRun{}, e.startFailure(ctx, e.name(t), err)
	}
	state, err := e.state(ctx, t)
	if err != nil {
		return ServiceRun{}, e.blame(ctx, "look at the container", err)
	}
	return ServiceRun{Started: parseTime(state.StartedAt)}, nil
}

// WaitService copies what the service writes after since to t.Log, to its end, and returns when it has ended by itself. When the context
// ends, the service is stopped. Errors are those of Prepare.
func (e *Engine) WaitService(ctx context.Context, t Task, since time.Time) (Exit, error) {
	for {
		state, err := e.waitRun(ctx, t, since)
		if err != nil {
			return Exit{}, err
		}
		if state.Running { // right after a start, an engine may still tell of the end before it
			since = time.Now()
			select {
			case <-ctx.Done():
			case <-time.After(waitPause):
			}
			continue
		}
		exit := Exit{Code: uint32(state.ExitCode), Started: parseTime(state.StartedAt), Finished: parseTime(state.FinishedAt)}
		if state.OOMKilled && state.ExitCode != 0 {
			return exit, dispatch.Failf(dispatch.ReasonMemory, "more than %d MiB of memory, what is in /tmp included", t.Assignment.MemoryMiB)
		}
		return exit, nil
	}
}

// waitRun returns the state of the container once the engine has told its end and given all of its log.
func (e *Engine) waitRun(ctx context.Context, t Task, since time.Time) (*container.State, error) {
	following, giveUp := context.WithCancel(context.WithoutCancel(ctx)) // what it writes when it is asked to end counts
	defer giveUp()
	logged := make(chan error, 1)
	go func() { logged <- e.followService(following, t, since) }()
	if err := e.wait(ctx, t); err != nil {
		stopped := e.StopService(ctx, t)
		time.AfterFunc(lastWords, giveUp)
		read := <-logged
		if ctx.Err() != nil {
			return nil, errors.Join(context.Cause(ctx), stopped, read)
		}
		return nil, e.blame(ctx, "wait for the container", err)
	}
	if err := <-logged; err != nil {
		return nil, e.blame(ctx, "read the log", err)
	}
	state, err := e.state(ctx, t)
	if err != nil {
		return nil, e.blame(ctx, "look at the container", err)
	}
	return state, nil
}

func (e *Engine) followService(ctx context.Context, t Task, since time.Time) error {
	opts := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true}
	if !since.IsZero() {
		opts.Since = since.UTC().Format(time.RFC3339Nano)
	}
	stream, err := e.api.ContainerLogs(ctx, e.name(t), opts)
	if err != nil {
		return err
	}
	_, err = stdcopy.StdCopy(t.Log, t.Log, stream)
	return errors.Join(err, stream.Close())
}

// StopService asks the service to end, and kills it if it does not.
func (e *Engine) StopService(ctx context.Context, t Task) error { return e.stop(ctx, e.name(t)) }

func (e *Engine) stop(ctx context.Context, container string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	seconds := int(stopGrace / time.Second)
	_, err := e.api.ContainerStop(ctx, container, client.ContainerStopOptions{Timeout: &seconds})
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// serviceContainer is the task's container but for its network, its volumes, and /out, which it has not.
func (e *Engine) serviceContainer(t Task) client.ContainerCreateOptions {
	s := t.Assignment.Service
	dir := cmp.Or(t.Image.defaults.WorkingDir, "/")
	if dir == outPath { // what our own builder writes into every image; a service has no such folder
		dir = "/"
	}
	out := e.base(t, dir, e.serviceMounts(t, s.Volumes))
	out.Config.NetworkDisabled = false
	out.Config.ExposedPorts, out.HostConfig.PortBindings = network.PortSet{}, network.PortMap{}
	for _, p := range s.Ports {
		port, _ := network.PortFrom(p.Container, network.IPProtocol(p.Protocol))
		out.Config.ExposedPorts[port] = struct{}{}
		out.HostConfig.PortBindings[port] = []network.PortBinding{{HostIP: e.publish, HostPort: strconv.Itoa(int(p.Host))}}
		out.Config.Env = append(out.Config.Env, p.Variable()+"="+strconv.Itoa(int(p.Container)))
	}
	out.HostConfig.NetworkMode = container.NetworkMode(e.name(t))
	out.HostConfig.LogConfig = jsonLog(serviceLogBytes)
	return out
}

// Stats tells what the container of a task takes; it is not running if there is none.
func (e *Engine) Stats(ctx context.Context, t Task) (dispatch.Stats, error) {
	out := dispatch.Stats{At: time.Now().UTC()}
	state, err := e.state(ctx, t)
	if cerrdefs.IsNotFound(err) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Started, out.Running = parseTime(state.StartedAt), state.Running
	if !state.Running {
		return out, nil
	}
	answer, err := e.api.ContainerStats(ctx, e.name(t), client.ContainerStatsOptions{})
	if err != nil {
		return out, err
	}
	var raw container.StatsResponse
	err = json.NewDecoder(answer.Body).Decode(&raw)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return out, err
	}
	out.Measured = true
	out.CPUNanos, out.MemoryLimit, out.Processes = raw.CPUStats.CPUUsage.TotalUsage, raw.MemoryStats.Limit, raw.PidsStats.Current
	out.Memory = raw.MemoryStats.Usage - min(raw.MemoryStats.Usage, droppable(raw.MemoryStats.Stats))
	for _, n := range raw.Networks {
		out.Received += n.RxBytes
		out.Sent += n.TxBytes
	}
	return out, nil
}

// droppable is file cache that counts as used but makes room on demand; cgroup v1 and v2 name it differently.
func droppable(stats map[string]uint64) uint64 {
	if v, ok := stats["total_inactive_file"]; ok {
		return v
	}
	return stats["inactive_file"]
}
