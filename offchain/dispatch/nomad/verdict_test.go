package nomad

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
)

func TestAllocIndex(t *testing.T) {
	for name, want := range map[string]uint32{"job.slice[0]": 0, "job[3].slice[255]": 255} {
		got, ok := allocIndex(name)
		require.True(t, ok, name)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"", "job", "job.slice[]", "job.slice[-1]", "job.slice[1", "job.slice[4294967296]"} {
		_, ok := allocIndex(name)
		require.False(t, ok, name)
	}
}

func TestVerdict(t *testing.T) {
	event := func(kind, message string, details map[string]string) *api.TaskEvent {
		return &api.TaskEvent{Type: kind, DisplayMessage: message, Details: details}
	}
	for name, c := range map[string]struct {
		events  []*api.TaskEvent
		reason  dispatch.Reason
		message string
	}{
		"killed for memory": {
			[]*api.TaskEvent{event(api.TaskStarted, "", nil), event(api.TaskTerminated, "", map[string]string{"exit_code": "137", "oom_killed": "true"})},
			dispatch.ReasonMemory, "memory",
		},
		"runner failed": {
			[]*api.TaskEvent{event(api.TaskTerminated, "", map[string]string{"exit_code": "125", "oom_killed": "false"})},
			dispatch.ReasonNode, "exit code 125",
		},
		"image": {
			[]*api.TaskEvent{event(api.TaskDriverFailure, "Failed to pull", nil), event(api.TaskNotRestarting, "", nil)},
			dispatch.ReasonNode, "Driver Failure: Failed to pull",
		},
		"download":    {[]*api.TaskEvent{event(api.TaskArtifactDownloadFailed, "404", nil)}, dispatch.ReasonNode, "404"},
		"setup":       {[]*api.TaskEvent{event(api.TaskSetupFailure, "no disk", nil)}, dispatch.ReasonNode, "no disk"},
		"no reason":   {[]*api.TaskEvent{event(api.TaskReceived, "", nil)}, dispatch.ReasonNode, "without a reason"},
		"never began": {nil, dispatch.ReasonNode, "never began"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &api.AllocationListStub{}
			if c.events != nil {
				a.TaskStates = map[string]*api.TaskState{taskName: {Events: c.events}}
			}
			got := verdict(a)
			require.Equal(t, c.reason, got.reason)
			require.Contains(t, got.message, c.message)
		})
	}
}

// What fails before the task or beside it, so that it never begins, is why.
func TestVerdictOfOtherTasks(t *testing.T) {
	for _, name := range []string{prepareName, LendTask} {
		a := &api.AllocationListStub{TaskStates: map[string]*api.TaskState{
			taskName: {Events: []*api.TaskEvent{{Type: api.TaskReceived}}},
			name:     {Failed: true, Events: []*api.TaskEvent{{Type: api.TaskDriverFailure, DisplayMessage: "Failed to pull by " + name}}},
		}}
		require.Contains(t, verdict(a).message, "Failed to pull by "+name)
	}
}

func TestPlacementFailure(t *testing.T) {
	require.Equal(t, "the scheduler gave no reason", placementFailure(nil))
	old := &api.Evaluation{ModifyIndex: 1, FailedTGAllocs: map[string]*api.AllocationMetric{groupName: {NodesEvaluated: 7}}}
	newer := &api.Evaluation{ModifyIndex: 2, FailedTGAllocs: map[string]*api.AllocationMetric{groupName: {
		NodesEvaluated: 2, ConstraintFiltered: map[string]int{"${node.class} = a": 1}, DimensionExhausted: map[string]int{"memory": 1},
		QuotaExhausted: []string{"cpu"},
	}}}
	require.Equal(t, "2 nodes evaluated, constraint ${node.class} = a excluded 1, memory exhausted on 1, quota exhausted: cpu",
		placementFailure([]*api.Evaluation{old, newer}))
	nowhere := &api.Evaluation{FailedTGAllocs: map[string]*api.AllocationMetric{groupName: {}}}
	require.Contains(t, placementFailure([]*api.Evaluation{nowhere}), "no node in the datacenter")
	failed := &api.Evaluation{Status: api.EvalStatusFailed, StatusDescription: "maximum attempts reached (5)"}
	require.Equal(t, "maximum attempts reached (5)", placementFailure([]*api.Evaluation{failed}))
}

// TestCheckOutcome: a client can write anything where the runner writes outcomes.
func TestCheckOutcome(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := dispatch.Assignment{StorageMiB: 1}
	good := dispatch.TaskOutcome{Task: 3, Reason: dispatch.ReasonOK, Result: artifact.DigestOf(nil), ResultSize: 10, Started: start, Finished: start}
	require.NoError(t, checkOutcome(good, 3, a))
	for name, spoil := range map[string]func(*dispatch.TaskOutcome){
		"another task":      func(o *dispatch.TaskOutcome) { o.Task = 4 },
		"no reason":         func(o *dispatch.TaskOutcome) { o.Reason, o.Result = "", artifact.EmptyDigest },
		"unknown reason":    func(o *dispatch.TaskOutcome) { o.Reason, o.Result = "bored", artifact.EmptyDigest },
		"stopped":           func(o *dispatch.TaskOutcome) { o.Reason = dispatch.ReasonStopped },
		"code without exit": func(o *dispatch.TaskOutcome) { o.ExitCode = 1 },
		"exit without code": func(o *dispatch.TaskOutcome) { o.Reason = dispatch.ReasonExit },
		"large code":        func(o *dispatch.TaskOutcome) { o.Reason, o.ExitCode = dispatch.ReasonExit, 256 },
		"result kept":       func(o *dispatch.TaskOutcome) { o.Reason = dispatch.ReasonTimeout },
		"negative size":     func(o *dispatch.TaskOutcome) { o.ResultSize = -1 },
		"too large":         func(o *dispatch.TaskOutcome) { o.ResultSize = 1 << 30 },
		"backwards":         func(o *dispatch.TaskOutcome) { o.Finished = start.Add(-1) },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			require.ErrorIs(t, checkOutcome(o, 3, a), errResult)
		})
	}
}

func TestFits(t *testing.T) {
	m := Machine{MHz: 9000, Cores: 4, MemoryMiB: 1024}
	a := dispatch.Assignment{CPUMilli: 4000, MemoryMiB: 1024 - runnerMemoryMiB}
	require.NoError(t, m.fits(a))
	require.Equal(t, int64(9000), m.mhz(4000))
	require.Equal(t, int64(3), m.mhz(1), "rounded up")
	more := a
	more.CPUMilli++
	require.ErrorIs(t, m.fits(more), dispatch.ErrInvalidAssignment)
	more = a
	more.MemoryMiB++
	require.ErrorIs(t, m.fits(more), dispatch.ErrInvalidAssignment)
}

func TestSkew(t *testing.T) {
	for _, c := range []struct {
		servers, clients string
		skew             int
		refused          string
	}{
		{"2.0.6", "2.0.6", 0, ""},
		{"1.8.0", "1.8.0", 0, ""},
		{"2.0.6-dev", "2.0.6-dev 2.0.6-dev", 0, ""},
		{"1.10.1 1.10.2", "1.10.1", 1, ""},
		{"1.10.1", "1.11.0", 1, ""},
		{"2.0.1", "1.10.0", 1, ""},
		{"1.7.9", "", 0, "1.8.0 or newer"},
		{"1.9.0", "1.7.0", 0, "1.8.0 or newer"},
		{"", "", 0, "no server"},
		{"one", "", 0, "one"},
	} {
		v, err := skew(Versions{Region: "r"}, strings.Fields(c.servers), strings.Fields(c.clients))
		if c.refused != "" {
			require.ErrorContains(t, err, c.refused, c)
			continue
		}
		require.NoError(t, err)
		require.Len(t, v.Skew, c.skew, c)
	}
}
