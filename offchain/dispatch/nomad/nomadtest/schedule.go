package nomadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

// allocation is one that was placed, and its task.
type allocation struct {
	key     jobKey
	job     *api.Job
	node    *node
	index   int
	stub    api.AllocationListStub
	stop    context.CancelFunc
	running bool
	// status and states are the client's, which the server may not know.
	status string
	states map[string]*api.TaskState
}

func (a *allocation) terminal() bool {
	switch a.stub.ClientStatus {
	case api.AllocClientStatusComplete, api.AllocClientStatusFailed, api.AllocClientStatusLost:
		return true
	default:
		return false
	}
}

// schedule places what can be placed and says of the rest why not. The caller holds mu.
func (s *Server) schedule() {
	for key, job := range s.jobs {
		if job.Stop != nil && *job.Stop {
			continue
		}
		count := *job.TaskGroups[0].Count
		missing := map[int]bool{}
		for i := range count {
			missing[i] = true
		}
		for _, a := range s.allocs {
			// Complete and failed tasks are done; lost ones are placed again, as Nomad does even with rescheduling off.
			if a.key == key && a.job == job && (a.stub.DesiredStatus == api.AllocDesiredStatusRun || a.stub.ClientStatus == api.AllocClientStatusComplete) {
				delete(missing, a.index)
			}
		}
		s.place(key, job, count, missing)
	}
}

func (s *Server) place(key jobKey, job *api.Job, count int, missing map[int]bool) {
	var failure *api.AllocationMetric
	for i := range count {
		if !missing[i] {
			continue
		}
		n, why := s.choose(job)
		if n == nil {
			failure = why
			continue
		}
		s.start(key, job, n, i)
	}
	e := s.shapes.evaluation
	e.ID, e.JobID, e.Namespace, e.FailedTGAllocs = s.uuid(), key.id, key.namespace, nil
	if failure != nil {
		e.FailedTGAllocs = map[string]*api.AllocationMetric{*job.TaskGroups[0].Name: failure}
	}
	e.ModifyIndex = s.next()
	s.evals[key] = &e
}

// choose finds the node that the job is pinned to, if it has room.
func (s *Server) choose(job *api.Job) (*node, *api.AllocationMetric) {
	why := &api.AllocationMetric{ConstraintFiltered: map[string]int{}, DimensionExhausted: map[string]int{}}
	for _, n := range s.nodes {
		if n.down {
			continue
		}
		why.NodesEvaluated++
		pinned := true
		for _, c := range job.Constraints {
			if c.LTarget == "${meta.fog_node}" && c.RTarget != n.name || c.LTarget == "${node.class}" && c.RTarget != n.stub.NodeClass {
				why.ConstraintFiltered[c.LTarget+" = "+c.RTarget]++
				pinned = false
			}
		}
		if !pinned {
			continue
		}
		if !s.hasVolumes(n, job) {
			why.ConstraintFiltered["missing compatible host volumes"]++
			continue
		}
		want := job.TaskGroups[0].Tasks[0].Resources
		mhz, memory := s.opts.MHz, s.opts.MemoryMiB
		for _, a := range s.allocs {
			if a.node == n && !a.terminal() {
				mhz -= *a.job.TaskGroups[0].Tasks[0].Resources.CPU
				memory -= *a.job.TaskGroups[0].Tasks[0].Resources.MemoryMB
			}
		}
		switch {
		case mhz < *want.CPU:
			why.DimensionExhausted["cpu"]++
		case memory < *want.MemoryMB:
			why.DimensionExhausted["memory"]++
		default:
			return n, nil
		}
	}
	return nil, why
}

// start places one task on a node. The caller holds mu.
func (s *Server) start(key jobKey, job *api.Job, n *node, index int) {
	ctx, stop := context.WithCancel(s.base)
	a := &allocation{key: key, job: job, node: n, index: index, stop: stop, stub: s.shapes.allocation}
	a.stub.ID, a.stub.JobID, a.stub.Namespace = s.uuid(), key.id, key.namespace
	a.stub.Name = fmt.Sprintf("%s.%s[%d]", key.id, *job.TaskGroups[0].Name, index)
	a.stub.NodeID, a.stub.TaskGroup = n.stub.ID, *job.TaskGroups[0].Name
	a.stub.DesiredStatus, a.stub.ClientStatus = api.AllocDesiredStatusRun, api.AllocClientStatusPending
	a.stub.DesiredDescription, a.stub.ClientDescription = "", ""
	a.stub.TaskStates = map[string]*api.TaskState{}
	a.status, a.states = a.stub.ClientStatus, a.stub.TaskStates
	a.stub.CreateTime, a.stub.CreateIndex = now(), s.next()
	s.allocs = append(s.allocs, a)
	a.running = true
	s.changed(a)
	s.runs.Go(func() { s.run(ctx, a) })
}

// changed gives an allocation a new index and tells it. The caller holds mu.
func (s *Server) changed(a *allocation) {
	a.stub.ModifyIndex, a.stub.ModifyTime = s.next(), now()
	s.publish(a)
}

// run is the client's part: download, run, report.
func (s *Server) run(ctx context.Context, a *allocation) {
	ctx, end := context.WithCancel(ctx) // of what runs beside
	defer end()
	state := &api.TaskState{State: "pending", Events: []*api.TaskEvent{{Type: api.TaskReceived, Time: now(), DisplayMessage: "Task received by client"}}}
	code, failed := 0, s.prepare(ctx, a)
	if failed == nil {
		s.report(a, api.AllocClientStatusRunning, func() {
			state.State, state.StartedAt = "running", time.Now().UTC()
			state.Events = append(state.Events, &api.TaskEvent{Type: api.TaskStarted, Time: now(), DisplayMessage: "Task started by client"})
		}, state)
		code, failed = s.execute(ctx, a)
	}
	status := api.AllocClientStatusComplete
	if failed != nil || code != 0 {
		status = api.AllocClientStatusFailed
	}
	s.report(a, status, func() {
		state.State, state.Failed, state.FinishedAt = "dead", failed != nil || code != 0, time.Now().UTC()
		if failed == nil {
			failed = &api.TaskEvent{
				Type: api.TaskTerminated, DisplayMessage: fmt.Sprintf("Exit Code: %d", code),
				Details: map[string]string{"exit_code": strconv.Itoa(code), "oom_killed": "false", "signal": "0"},
			}
		}
		failed.Time = now()
		state.Events = append(state.Events, failed)
	}, state)
}

// report brings news of a client to the server, unless the client is lost.
func (s *Server) report(a *allocation, status string, change func(), state *api.TaskState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	a.running = status == api.AllocClientStatusRunning
	if a.stub.ClientStatus == api.AllocClientStatusLost {
		return
	}
	copied := *state
	a.status, a.states = status, map[string]*api.TaskState{"run": &copied}
	if a.stub.ClientStatus != api.AllocClientStatusUnknown {
		s.hear(a)
	}
}

// hear brings what the client knows of an allocation to the server. The caller holds mu.
func (s *Server) hear(a *allocation) {
	a.stub.ClientStatus, a.stub.TaskStates = a.status, a.states
	s.changed(a)
	if a.terminal() {
		s.schedule()
	}
}

func (s *Server) prepare(ctx context.Context, a *allocation) *api.TaskEvent {
	for _, dir := range []string{s.taskDir(a), s.sharedDir(a)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return &api.TaskEvent{Type: api.TaskSetupFailure, DisplayMessage: err.Error()}
		}
	}
	for _, task := range a.job.TaskGroups[0].Tasks {
		for _, d := range task.Artifacts {
			if err := download(ctx, d, filepath.Dir(s.taskDir(a))); err != nil {
				return &api.TaskEvent{Type: api.TaskArtifactDownloadFailed, DisplayMessage: err.Error()}
			}
		}
		if image := fmt.Sprint(task.Config["image"]); !s.pull(image, task.Config["auth"]) {
			return &api.TaskEvent{Type: api.TaskDriverFailure, DisplayMessage: "Failed to pull `" + image + "`: manifest unknown"}
		}
		if task.Lifecycle != nil && task.Lifecycle.Sidecar {
			if err := s.sidecar(ctx, a, task); err != nil {
				return &api.TaskEvent{Type: api.TaskSetupFailure, DisplayMessage: err.Error()}
			}
			continue
		}
		if task.Lifecycle != nil {
			if err := runner.Prepare(ctx, args(task)[1:], s.env(a)); err != nil {
				return &api.TaskEvent{Type: api.TaskTerminated, Details: map[string]string{"exit_code": strconv.Itoa(runner.ExitFailed)}}
			}
		}
	}
	return nil
}

// pull reports whether a client can get an image.
func (s *Server) pull(image string, auth any) bool {
	if image == s.opts.Image {
		return true
	}
	var c struct{ username, password string }
	if list, ok := auth.([]any); ok && len(list) == 1 {
		block := list[0].(map[string]any)
		c.username, c.password = fmt.Sprint(block["username"]), fmt.Sprint(block["password"])
	}
	return s.opts.Pull != nil && s.opts.Pull(image, c.username, c.password)
}

func download(ctx context.Context, d *api.TaskArtifact, dir string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, *d.GetterSource, nil)
	if err != nil {
		return err
	}
	for k, v := range d.GetterHeaders {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("bad response code: %d", resp.StatusCode)
	}
	f, err := os.Create(filepath.Join(dir, *d.RelativeDest))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

// execute is what the container would do.
func (s *Server) execute(ctx context.Context, a *allocation) (int, *api.TaskEvent) {
	tasks := a.job.TaskGroups[0].Tasks
	args := args(tasks[len(tasks)-1])
	order, err := runner.ParseArgs(args)
	if err != nil {
		return runner.ExitFailed, nil
	}
	if order.Image != nil {
		return s.opts.Container(ctx, order, s.sharedDir(a)), nil
	}
	code, err := runner.Run(ctx, args, s.env(a))
	if err != nil {
		return runner.ExitFailed, nil
	}
	return code, nil
}

func args(task *api.Task) (args []string) {
	for _, arg := range task.Config["args"].([]any) {
		args = append(args, arg.(string))
	}
	return args
}

func (s *Server) env(a *allocation) func(string) string {
	env := map[string]string{
		runner.EnvTaskDir: s.taskDir(a), runner.EnvAllocDir: s.sharedDir(a), runner.EnvIndex: strconv.Itoa(a.index), runner.EnvCache: s.opts.Cache,
	}
	return func(name string) string { return env[name] }
}
