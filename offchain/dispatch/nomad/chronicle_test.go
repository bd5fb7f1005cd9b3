package nomad

import (
	"fmt"
	"testing"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// TestChronicleMachine: whatever Nomad lists again, drops or brings late, each event that it showed is told once, those of a task in their order.
func TestChronicleMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const nomadKeeps = 10
		var c chronicle
		var shown [2][2][]*api.TaskEvent // by allocation and task
		clock, read := int64(1_800_000_000_000_000_000), 0
		got := map[string][]dispatch.Event{}
		t.Repeat(map[string]func(*rapid.T){
			"happen": func(t *rapid.T) {
				a, task := rapid.IntRange(0, 1).Draw(t, "alloc"), rapid.IntRange(0, 1).Draw(t, "task")
				for range rapid.IntRange(1, nomadKeeps).Draw(t, "events") {
					clock += rapid.Int64Range(1000, 3000).Draw(t, "time")
					shown[a][task] = append(shown[a][task], &api.TaskEvent{Type: api.TaskStarted, Time: clock, DisplayMessage: fmt.Sprint(a, task)})
				}
				c.take(7, stubOf(a, shown[a], nomadKeeps, rapid.Bool().Draw(t, "streamed")))
			},
			"again": func(t *rapid.T) {
				a := rapid.IntRange(0, 1).Draw(t, "alloc")
				c.take(7, stubOf(a, shown[a], nomadKeeps, rapid.Bool().Draw(t, "streamed")))
			},
			"": func(t *rapid.T) {
				require.LessOrEqual(t, len(c.told), keptEvents)
				all := c.first + len(c.told)
				for _, e := range c.told[max(read-c.first, 0):] {
					require.EqualValues(t, 7, *e.Task)
					got[e.Message] = append(got[e.Message], e)
				}
				read = all
				for a := range shown {
					for task, want := range shown[a] {
						have := got[fmt.Sprint(a, task)]
						require.Len(t, have, len(want))
						for i, e := range have {
							require.Equal(t, streamed(want[i].Time), e.Time.UnixNano())
						}
					}
				}
			},
		})
	})
}

// stubOf is an allocation as a list has it, or as the event stream brings it: through a float.
func stubOf(a int, tasks [2][]*api.TaskEvent, keeps int, stream bool) *api.AllocationListStub {
	stub := &api.AllocationListStub{ID: fmt.Sprint(a), TaskStates: map[string]*api.TaskState{}}
	for i, events := range tasks {
		state := &api.TaskState{}
		for _, e := range events[max(0, len(events)-keeps):] {
			copied := *e
			if stream {
				copied.Time = int64(float64(e.Time))
			}
			state.Events = append(state.Events, &copied)
		}
		stub.TaskStates[fmt.Sprint(i)] = state
	}
	return stub
}

func TestEventOf(t *testing.T) {
	for name, c := range map[string]struct {
		task string
		in   api.TaskEvent
		want dispatch.Event
	}{
		"out of memory": {
			taskName, api.TaskEvent{
				Type: api.TaskTerminated, DisplayMessage: "Exit Code: 137", Details: map[string]string{"exit_code": "137", "oom_killed": "true"},
			},
			dispatch.Event{Reason: "memory", ExitCode: 137, Message: "Exit Code: 137"},
		},
		"no good code":     {taskName, api.TaskEvent{Type: api.TaskTerminated, Details: map[string]string{"exit_code": "-1"}}, dispatch.Event{}},
		"code of no end":   {taskName, api.TaskEvent{Type: api.TaskRestarting, Details: map[string]string{"exit_code": "3"}}, dispatch.Event{}},
		"an older server":  {taskName, api.TaskEvent{Type: api.TaskStarted, Message: "two\nlines"}, dispatch.Event{Message: "two lines"}},
		"the task before":  {prepareName, api.TaskEvent{Type: api.TaskStarted, DisplayMessage: "Task started"}, dispatch.Event{Message: "prepare: Task started"}},
		"the task beside":  {LendTask, api.TaskEvent{Type: api.TaskStarted, DisplayMessage: "Task started"}, dispatch.Event{Message: "lend: Task started"}},
		"without any text": {prepareName, api.TaskEvent{Type: api.TaskStarted}, dispatch.Event{Message: "prepare"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, eventOf(c.task, &c.in)) })
	}
}

// TestLostIsToldOnce: an allocation has no event for it.
func TestLostIsToldOnce(t *testing.T) {
	var c chronicle
	for at := range int64(2) {
		c.take(0, &api.AllocationListStub{ID: "a", ClientStatus: api.AllocClientStatusLost, ModifyTime: 5 + at, DesiredDescription: "its node is down"})
	}
	require.Len(t, c.told, 1)
	require.Equal(t, lostEvent, c.told[0].Event)
	require.Equal(t, "its node is down", c.told[0].Message)
}
