package direct

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/tally"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// serviceFile holds the last state of a service that has stopped.
const serviceFile = "service.json"

// service is an attempt's service: what an attempt without one does not have.
type service struct {
	assignment  dispatch.Assignment
	fingerprint artifact.Digest
	dir         string // of the attempt
	logLimit    int64
	gpus        []string
	disk        *volume.Store // of its volumes; nil if they are memory, or there are none

	states *tally.States

	mu   sync.Mutex
	life lifecycle
}

func newService(a dispatch.Assignment, fingerprint artifact.Digest, dir string, opts Options) *service {
	s := &service{
		assignment: a, fingerprint: fingerprint, dir: dir, logLimit: opts.LogLimit,
		life: lifecycle{grace: a.Service.Health.Grace, minPause: opts.RestartMin, maxPause: opts.RestartMax},
	}
	s.life.begin(time.Now().UTC())
	s.states = tally.NewStates(s.life.state)
	return s
}

// change lets the lifecycle take an event, and tells watchers the new state if it reports one.
func (s *service) change(event func(*lifecycle) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if event(&s.life) {
		s.states.Add(s.life.state)
	}
}

func (s *service) phase() dispatch.ServicePhase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life.state.Phase
}

// serve is run for a service: it keeps it up until it is stopped, cannot run, or the dispatcher closes.
func (t *attempt) serve(ctx context.Context, g *gate, e engines) {
	s := t.service
	var last dispatch.ServiceState
	if err := readRecord(filepath.Join(t.dir, serviceFile), &last); err == nil {
		s.change(func(l *lifecycle) bool { l.state = last; return true })
		t.tasks.Add(s.outcome(last))
		t.tasks.End(nil)
		return
	}
	ended := s.live(ctx, g, e)
	if errors.Is(context.Cause(ctx), errAbandoned) {
		t.tasks.End(dispatch.ErrClosed)
		return
	}
	var f *dispatch.Failure
	if !errors.As(ended, &f) {
		f = dispatch.NodeFailure("keep the service up", ended)
	}
	s.change(func(l *lifecycle) bool { l.stop(time.Now().UTC(), f.Reason, f.Message); return true })
	last = s.states.Last()
	if err := writeRecord(filepath.Join(t.dir, serviceFile), last); err != nil {
		last.Message += fmt.Sprintf("; this could not be recorded: %v", err)
	}
	t.tasks.Add(s.outcome(last))
	t.tasks.End(nil)
}

// outcome is that of the service's only task.
func (s *service) outcome(last dispatch.ServiceState) dispatch.TaskOutcome {
	return dispatch.TaskOutcome{
		Task: s.assignment.FirstTask, Reason: last.Reason, Message: last.Message, Result: artifact.EmptyDigest, Finished: last.Since,
	}
}

// live starts the service and starts it again each time that it ends, and returns why it does not any more. It leaves nothing in the
// engine, or if the dispatcher only closes, what the next process goes on with.
func (s *service) live(ctx context.Context, g *gate, e engines) (err error) {
	h, err := e.host(s)
	if err != nil {
		return err
	}
	if err := g.enter(ctx, s.assignment); err != nil {
		return errors.Join(context.Cause(ctx), s.end(ctx, h))
	}
	defer g.leave(s.assignment)
	if s.gpus, err = g.gpus.take(ctx, s.assignment, s.assignment.FirstTask); err != nil {
		return errors.Join(err, s.end(ctx, h))
	}
	log, err := openSegments(taskDir(s.dir, s.assignment.FirstTask), s.logLimit)
	if err != nil {
		return errors.Join(dispatch.NodeFailure("make the log", err), s.end(ctx, h))
	}
	release, err := s.claim(ctx, e)
	if err != nil {
		return errors.Join(err, s.end(ctx, h), log.close())
	}
	defer release()
	if err = s.load(ctx, h); err == nil {
		err = s.keepUp(ctx, h, log)
	}
	if ended := s.end(ctx, h); ended != nil {
		err = errors.Join(err, ended) // what may still run keeps its GPUs
	} else {
		err = errors.Join(err, g.gpus.release(s.assignment.ID, s.assignment.FirstTask))
	}
	if s.disk != nil {
		err = errors.Join(err, s.disk.Detach(s.replica()))
	}
	return errors.Join(err, h.close(context.WithoutCancel(ctx)), log.close())
}

func (s *service) end(ctx context.Context, h host) error {
	abandoned := errors.Is(context.Cause(ctx), errAbandoned)
	if err := h.end(context.WithoutCancel(ctx), !abandoned); err != nil {
		return dispatch.NodeFailure("clear the service away", err)
	}
	return nil
}

// load makes the image ready, however often the engine fails.
func (s *service) load(ctx context.Context, h host) error {
	for {
		err := h.load(ctx)
		if err == nil {
			return nil
		}
		if err := s.pause(ctx, err, 0, nil); err != nil {
			return err
		}
	}
}

// keepUp runs the service again and again.
func (s *service) keepUp(ctx context.Context, h host, log *segments) error {
	since := log.newest() // what an earlier process had copied
	for {
		code, err := s.runOnce(ctx, h, log, since)
		since = time.Now() // all that the run wrote is in the log
		if err := s.pause(ctx, err, code, log); err != nil {
			return err
		}
	}
}

func (s *service) runOnce(ctx context.Context, h host, log *segments, since time.Time) (uint32, error) {
	checking, stop := context.WithCancel(ctx)
	var checks sync.WaitGroup
	defer checks.Wait()
	defer stop()
	return h.run(ctx, log, since, func(started time.Time) {
		s.change(func(l *lifecycle) bool { l.up(time.Now().UTC(), started); return true })
		if h := s.assignment.Service.Health; h.Kind == dispatch.HealthNone {
			s.change(func(l *lifecycle) bool { return l.check(time.Now().UTC(), nil) })
		}
		if port, ok := s.assignment.Service.Port(s.assignment.Service.Health.Port); ok {
			if addr := h.dial(port); addr != "" {
				checks.Go(func() { s.watchHealth(checking, addr) })
			}
		}
	})
}

// pause waits before another start; its error says why there is none.
func (s *service) pause(ctx context.Context, err error, code uint32, log *segments) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	reason, message := dispatch.ReasonOK, "it ended by itself"
	if code != 0 {
		reason, message = dispatch.ReasonExit, fmt.Sprintf("exit code %d", code)
	}
	var f *dispatch.Failure
	if err != nil && !errors.As(err, &f) {
		f = dispatch.NodeFailure("run the service", err)
	}
	if f != nil {
		reason, message = f.Reason, f.Message
	}
	if reason == dispatch.ReasonBadImage {
		return f
	}
	var pause time.Duration
	s.change(func(l *lifecycle) bool {
		pause = l.down(time.Now().UTC(), reason, min(code, dispatch.MaxExitCode), message)
		return true
	})
	if log != nil {
		fmt.Fprintf(log, "[fog: %s; starting again in %s]\n", message, pause)
	}
	if !sleep(ctx, pause) {
		return context.Cause(ctx)
	}
	return nil
}

// States implements dispatch.Services.
func (d *Dispatcher) States(ctx context.Context, id dispatch.AttemptID, onState func(dispatch.ServiceState)) (dispatch.ServiceState, error) {
	t, err := d.find(id)
	if err != nil {
		return dispatch.ServiceState{}, err
	}
	if t.service == nil {
		return dispatch.ServiceState{}, fmt.Errorf("attempt %s is no service; watch it", id)
	}
	return t.service.states.Watch(ctx, id, t.tasks, onState)
}
