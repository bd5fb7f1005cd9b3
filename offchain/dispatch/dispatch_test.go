package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
)

func valid() Assignment {
	return Assignment{
		ID: AttemptID{Job: "job1abc", Slice: 2, Attempt: 1}, FirstTask: 4, Tasks: 4, JobTasks: 8, Engine: EngineWASM,
		Module: artifact.DigestOf([]byte("module")), ModulePath: "/m", Args: []string{"x"}, Env: map[string]string{"B": "2", "A": "1"},
		CPUMilli: 1000, MemoryMiB: 64, StorageMiB: 1, MaxDuration: time.Minute,
	}
}

func TestAssignmentValidate(t *testing.T) {
	require.NoError(t, valid().Validate())
	for name, breakIt := range map[string]func(*Assignment){
		"no job id":        func(a *Assignment) { a.ID.Job = "" },
		"path as job id":   func(a *Assignment) { a.ID.Job = "../x" },
		"hidden job id":    func(a *Assignment) { a.ID.Job = ".x" },
		"slash in job id":  func(a *Assignment) { a.ID.Job = "a/b" },
		"long job id":      func(a *Assignment) { a.ID.Job = strings.Repeat("a", 129) },
		"no tasks":         func(a *Assignment) { a.Tasks = 0 },
		"too many tasks":   func(a *Assignment) { a.Tasks, a.JobTasks = 257, 1000 },
		"beyond the job":   func(a *Assignment) { a.FirstTask = 5 },
		"overflow":         func(a *Assignment) { a.FirstTask = 1<<32 - 1 },
		"engine":           func(a *Assignment) { a.Engine = "oci" },
		"no module":        func(a *Assignment) { a.Module = artifact.Digest{} },
		"no module file":   func(a *Assignment) { a.ModulePath = "" },
		"inputs no folder": func(a *Assignment) { a.Inputs = artifact.EmptyDigest },
		"inputs no digest": func(a *Assignment) { a.InputsDir = "/in" },
		"cpu":              func(a *Assignment) { a.CPUMilli = 0 },
		"no memory":        func(a *Assignment) { a.MemoryMiB = 0 },
		"memory":           func(a *Assignment) { a.MemoryMiB = 4097 },
		"storage":          func(a *Assignment) { a.StorageMiB = 0 },
		"duration":         func(a *Assignment) { a.MaxDuration = 0 },
		"zero byte in arg": func(a *Assignment) { a.Args = []string{"a\x00b"} },
		"zero byte in env": func(a *Assignment) { a.Env = map[string]string{"A": "\x00"} },
		"env name":         func(a *Assignment) { a.Env = map[string]string{"A=B": ""} },
		"no env name":      func(a *Assignment) { a.Env = map[string]string{"": ""} },
		"reserved env":     func(a *Assignment) { a.Env = map[string]string{"FOG_JOB": "x"} },
		"too many args":    func(a *Assignment) { a.Args = make([]string, 1025) },
		"too long args":    func(a *Assignment) { a.Args = []string{strings.Repeat("x", 256<<10)} },
	} {
		t.Run(name, func(t *testing.T) {
			a := valid()
			breakIt(&a)
			require.ErrorIs(t, a.Validate(), ErrInvalidAssignment)
		})
	}
}

func validService() Assignment {
	a := valid()
	a.Engine, a.FirstTask, a.Tasks, a.MaxDuration, a.StorageMiB = EngineDocker, 0, 1, 0, 8
	a.Service = &Service{
		Ports: []Port{{Name: "web", Protocol: TCP, Container: 8080, Host: 20001}, {Name: "a-b2", Protocol: UDP, Container: 8080, Host: 20001}},
		Health: Health{
			Kind: HealthHTTP, Port: "web", Path: "/health?deep=1", Interval: 10 * time.Second, Timeout: 2 * time.Second, Grace: time.Minute,
		},
		Volumes: []Volume{{Name: "data", Path: "/data", SizeMiB: 4}, {Name: "more", Path: "/var/lib/more", SizeMiB: 4}},
	}
	return a
}

func TestServiceValidate(t *testing.T) {
	require.NoError(t, validService().Validate())
	require.Equal(t, "FOG_PORT_A_B2", validService().Service.Ports[1].Variable())
	none := validService()
	none.Service = &Service{Health: Health{Kind: HealthNone}}
	require.NoError(t, none.Validate())
	for name, breakIt := range map[string]func(*Assignment, *Service){
		"module":          func(a *Assignment, _ *Service) { a.Engine = EngineWASM },
		"two tasks":       func(a *Assignment, _ *Service) { a.Tasks = 2 },
		"an end":          func(a *Assignment, _ *Service) { a.MaxDuration = time.Hour },
		"too many ports":  func(_ *Assignment, s *Service) { s.Ports = make([]Port, MaxPorts+1) },
		"port name":       func(_ *Assignment, s *Service) { s.Ports[1].Name = "Web" },
		"dash at the end": func(_ *Assignment, s *Service) { s.Ports[1].Name = "a-" },
		"two dashes":      func(_ *Assignment, s *Service) { s.Ports[1].Name = "a--b" },
		"port twice":      func(_ *Assignment, s *Service) { s.Ports[1].Name = "web" },
		"protocol":        func(_ *Assignment, s *Service) { s.Ports[0].Protocol = "sctp" },
		"no port":         func(_ *Assignment, s *Service) { s.Ports[0].Container = 0 },
		"no host port":    func(_ *Assignment, s *Service) { s.Ports[0].Host = 0 },
		"same host port":  func(_ *Assignment, s *Service) { s.Ports[1].Protocol, s.Ports[1].Container = TCP, 1 },
		"health kind":     func(_ *Assignment, s *Service) { s.Health.Kind = "exec" },
		"no health kind":  func(_ *Assignment, s *Service) { s.Health = Health{} },
		"health of none":  func(_ *Assignment, s *Service) { s.Health = Health{Kind: HealthNone, Port: "web"} },
		"health port":     func(_ *Assignment, s *Service) { s.Health.Port = "other" },
		"health over UDP": func(_ *Assignment, s *Service) { s.Health.Port = "a-b2" },
		"no health path":  func(_ *Assignment, s *Service) { s.Health.Path = "" },
		"TCP with path":   func(_ *Assignment, s *Service) { s.Health.Kind = HealthTCP },
		"health path":     func(_ *Assignment, s *Service) { s.Health.Path = "health" },
		"lines in path":   func(_ *Assignment, s *Service) { s.Health.Path = "/\r\nX: y" },
		"interval":        func(_ *Assignment, s *Service) { s.Health.Interval = time.Millisecond },
		"timeout":         func(_ *Assignment, s *Service) { s.Health.Timeout = 11 * time.Second },
		"grace":           func(_ *Assignment, s *Service) { s.Health.Grace = 2 * time.Hour },
		"volumes' size":   func(_ *Assignment, s *Service) { s.Volumes[0].SizeMiB = 5 },
		"no size":         func(_ *Assignment, s *Service) { s.Volumes[0].SizeMiB = 0 },
		"volume name":     func(_ *Assignment, s *Service) { s.Volumes[0].Name = "" },
		"root":            func(_ *Assignment, s *Service) { s.Volumes[0].Path = "/" },
		"relative":        func(_ *Assignment, s *Service) { s.Volumes[0].Path = "data" },
		"not clean":       func(_ *Assignment, s *Service) { s.Volumes[0].Path = "/data/../etc" },
		"in /proc":        func(_ *Assignment, s *Service) { s.Volumes[0].Path = "/proc/x" },
		"within another":  func(_ *Assignment, s *Service) { s.Volumes[0].Path = "/var/lib" },
	} {
		t.Run(name, func(t *testing.T) {
			a := validService()
			breakIt(&a, a.Service)
			require.ErrorIs(t, a.Validate(), ErrInvalidAssignment)
		})
	}
}

func TestFingerprint(t *testing.T) {
	want, err := valid().Fingerprint()
	require.NoError(t, err)
	// Golden: a change here orphans the state of running agents.
	require.Equal(t, "sha256:a0d2ed3061cbc2396a20ac71941165419550a7c2ca3ec84a53105736a717cf20", want.String())

	same := valid()
	same.ModulePath = "/elsewhere"
	got, err := same.Fingerprint()
	require.NoError(t, err)
	require.Equal(t, want, got)

	other := valid()
	other.Args = []string{"y"}
	got, err = other.Fingerprint()
	require.NoError(t, err)
	require.NotEqual(t, want, got)
}

func TestOutcome(t *testing.T) {
	start := time.Unix(1000, 0)
	o := Outcome{Tasks: []TaskOutcome{
		{Task: 0, Reason: ReasonOK, Result: artifact.DigestOf([]byte("a")), Started: start, Finished: start.Add(time.Second)},
		{Task: 1, Reason: ReasonExit, ExitCode: 3, Result: artifact.EmptyDigest, Started: start, Finished: start.Add(time.Minute)},
	}}
	require.Equal(t, 61*time.Second, o.TaskTime())
	require.Equal(t, artifact.MerkleRoot([][32]byte{artifact.DigestOf([]byte("a")), artifact.EmptyDigest}), o.ResultRoot())
}

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		reason       Reason
		fault, keeps bool
	}{
		{ReasonOK, false, true},
		{ReasonExit, true, true},
		{ReasonMemory, true, false},
		{ReasonTimeout, true, false},
		{ReasonOutput, true, false},
		{ReasonTrap, true, false},
		{ReasonBadImage, true, false},
		{ReasonNode, false, false},
		{ReasonStopped, false, false},
	} {
		require.Equal(t, c.fault, c.reason.TaskAtFault(), c.reason)
		require.Equal(t, c.keeps, c.reason.KeepsOutput(), c.reason)
	}
}

func TestAttemptID(t *testing.T) {
	id := AttemptID{Job: "job1x", Slice: 2, Attempt: 3}
	require.Equal(t, "job1x/s2/a3", id.String())
	require.Zero(t, id.Compare(AttemptID{Job: "job1x", Slice: 2, Attempt: 3}))
	require.Negative(t, id.Compare(AttemptID{Job: "job1x", Slice: 3}))
	require.Positive(t, id.Compare(AttemptID{Job: "job1x", Slice: 2, Attempt: 2}))
}
