package direct

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// engines are what this machine can run programs with.
type engines struct {
	cacheDir string // of compiled modules
	docker   *docker.Engine
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
	out := exit{code: end.Code, started: end.Started, finished: end.Finished}
	var f *dispatch.Failure
	switch {
	case g.failed != nil:
		return out, g.failed
	case err == nil:
		return out, nil
	case errors.As(err, &f):
		return out, f
	case ctx.Err() != nil:
		return out, dispatch.Failf(dispatch.ReasonStopped, "it was stopped: %v", err)
	}
	return out, dispatch.NodeFailure("run the container", err)
}

// close implements program.
func (c *container) close(ctx context.Context) error {
	c.release()
	return c.engine.Prune(ctx, false)
}
