package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/link"
)

// errNotHere says that the chain does not have an attempt on this node, or that it has not begun.
var errNotHere = errors.New("the task does not run here now")

// source shows oracles the tasks that the chain has on this node. Oracles show them to the jobs' owners.
type source struct {
	agent    *Agent
	observer dispatch.Observer
}

// attempt finds the attempt of a task, if it is under way.
func (s source) attempt(t link.TaskRef) (dispatch.AttemptID, error) {
	id := dispatch.AttemptID{Job: t.JobID, Slice: t.Slice, Attempt: t.Attempt}
	if !s.agent.isUnderWay(id) {
		return id, fmt.Errorf("task %d of %s: %w", t.Task, id, errNotHere)
	}
	return id, nil
}

// Follow implements link.Source.
func (s source) Follow(ctx context.Context, t link.TaskRef, from uint64, emit func(offset uint64, piece []byte) error) error {
	id, err := s.attempt(t)
	if err != nil {
		return err
	}
	return s.observer.Follow(ctx, id, t.Task, from, emit)
}

// Events implements link.EventSource.
func (s source) Events(ctx context.Context, t link.TaskRef, from uint64, once bool, emit func(offset uint64, piece []byte) error) error {
	id, err := s.attempt(t)
	if err != nil {
		return err
	}
	return s.agent.journalOf(id).follow(ctx, from, once, func() bool { return !s.agent.isUnderWay(id) }, emit)
}

// Stats implements link.Source.
func (s source) Stats(ctx context.Context, t link.TaskRef) (link.Stats, bool, error) {
	id, err := s.attempt(t)
	if err != nil {
		return link.Stats{}, false, err
	}
	d, err := s.observer.Stats(ctx, id, t.Task)
	return handover.Stats(d), d.Over, err
}

// show lets oracles see the tasks here, and owners run commands in them if that is allowed. What it returns comes after the links have ended.
func (a *Agent) show(opts *link.ClientOptions) (closeAudit func() error, err error) {
	none := func() error { return nil }
	observer, ok := a.cfg.Dispatcher.(dispatch.Observer)
	if !ok {
		return none, nil
	}
	opts.Source = source{a, observer}
	executor, ok := a.cfg.Dispatcher.(dispatch.Executor)
	if !ok || !a.cfg.AllowExec {
		return none, nil
	}
	log, err := openAudit(a.cfg.Dir)
	if err != nil {
		return none, err
	}
	opts.Source = execSource{source{a, observer}, executor, log}
	return log.close, nil
}
