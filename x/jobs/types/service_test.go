package types_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

func validService(t testing.TB) *types.MsgSubmitJob {
	msg := validSubmit(t)
	msg.Type, msg.Tasks, msg.MaxDuration = types.JOB_TYPE_SERVICE, 0, 0
	msg.Replicas, msg.FundedTime = 3, 3600
	msg.Ports = []types.Port{
		{Name: "http", ContainerPort: 80, Protocol: types.PROTOCOL_TCP},
		{Name: "dns", ContainerPort: 53, Protocol: types.PROTOCOL_UDP, HostPort: 5353},
	}
	return msg
}

func TestServiceNamesTheFieldAndTheRule(t *testing.T) {
	require.NoError(t, validService(t).Validate(ac))
	for _, c := range []struct {
		says   string
		change func(*types.MsgSubmitJob)
	}{
		{"tasks: it is not for services: give replicas", func(m *types.MsgSubmitJob) { m.Tasks = 1 }},
		{"min_success: it is not for services", func(m *types.MsgSubmitJob) { m.MinSuccess = 1 }},
		{"max_duration: it is not for services: give funded_time", func(m *types.MsgSubmitJob) { m.MaxDuration = 1 }},
		{"wishes.gang: it is not for services", func(m *types.MsgSubmitJob) { m.Wishes = &types.Wishes{Gang: true} }},
		{"schedule: it is for periodic jobs", func(m *types.MsgSubmitJob) { m.Schedule = "@daily" }},
		{"replicas: 0; it must be 1 to 64", func(m *types.MsgSubmitJob) { m.Replicas = 0 }},
		{"replicas: 65", func(m *types.MsgSubmitJob) { m.Replicas = 65 }},
		{"funded_time: 0", func(m *types.MsgSubmitJob) { m.FundedTime = 0 }},
		{"funded_time: 1152921504606846976", func(m *types.MsgSubmitJob) { m.FundedTime = 1 << 60 }},
		{"ports: 17 entries; at most 16", func(m *types.MsgSubmitJob) { m.Ports = make([]types.Port, 17) }},
		{"ports[0].name: \"\"", func(m *types.MsgSubmitJob) { m.Ports[0].Name = "" }},
		{"ports[0].name: \"Http\"", func(m *types.MsgSubmitJob) { m.Ports[0].Name = "Http" }},
		{"ports[0].name: ", func(m *types.MsgSubmitJob) { m.Ports[0].Name = strings.Repeat("a", 33) }},
		{"ports[1].name: \"http\" is there twice", func(m *types.MsgSubmitJob) { m.Ports[1].Name = "http" }},
		{"ports[0].protocol: PROTOCOL_UNSPECIFIED", func(m *types.MsgSubmitJob) { m.Ports[0].Protocol = 0 }},
		{"ports[0].container_port: 0", func(m *types.MsgSubmitJob) { m.Ports[0].ContainerPort = 0 }},
		{"ports[0].container_port: 65536", func(m *types.MsgSubmitJob) { m.Ports[0].ContainerPort = 65_536 }},
		{"ports[1].container_port: 80 is there twice", func(m *types.MsgSubmitJob) {
			m.Ports[1].ContainerPort, m.Ports[1].Protocol = 80, types.PROTOCOL_TCP
		}},
		{"ports[1].host_port: 80; leave it out", func(m *types.MsgSubmitJob) { m.Ports[1].HostPort = 80 }},
		{"ports[1].host_port: 5353 is there twice", func(m *types.MsgSubmitJob) { m.Ports[0].HostPort = 5353 }},
	} {
		t.Run(c.says, func(t *testing.T) {
			msg := validService(t)
			c.change(msg)
			err := msg.Validate(ac)
			require.ErrorIs(t, err, types.ErrInvalidField)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// Golden: cap 1000 ufog an hour for an hour is 1000, 1 % of it 10, and 12 epochs of 300 s burn 1000 each.
func TestServiceBudget(t *testing.T) {
	p := types.DefaultParams()
	budget, err := p.ServiceBudget(validService(t))
	require.NoError(t, err)
	require.EqualValues(t, 3*(1000+10+12*1000), budget)
	msg := validService(t)
	msg.FundedTime, msg.PriceCap = 301, 1 // ⌈301/3600⌉ and a fee of 1; a second epoch has begun
	budget, err = p.ServiceBudget(msg)
	require.NoError(t, err)
	require.EqualValues(t, 3*(1+1+2000), budget)
	msg.PriceCap, msg.FundedTime = types.MaxPrice, 366*24*3600
	_, err = p.ServiceBudget(msg)
	require.NoError(t, err)
	p.EpochFee = 1 << 62
	_, err = p.ServiceBudget(msg)
	require.Error(t, err, "over 64 bits")
}

func TestFundedUntil(t *testing.T) {
	p := types.DefaultParams()
	s := types.Service{Rate: 12_000, Replicas: make([]types.Replica, 2)}
	cost, err := p.EpochCost(s)
	require.NoError(t, err)
	require.EqualValues(t, 1000+10+2*1000, cost)
	s.Pool = 2*cost + cost/2
	until, err := p.FundedUntil(s, 5_000)
	require.NoError(t, err)
	require.EqualValues(t, 5_000+60+600, until)
	p.EpochFee, s.Rate, s.Pool = 0, 1, 1<<63
	until, err = p.FundedUntil(s, 5_000)
	require.NoError(t, err)
	require.EqualValues(t, 1<<62, until, "more seconds than can be told")
	until, err = p.FundedUntil(types.Service{}, 5_000)
	require.NoError(t, err)
	require.EqualValues(t, 1<<62, until, "what costs nothing is paid for for ever")
}

func TestFailuresInARow(t *testing.T) {
	var s types.Serving
	for _, step := range []struct {
		epoch uint64
		want  uint32
	}{{7, 1}, {8, 2}, {9, 3}, {11, 1}, {12, 2}} {
		s.NameUnhealthy(step.epoch)
		unhealthy, notRunning := s.Failing(step.epoch)
		require.Equal(t, step.want, unhealthy, step.epoch)
		require.Zero(t, notRunning)
		unhealthy, _ = s.Failing(step.epoch + 1)
		require.Zero(t, unhealthy, "an epoch without a word ends the row")
	}
	s.NameNotRunning(12)
	_, notRunning := s.Failing(12)
	require.EqualValues(t, 1, notRunning)
}

func TestServicesBody(t *testing.T) {
	item := func(slice, attempt uint32) types.ServiceItem {
		return types.ServiceItem{JobId: jobID, Slice: slice, Attempt: attempt}
	}
	items := func(list ...types.ServiceItem) []types.ServiceItem { return list }
	subject := types.EncodeServicesSubject(258)
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 1, 2}, subject)
	for says, o := range map[string]types.ServiceObservation{
		"":                              {NotRunning: items(item(0, 1), item(1, 1)), Unhealthy: items(item(1, 2)), Started: items(item(2, 1))},
		"not_running[0].job_id: ":       {NotRunning: items(types.ServiceItem{JobId: nodeID})},
		"unhealthy[1]: items must":      {Unhealthy: items(item(1, 1), item(1, 1))},
		"started[1]: items must":        {Started: items(item(1, 2), item(1, 1))},
		"unhealthy[0]: slice 3 of job1": {NotRunning: items(item(3, 1)), Unhealthy: items(item(3, 1))},
		"started holds 2001":            {Started: make([]types.ServiceItem, types.MaxServiceItems+1)},
	} {
		t.Run(says, func(t *testing.T) {
			body, err := o.Marshal()
			require.NoError(t, err)
			err = types.ValidateServicesBody(subject, body)
			msg, buildErr := types.NewMsgRecordServices(owner(t), subject, [][]byte{body}, []string{owner(t)}, 1)
			if says == "" {
				require.NoError(t, err)
				require.NoError(t, buildErr)
				require.NoError(t, msg.Validate(ac))
				require.EqualValues(t, 258, msg.Epoch)
				msg.Quorum = 2
				require.ErrorContains(t, msg.Validate(ac), "quorum: 2 of 1 observations")
				return
			}
			require.ErrorIs(t, err, types.ErrInvalidReport)
			require.ErrorContains(t, err, says)
			require.Error(t, buildErr)
		})
	}
	_, err := types.NewMsgRecordServices(owner(t), []byte{1}, nil, nil, 1)
	require.ErrorIs(t, err, types.ErrInvalidReport)
}

// A node's grade and its free ports are hard constraints.
func TestMatchOfAService(t *testing.T) {
	p := types.DefaultParams()
	node := nodestypes.Node{
		Status: nodestypes.NODE_STATUS_ACTIVE, Owner: "other", Address: "a.example", Ports: nodestypes.PortRange{From: 5353, To: 5354},
		Grade: nodestypes.NETWORK_GRADE_B,
	}
	msg := validService(t)
	job := types.Job{
		Type: msg.Type, Status: types.JOB_STATUS_OPEN, Owner: msg.Owner, Engine: msg.Engine, Resources: msg.Resources, PriceCap: msg.PriceCap,
		Service: &types.Service{Ports: msg.Ports},
	}
	slice := types.Slice{Status: types.SLICE_STATUS_PENDING, TaskCount: 1, MaxDuration: 360, Budget: 100}
	check := func(change func(*nodestypes.Node, *types.Job)) error {
		n, j := node, job
		change(&n, &j)
		_, err := types.CheckMatch(p, j, slice, n, 0)
		return err
	}
	require.NoError(t, check(func(*nodestypes.Node, *types.Job) {}))
	for says, change := range map[string]func(*nodestypes.Node, *types.Job){
		"ports: 2 are asked for, 1 are free": func(n *nodestypes.Node, _ *types.Job) { n.PortsInUse = []uint32{5354} },
		"port 5353 is not free":              func(n *nodestypes.Node, _ *types.Job) { n.Ports.From, n.Ports.To = 5354, 5355 },
		"ports: 2 are asked for, 0 are free": func(n *nodestypes.Node, _ *types.Job) { n.Ports = nodestypes.PortRange{} },
		"network grade is NETWORK_GRADE_C":   func(n *nodestypes.Node, _ *types.Job) { n.Grade = nodestypes.NETWORK_GRADE_C },
		"not at least NETWORK_GRADE_A":       func(_ *nodestypes.Node, j *types.Job) { j.Constraints.MinGrade = nodestypes.NETWORK_GRADE_A },
	} {
		err := check(change)
		require.ErrorIs(t, err, types.ErrNoMatch, says)
		require.ErrorContains(t, err, says)
	}
	require.NoError(t, check(func(n *nodestypes.Node, j *types.Job) {
		n.Grade, j.Constraints.MinGrade = nodestypes.NETWORK_GRADE_C, nodestypes.NETWORK_GRADE_C
	}), "a job may be content with less than its kind is")
	require.NoError(t, check(func(n *nodestypes.Node, j *types.Job) { n.Grade, j.Service = 0, nil }), "batch work asks for no grade")
}

// FuzzServicesBody: any bytes are an observation or refused with an error of this module.
func FuzzServicesBody(f *testing.F) {
	seed, err := (&types.ServiceObservation{
		Unhealthy: []types.ServiceItem{{JobId: jobID, Slice: 1, Attempt: 1}}, Started: []types.ServiceItem{{JobId: jobID, Slice: 2, Attempt: 1}},
	}).Marshal()
	require.NoError(f, err)
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := types.DecodeServicesBody(data)
		if err != nil {
			require.ErrorIs(t, err, types.ErrInvalidReport)
			return
		}
		again, err := o.Marshal()
		require.NoError(t, err)
		require.NoError(t, types.ValidateServicesBody(nil, again))
	})
}
