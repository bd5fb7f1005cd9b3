package link

import (
	"github.com/foggrid/fogd/offchain/challenge"
	"github.com/foggrid/fogd/offchain/link/linkpb"
)

const (
	protocolVersion = 1
	challengeIDSize = 16

	maxReasonLength = 256
)

func startToProto(id []byte, step uint32, task challenge.Task) *linkpb.OracleMessage {
	m := &linkpb.ChallengeStart{Id: id, Step: step}
	switch t := task.(type) {
	case challenge.CPUTask:
		m.Task = &linkpb.ChallengeStart_Cpu{Cpu: &linkpb.CPUTask{Modulus: t.Modulus, Bases: t.Bases, Squarings: t.Squarings}}
	case challenge.MemoryFillTask:
		m.Task = &linkpb.ChallengeStart_MemoryFill{MemoryFill: &linkpb.MemoryFillTask{Seed: t.Seed, Blocks: t.Blocks}}
	case challenge.MemoryWalkTask:
		m.Task = &linkpb.ChallengeStart_MemoryWalk{MemoryWalk: &linkpb.MemoryWalkTask{Start: t.Start, Segments: t.Segments, Steps: t.Steps}}
	case challenge.DiskPrepareTask:
		m.Task = &linkpb.ChallengeStart_DiskPrepare{DiskPrepare: &linkpb.DiskPrepareTask{Seed: t.Seed, Blocks: t.Blocks}}
	case challenge.DiskReadTask:
		m.Task = &linkpb.ChallengeStart_DiskRead{DiskRead: &linkpb.DiskReadTask{Start: t.Start, Lanes: t.Lanes, Reads: t.Reads}}
	case challenge.NetworkSendTask:
		m.Task = &linkpb.ChallengeStart_NetworkSend{NetworkSend: &linkpb.NetworkSendTask{Seed: t.Seed, Bytes: t.Bytes}}
	case challenge.NetworkReceiveTask:
		m.Task = &linkpb.ChallengeStart_NetworkReceive{NetworkReceive: &linkpb.NetworkReceiveTask{Bytes: t.Bytes}}
	}
	return &linkpb.OracleMessage{Body: &linkpb.OracleMessage_Start{Start: m}}
}

// taskFromProto gives nil for a kind of task that this build does not know; the worker refuses it, as it does every bad value. What is to be
// received comes in pieces.
func taskFromProto(m *linkpb.ChallengeStart) challenge.Task {
	switch t := m.GetTask().(type) {
	case *linkpb.ChallengeStart_Cpu:
		return challenge.CPUTask{Modulus: t.Cpu.GetModulus(), Bases: t.Cpu.GetBases(), Squarings: t.Cpu.GetSquarings()}
	case *linkpb.ChallengeStart_MemoryFill:
		return challenge.MemoryFillTask{Seed: t.MemoryFill.GetSeed(), Blocks: t.MemoryFill.GetBlocks()}
	case *linkpb.ChallengeStart_MemoryWalk:
		return challenge.MemoryWalkTask{Start: t.MemoryWalk.GetStart(), Segments: t.MemoryWalk.GetSegments(), Steps: t.MemoryWalk.GetSteps()}
	case *linkpb.ChallengeStart_DiskPrepare:
		return challenge.DiskPrepareTask{Seed: t.DiskPrepare.GetSeed(), Blocks: t.DiskPrepare.GetBlocks()}
	case *linkpb.ChallengeStart_DiskRead:
		return challenge.DiskReadTask{Start: t.DiskRead.GetStart(), Lanes: t.DiskRead.GetLanes(), Reads: t.DiskRead.GetReads()}
	case *linkpb.ChallengeStart_NetworkSend:
		return challenge.NetworkSendTask{Seed: t.NetworkSend.GetSeed(), Bytes: t.NetworkSend.GetBytes()}
	case *linkpb.ChallengeStart_NetworkReceive:
		return challenge.NetworkReceiveTask{Bytes: t.NetworkReceive.GetBytes()}
	}
	return nil
}

func reportToProto(s SignedReport) *linkpb.AgentMessage {
	r := &linkpb.Report{
		NodeId: s.NodeID, JobId: s.JobID, Slice: s.Slice, Attempt: s.Attempt,
		ResultRoot: s.ResultRoot[:], Tasks: make([]*linkpb.TaskOutcome, len(s.Tasks)),
	}
	if s.ManifestDigest != [32]byte{} {
		r.ManifestDigest = s.ManifestDigest[:]
	}
	for i, t := range s.Tasks {
		r.Tasks[i] = &linkpb.TaskOutcome{Task: t.Task, ExitCode: t.ExitCode, Reason: linkpb.TaskReason(t.Reason), DurationMs: t.DurationMS} //nolint:gosec // a number of an enum; unknown ones are refused
	}
	return &linkpb.AgentMessage{Body: &linkpb.AgentMessage_Report{Report: &linkpb.SignedReport{Report: r, Signature: s.Signature}}}
}

func reportFromProto(m *linkpb.SignedReport) (SignedReport, error) {
	r := m.GetReport()
	s := SignedReport{Signature: m.GetSignature(), Report: Report{
		NodeID: r.GetNodeId(), JobID: r.GetJobId(), Slice: r.GetSlice(), Attempt: r.GetAttempt(),
	}}
	if len(r.GetTasks()) > MaxTasks {
		return s, malformed("report of %d tasks; send at most %d", len(r.GetTasks()), MaxTasks)
	}
	if len(r.GetResultRoot()) != 32 {
		return s, malformed("result_root has %d bytes; send 32", len(r.GetResultRoot()))
	}
	if n := len(r.GetManifestDigest()); n != 0 && n != 32 {
		return s, malformed("manifest_digest has %d bytes; send 32 or none", n)
	}
	copy(s.ResultRoot[:], r.GetResultRoot())
	copy(s.ManifestDigest[:], r.GetManifestDigest())
	s.Tasks = make([]TaskOutcome, len(r.GetTasks()))
	for i, t := range r.GetTasks() {
		s.Tasks[i] = TaskOutcome{Task: t.GetTask(), ExitCode: t.GetExitCode(), Reason: Reason(t.GetReason()), DurationMS: t.GetDurationMs()} //nolint:gosec // a number of an enum; unknown ones are refused
	}
	return s, s.Validate()
}

func progressToProto(p Progress) *linkpb.AgentMessage {
	return &linkpb.AgentMessage{Body: &linkpb.AgentMessage_Progress{Progress: &linkpb.Progress{
		JobId: p.JobID, Slice: p.Slice, Attempt: p.Attempt,
		State: linkpb.ProgressState(p.State), TasksDone: p.TasksDone, TasksTotal: p.TasksTotal, //nolint:gosec // a number of an enum; unknown ones are refused
	}}}
}

func progressFromProto(m *linkpb.Progress) (Progress, error) {
	p := Progress{
		JobID: m.GetJobId(), Slice: m.GetSlice(), Attempt: m.GetAttempt(),
		State: ProgressState(m.GetState()), TasksDone: m.GetTasksDone(), TasksTotal: m.GetTasksTotal(), //nolint:gosec // a number of an enum; unknown ones are refused
	}
	return p, p.Validate()
}

func helloFromProto(m *linkpb.Hello) (Hello, error) {
	if m.GetProtocol() != protocolVersion {
		return Hello{}, malformed("the agent speaks protocol %d and this oracle %d; update the older one", m.GetProtocol(), protocolVersion)
	}
	h := Hello{NodeID: m.GetNodeId(), BootID: m.GetBootId(), Version: m.GetVersion(), Watch: m.GetWatch(), Network: m.GetNetwork(),
		Events: m.GetEvents(), Exec: m.GetExec()}
	return h, h.Validate()
}

// printable makes what a peer said fit for a log: short, ASCII, one line.
func printable(s string) string {
	b := []byte(s)
	if len(b) > maxReasonLength {
		b = b[:maxReasonLength]
	}
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
