package direct

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/inside"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// engines are what this machine can run programs with.
type engines struct {
	cacheDir string // of compiled modules
	docker   *docker.Engine
	inside   *inside.Container         // if this process is in the image's container
	volumes  *volume.Store             // nil if volumes are memory
	known    func(attempt string) bool // attempts whose containers are not swept away
}

// load makes an assignment's program ready. What is wrong with the program or the engine is a *dispatch.Failure.
func (e engines) load(ctx context.Context, a dispatch.Assignment, fingerprint artifact.Digest) (program, error) {
	if a.Engine != dispatch.EngineDocker {
		p, err := loadModule(ctx, a, e.cacheDir)
		if err != nil {
			return nil, err // not p, which would be a program that is nil inside
		}
		return p, nil
	}
	if e.inside != nil {
		return here{e.inside}, nil
	}
	if e.docker == nil {
		return nil, dispatch.NodeFailure("run a container", docker.ErrNone)
	}
	if err := e.docker.Sweep(ctx, e.known); err != nil {
		return nil, dispatch.NodeFailure("clear away what an earlier process left", err)
	}
	img, release, err := e.docker.Load(ctx, a.ModulePath, a.Module)
	if err != nil {
		return nil, err
	}
	return &container{engine: e.docker, image: img, release: release, fingerprint: fingerprint}, nil
}

// container is a program that is an image.
type container struct {
	engine      *docker.Engine
	image       docker.Image
	release     func()
	fingerprint artifact.Digest
}

// call implements program.
func (c *container) call(ctx context.Context, r run, g *guard, log *logWriter) (exit, *dispatch.Failure) {
	end, err := c.engine.Run(ctx, docker.Task{
		Image: c.image, Assignment: r.assignment, Fingerprint: c.fingerprint, Number: r.task, GPUs: r.gpus,
		OutDir: filepath.Join(r.dir, outName), Log: log.f, LogLimit: r.logLimit,
	})
	return exit{end.Code, end.Started, end.Finished}, g.verdict(ctx, err)
}

// verdict is why a container ended otherwise than by itself.
func (g *guard) verdict(ctx context.Context, err error) *dispatch.Failure {
	var f *dispatch.Failure
	switch {
	case g.failed != nil:
		return g.failed
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case ctx.Err() != nil:
		return dispatch.Failf(dispatch.ReasonStopped, "it was stopped: %v", err)
	}
	return dispatch.NodeFailure("run the container", err)
}

// close implements program.
func (c *container) close(ctx context.Context) error {
	c.release()
	return c.engine.Prune(ctx, false)
}

// here is a program that is the image around this process.
type here struct{ container *inside.Container }

// call implements program.
func (h here) call(ctx context.Context, r run, g *guard, log *logWriter) (exit, *dispatch.Failure) {
	end, err := h.container.Run(ctx, inside.Task{
		Assignment: r.assignment, Number: r.task, OutDir: filepath.Join(r.dir, outName), Log: log,
	})
	return exit{end.Code, end.Started, end.Finished}, g.verdict(ctx, err)
}

// close implements program.
func (here) close(context.Context) error { return nil }
