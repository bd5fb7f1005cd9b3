package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

const (
	// unhealthyAfter is how many checks in a row must fail, as with package direct.
	unhealthyAfter = 3
	maxStateBytes  = 64 << 10

	checkSuccess, checkFailure = "success", "failure"
)

// States implements dispatch.Services.
func (d *Dispatcher) States(ctx context.Context, id dispatch.AttemptID, onState func(dispatch.ServiceState)) (dispatch.ServiceState, error) {
	t, err := d.find(ctx, id)
	if err != nil {
		return dispatch.ServiceState{}, err
	}
	if t.states == nil {
		return dispatch.ServiceState{}, fmt.Errorf("attempt %s is no service; watch it", id)
	}
	return t.states.Watch(ctx, id, t.tasks, onState)
}

// State is how a service is, and when Nomad last said so.
func (d *Dispatcher) State(ctx context.Context, id dispatch.AttemptID) (dispatch.ServiceState, time.Time, error) {
	t, err := d.find(ctx, id)
	if err != nil || t.states == nil {
		return dispatch.ServiceState{}, time.Time{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.states.Last(), t.looked, nil
}

// pulse is what the checks of the service's newest run have told.
type pulse struct {
	run      time.Time // when the run began
	checked  int64     // time of the last check that was counted
	failures int       // in a row
	phase    dispatch.ServicePhase
	message  string
	since    time.Time
}

// look tells how the service is, by its runner's word and by Nomad's checks. That its client cannot be asked now changes nothing.
func (t *attempt) look(ctx context.Context) error {
	state, err := t.serviceState(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.looked = time.Now()
	t.mu.Unlock()
	if state.Phase == dispatch.ServiceStopped { // by itself, for good
		t.ending = &ending{state.Reason, state.Message}
		t.wake()
		return nil
	}
	if last := t.states.Last(); state.Phase != last.Phase || state.Restarts != last.Restarts || state.Reason != last.Reason {
		t.states.Add(state)
	}
	return nil
}

// stepService is step for a service: it goes on until it is stopped, here or in Nomad, which places it again on its node whatever happens to it. For how
// long that is tried is for the chain to say.
func (t *attempt) stepService(ctx context.Context) (time.Duration, error) {
	switch {
	case t.ending != nil:
	case t.stopped():
		t.ending = &ending{dispatch.ReasonStopped, "the attempt was stopped"}
	case t.gone:
		t.ending = &ending{dispatch.ReasonNode, "the job is not in Nomad any more"}
	default:
		alloc := t.newest()
		if alloc == nil || alloc.DesiredStatus == api.AllocDesiredStatusRun && !terminal(alloc) {
			return t.opts.ReconcileEvery, nil
		}
		job, err := t.region.client.job(ctx, t.rec.Place.Namespace, t.job)
		switch {
		case errors.Is(err, errNotFound):
			t.ending = &ending{dispatch.ReasonNode, "the job is not in Nomad any more"}
		case err != nil:
			return 0, err
		case job.Stop == nil || !*job.Stop:
			return t.opts.ReconcileEvery, nil
		default:
			t.ending = &ending{dispatch.ReasonNode, "Nomad ended the service: " + describe(alloc)}
		}
	}
	return t.end(ctx, *t.ending)
}

// newest is the allocation that the service is in.
func (t *attempt) newest() *api.AllocationListStub {
	list := t.byTask()[t.assignment.FirstTask]
	if len(list) == 0 {
		return nil
	}
	return list[len(list)-1]
}

func terminal(a *api.AllocationListStub) bool {
	switch a.ClientStatus {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	}
	return false
}

// serviceState is how the service's one allocation is.
func (t *attempt) serviceState(ctx context.Context) (dispatch.ServiceState, error) {
	starting := dispatch.ServiceState{Phase: dispatch.ServiceStarting, Since: time.Now().UTC()}
	alloc := t.newest()
	if alloc == nil {
		return starting, nil
	}
	if task := alloc.TaskStates[taskName]; task == nil || task.State != "running" || terminal(alloc) {
		return t.notUp(alloc, starting), nil
	}
	raw, err := t.read(ctx, alloc, runner.ServiceFile, maxStateBytes)
	if errors.Is(err, errNotFound) {
		return starting, nil
	}
	if err != nil {
		return starting, err
	}
	var s dispatch.ServiceState
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("state of service %s: %w", t.assignment.ID, err)
	}
	s.Message = oneLine(s.Message)
	if !s.Phase.Runs() || t.assignment.Service.Health.Kind == dispatch.HealthNone {
		return s, nil
	}
	check, err := t.region.client.check(ctx, t.rec.Place.Namespace, alloc.ID)
	if err != nil {
		return s, err
	}
	return t.pulse.take(s, check, t.assignment.Service.Health.Grace), nil
}

// notUp is the state of a service whose container does not run: for the first time, or again.
func (t *attempt) notUp(alloc *api.AllocationListStub, starting dispatch.ServiceState) dispatch.ServiceState {
	for _, name := range []string{prepareName, taskName} {
		state := alloc.TaskStates[name]
		if state == nil {
			continue
		}
		for i := len(state.Events) - 1; i >= 0; i-- {
			switch e := state.Events[i]; e.Type {
			case api.TaskDriverFailure, api.TaskArtifactDownloadFailed, api.TaskSetupFailure, api.TaskTerminated:
				if e.Type == api.TaskTerminated && name == prepareName && !state.Failed {
					continue
				}
				return dispatch.ServiceState{
					Phase: dispatch.ServiceRestarting, Reason: dispatch.ReasonNode, Message: oneLine(e.Type + ": " + e.DisplayMessage), Since: time.Unix(0, e.Time).UTC(),
				}
			}
		}
	}
	if terminal(alloc) {
		return dispatch.ServiceState{
			Phase: dispatch.ServiceRestarting, Reason: dispatch.ReasonNode, Message: oneLine("its allocation is " + alloc.ClientStatus + ": " + describe(alloc)),
			Since: time.Unix(0, alloc.ModifyTime).UTC(),
		}
	}
	return starting
}

// take counts a check of Nomad's; nil is none yet.
func (p *pulse) take(s dispatch.ServiceState, check *api.AllocCheckStatus, grace time.Duration) dispatch.ServiceState {
	if !s.Since.Equal(p.run) {
		*p = pulse{run: s.Since, phase: dispatch.ServiceRunning, since: s.Since}
	}
	if check != nil && check.Timestamp != p.checked && time.Unix(check.Timestamp, 0).After(p.run.Add(-time.Second)) {
		p.checked = check.Timestamp
		p.count(check, grace)
	}
	s.Phase, s.Message, s.Since = p.phase, p.message, p.since
	return s
}

func (p *pulse) count(check *api.AllocCheckStatus, grace time.Duration) {
	at := time.Unix(check.Timestamp, 0).UTC()
	phase := p.phase
	switch {
	case check.Status == checkSuccess:
		p.failures, phase = 0, dispatch.ServiceHealthy
	case check.Status != checkFailure, p.phase == dispatch.ServiceRunning && at.Sub(p.run) < grace:
	default:
		if p.failures++; p.failures >= unhealthyAfter {
			phase = dispatch.ServiceUnhealthy
		}
	}
	if phase == p.phase {
		return
	}
	p.phase, p.since, p.message = phase, at, ""
	if phase == dispatch.ServiceUnhealthy {
		p.message = oneLine(fmt.Sprintf("check %s failed with status %d: %.200s", check.Check, check.StatusCode, check.Output))
	}
}
