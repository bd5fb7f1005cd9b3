package direct

import (
	"context"
	"errors"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/inside"
)

// host is where a service's program runs. Errors are *dispatch.Failure or the cause of the context's end.
type host interface {
	// load makes the image ready.
	load(ctx context.Context) error
	// run runs the program once to its end, tells up when it runs, and copies to log what it writes after since.
	run(ctx context.Context, log *segments, since time.Time, up func(started time.Time)) (code uint32, err error)
	// dial is the address at which this machine reaches a port; empty if the checks are somebody else's.
	dial(p dispatch.Port) string
	// end leaves nothing running, and with forget nothing at all.
	end(ctx context.Context, forget bool) error
	close(ctx context.Context) error
}

// host chooses where a service runs.
func (e engines) host(s *service) (host, error) {
	switch {
	case e.inside != nil:
		return &insideHost{e.inside, s}, nil
	case e.docker != nil:
		return &dockerHost{engines: e, service: s}, nil
	}
	return nil, dispatch.NodeFailure("run a container", docker.ErrNone)
}

// dockerHost is a container of the Docker Engine.
type dockerHost struct {
	engines engines
	service *service
	image   *container // once it is loaded
}

func (h *dockerHost) load(ctx context.Context) error {
	p, err := h.engines.load(ctx, h.service.assignment, h.service.fingerprint)
	if err == nil {
		h.image = p.(*container)
	}
	return err
}

// task is what the engine runs.
func (h *dockerHost) task() docker.Task {
	a := h.service.assignment
	return docker.Task{Assignment: a, Fingerprint: h.service.fingerprint, Number: a.FirstTask, GPUs: h.service.gpus}
}

func (h *dockerHost) run(ctx context.Context, log *segments, since time.Time, up func(time.Time)) (uint32, error) {
	t, e := h.task(), h.engines.docker
	t.Image, t.Log = h.image.image, log
	var err error
	if t.Devices, err = h.service.devices(ctx); err != nil {
		return 0, err
	}
	if err := e.Prepare(ctx, t); err != nil {
		return 0, err
	}
	run, err := e.StartService(ctx, t)
	if err != nil {
		return 0, err
	}
	up(run.Started)
	exit, err := e.WaitService(ctx, t, since)
	return exit.Code, err
}

func (h *dockerHost) dial(p dispatch.Port) string { return h.engines.docker.Dial(p) }

func (h *dockerHost) end(ctx context.Context, forget bool) error {
	err := h.engines.docker.StopService(ctx, h.task())
	if forget {
		err = errors.Join(err, h.engines.docker.Remove(ctx, h.service.assignment.ID))
	}
	return err
}

func (h *dockerHost) close(ctx context.Context) error {
	if h.image == nil {
		return nil
	}
	return h.image.close(ctx)
}

// insideHost is the container around this process: whoever made it checks the service, and ends it.
type insideHost struct {
	container *inside.Container
	service   *service
}

func (h *insideHost) load(context.Context) error { return nil }

func (h *insideHost) run(ctx context.Context, log *segments, _ time.Time, up func(time.Time)) (uint32, error) {
	a := h.service.assignment
	exit, err := h.container.Serve(ctx, inside.Task{Assignment: a, Number: a.FirstTask, Log: log}, up)
	return exit.Code, err
}

func (h *insideHost) dial(dispatch.Port) string { return "" }

func (h *insideHost) end(context.Context, bool) error { return nil }

func (h *insideHost) close(context.Context) error { return nil }
