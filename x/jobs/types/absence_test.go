package types_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func TestMatchKeepsClearOfAnnouncedHours(t *testing.T) {
	p := types.DefaultParams()
	const now, length = 1_700_438_400, 600 // a Monday, 00:00 UTC
	weekly := func(start, minutes uint32) func(*nodestypes.Node) {
		return func(n *nodestypes.Node) {
			n.Absences = []nodestypes.Absence{{Weekly: nodestypes.WeeklyHours{Start: start, Minutes: minutes}}}
		}
	}
	span := func(from, to int64) func(*nodestypes.Node) {
		return func(n *nodestypes.Node) {
			n.Absences = []nodestypes.Absence{{Span: nodestypes.Span{From: now + from, To: now + to}}}
		}
	}
	for name, c := range map[string]struct {
		hours          func(*nodestypes.Node)
		batch, service string // what the refusal says; empty if it is matched
	}{
		"none":                    {func(*nodestypes.Node) {}, "", ""},
		"now":                     {span(-5, 5), "offline in 0 s", "offline in 0 s"},
		"over":                    {span(-5, 0), "", ""},
		"just after a task":       {span(length+300, length+301), "", "must stay for 14400"},
		"a second sooner":         {span(length+299, length+300), "offline in 899 s, and must stay for 900", "must stay for 14400"},
		"in four hours":           {span(14_400, 99_999), "", ""},
		"in less":                 {span(14_399, 99_999), "", "offline in 14399 s"},
		"each week, in a quarter": {weekly(15, 60), "", "offline in 900 s"},
		"each week, sooner":       {weekly(14, 60), "offline in 840 s", "offline in 840 s"},
		"each week, over its end": {weekly(10_000, 90), "offline in 0 s", "offline in 0 s"},
		"a quarter of the week":   {weekly(1_000, 2_520), "", ""},
		"more than that":          {weekly(1_000, 2_521), "", "offline for 26 % of the week"},
	} {
		t.Run(name, func(t *testing.T) {
			node := nodestypes.Node{Status: nodestypes.NODE_STATUS_ACTIVE, Owner: "other", Grade: nodestypes.NETWORK_GRADE_B}
			c.hours(&node)
			job := types.Job{
				Type: types.JOB_TYPE_BATCH, Status: types.JOB_STATUS_OPEN, Owner: "dev", PriceCap: 100, Engine: nodestypes.ENGINE_WASM,
				Resources: nodestypes.Resources{CpuMilli: 1, MemoryMib: 1},
			}
			slice := types.Slice{Status: types.SLICE_STATUS_PENDING, TaskCount: 1, MaxDuration: length, Budget: 100}
			_, err := types.CheckMatch(p, job, slice, node, now)
			says(t, c.batch, err)
			job.Type, job.Service = types.JOB_TYPE_SERVICE, &types.Service{}
			_, err = types.CheckMatch(p, job, slice, node, now)
			says(t, c.service, err)
		})
	}
}

func says(t *testing.T, text string, err error) {
	t.Helper()
	if text == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, types.ErrNoMatch)
	require.ErrorContains(t, err, text)
}

// The kind of work decides which grade is asked for, unless the job says.
func TestMinGrade(t *testing.T) {
	p := types.DefaultParams()
	for name, c := range map[string]struct {
		job  types.Job
		want nodestypes.NetworkGrade
	}{
		"batch":   {types.Job{}, nodestypes.NETWORK_GRADE_UNSPECIFIED},
		"service": {types.Job{Type: types.JOB_TYPE_SERVICE, Service: &types.Service{}}, nodestypes.NETWORK_GRADE_B},
		"a service that is batch work": {types.Job{
			Type: types.JOB_TYPE_SERVICE, Service: &types.Service{}, Constraints: types.Constraints{Profile: types.PROFILE_BATCH},
		}, nodestypes.NETWORK_GRADE_UNSPECIFIED},
		"iot":                   {types.Job{Constraints: types.Constraints{Profile: types.PROFILE_IOT}}, nodestypes.NETWORK_GRADE_B},
		"storage":               {types.Job{Constraints: types.Constraints{Profile: types.PROFILE_STORAGE}}, nodestypes.NETWORK_GRADE_B},
		"game":                  {types.Job{Constraints: types.Constraints{Profile: types.PROFILE_GAME}}, nodestypes.NETWORK_GRADE_A},
		"streaming":             {types.Job{Constraints: types.Constraints{Profile: types.PROFILE_STREAMING}}, nodestypes.NETWORK_GRADE_A},
		"a game that asks less": {types.Job{Constraints: types.Constraints{Profile: types.PROFILE_GAME, MinGrade: nodestypes.NETWORK_GRADE_C}}, nodestypes.NETWORK_GRADE_C},
	} {
		require.Equal(t, c.want, p.MinGrade(c.job), name)
	}
	p.ProfileGrades = nil
	require.Equal(t, nodestypes.NETWORK_GRADE_UNSPECIFIED, p.MinGrade(types.Job{Constraints: types.Constraints{Profile: types.PROFILE_GAME}}))
}
