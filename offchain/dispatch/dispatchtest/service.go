package dispatchtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// ServiceDispatcher is what the suite of services tests.
type ServiceDispatcher interface {
	dispatch.Services
	dispatch.Observer
}

// ServiceOptions tell what the suite may expect.
type ServiceOptions struct {
	// Confined says that services are in containers, and not only driven like ones.
	Confined bool
	// Disk says that volumes are on disk and outlive the daemon.
	Disk bool
	// RestartDaemon, if there is one, restarts what runs the containers.
	RestartDaemon func(testing.TB)
	// GoesOn says that services go on when their dispatcher is closed, and that images are what they are called.
	GoesOn bool
}

// RunServices checks a dispatcher of services.
func RunServices(t *testing.T, open Open, opts ServiceOptions) {
	s := &serviceSuite{open: open, guest: BuildGuestImage(t), opts: opts}
	t.Run("Life", s.testLife)
	t.Run("RestartsKeepVolumes", s.testRestarts)
	t.Run("Health", s.testHealth)
	t.Run("StopIsForGood", s.testStop)
	t.Run("DispatcherRestarts", s.testDispatcherRestarts)
	t.Run("BadImage", s.testBadImage)
	t.Run("Follow", s.testFollow)
	t.Run("PortTaken", s.testPortTaken)
	if opts.Disk {
		t.Run("VolumesAreTheReplicas", s.testVolumes)
		t.Run("VolumesThatDoNotFit", s.testVolumesTooLarge)
	}
	if opts.RestartDaemon != nil {
		t.Run("DaemonRestarts", s.testDaemonRestarts)
	}
	if opts.Confined {
		t.Run("Confined", s.testConfined)
	}
}

// RunDaemonRestart checks that volumes on disk outlive a restart of the daemon that runs the containers.
func RunDaemonRestart(t *testing.T, open Open, restart func(testing.TB)) {
	s := &serviceSuite{open: open, guest: BuildGuestImage(t), opts: ServiceOptions{Disk: true, RestartDaemon: restart}}
	s.testDaemonRestarts(t)
}

// RunVolumes checks that volumes on disk are a replica's, and not an attempt's.
func RunVolumes(t *testing.T, open Open) {
	s := &serviceSuite{open: open, guest: BuildGuestImage(t), opts: ServiceOptions{Disk: true}}
	s.testVolumes(t)
}

type serviceSuite struct {
	open  Open
	guest Module
	opts  ServiceOptions
}

func (s *serviceSuite) start(t *testing.T, dir string) (ServiceDispatcher, func()) {
	d, closeIt := s.open(t, dir)
	return d.(ServiceDispatcher), sync.OnceFunc(closeIt)
}

// FreePort is a port that nobody listens on now.
func FreePort(t testing.TB, protocol string) uint16 {
	t.Helper()
	if protocol == dispatch.UDP {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, c.Close())
		return uint16(c.LocalAddr().(*net.UDPAddr).Port)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// ServiceAssignment is a service of the guest with a web port, a UDP port and a volume.
func ServiceAssignment(t testing.TB, m Module) dispatch.Assignment {
	a := Assignment(m, 1, "serve", "an argument")
	a.MaxDuration, a.StorageMiB = 0, 4
	a.Env = map[string]string{"COLOUR": "blue"}
	a.Service = &dispatch.Service{
		Ports: []dispatch.Port{
			{Name: "web", Protocol: dispatch.TCP, Container: FreePort(t, dispatch.TCP), Host: FreePort(t, dispatch.TCP)},
			{Name: "game-echo", Protocol: dispatch.UDP, Container: FreePort(t, dispatch.UDP), Host: FreePort(t, dispatch.UDP)},
		},
		Health: dispatch.Health{
			Kind: dispatch.HealthHTTP, Port: "web", Path: "/health", Interval: time.Second, Timeout: time.Second, Grace: 30 * time.Second,
		},
		Volumes: []dispatch.Volume{{Name: "data", Path: "/data", SizeMiB: 4}},
	}
	return a
}

// Ask sends the service's web port a request and returns the answer's JSON value.
func Ask(a dispatch.Assignment, path string, query ...string) (answer any, err error) {
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + Endpoint(a.Service.Ports[0]) + path + "?" + values.Encode())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, raw)
	}
	if err != nil {
		return nil, err
	}
	return answer, json.Unmarshal(raw, &answer)
}

// Endpoint is where a published port is reached on this machine.
func Endpoint(p dispatch.Port) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(p.Host)))
}

func mustAsk(t *testing.T, a dispatch.Assignment, path string, query ...string) any {
	t.Helper()
	answer, err := Ask(a, path, query...)
	require.NoError(t, err)
	return answer
}

// Watcher collects the states of a service.
type Watcher struct {
	t      testing.TB
	states chan dispatch.ServiceState
	done   chan error
	seen   []dispatch.ServiceState
}

// WatchService watches a service until the test ends.
func WatchService(t testing.TB, d dispatch.Services, id dispatch.AttemptID) *Watcher {
	w := &Watcher{t: t, states: make(chan dispatch.ServiceState, 1000), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go func() {
		_, err := d.States(ctx, id, func(s dispatch.ServiceState) { w.states <- s })
		w.done <- err
	}()
	return w
}

// Until waits for a phase and returns the state.
func (w *Watcher) Until(phase dispatch.ServicePhase) dispatch.ServiceState {
	w.t.Helper()
	timeout := time.After(patience / 4)
	for {
		select {
		case s := <-w.states:
			w.seen = append(w.seen, s)
			if s.Phase == phase {
				return s
			}
		case <-timeout:
			w.t.Fatalf("not %s in time; it was %+v", phase, w.seen)
		}
	}
}

// Phases are those seen so far.
func (w *Watcher) Phases() (phases []dispatch.ServicePhase) {
	for _, s := range w.seen {
		phases = append(phases, s.Phase)
	}
	return phases
}

func (s *serviceSuite) testLife(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	a := WithInputs(t, ServiceAssignment(t, s.guest))
	require.NoError(t, d.Start(context.Background(), a))
	require.NoError(t, d.Start(context.Background(), a), "a second start joins the first")
	w := WatchService(t, d, a.ID)
	up := w.Until(dispatch.ServiceHealthy)
	require.Equal(t, []dispatch.ServicePhase{dispatch.ServiceStarting, dispatch.ServiceRunning, dispatch.ServiceHealthy}, w.Phases())
	require.Zero(t, up.Restarts)

	report := mustAsk(t, a, "/report").(map[string]any)
	require.Equal(t, []any{"serve", "an argument"}, report["args"])
	env := report["env"].(map[string]any)
	for name, value := range map[string]string{
		"COLOUR": "blue", "FOG_JOB": a.ID.Job, "FOG_TASK_INDEX": "0", "FOG_TASK_COUNT": "1",
		"FOG_PORT_WEB":       strconv.Itoa(int(a.Service.Ports[0].Container)),
		"FOG_PORT_GAME_ECHO": strconv.Itoa(int(a.Service.Ports[1].Container)),
	} {
		require.Equal(t, value, env[name], name)
	}
	require.Equal(t, "input", mustAsk(t, a, "/get", "path", "/in/input.txt"))
	require.Equal(t, "ping", echoed(t, a.Service.Ports[1], "ping"))

	stats, err := d.Stats(context.Background(), a.ID, 0)
	require.NoError(t, err)
	require.True(t, stats.Running && stats.Measured)
	require.Positive(t, stats.Memory)
	require.EqualValues(t, a.MemoryMiB<<20, stats.MemoryLimit)
	require.Positive(t, stats.Processes)
	require.False(t, stats.Started.After(stats.At))

	require.NoError(t, d.Stop(context.Background(), a.ID))
	stopped := w.Until(dispatch.ServiceStopped)
	require.Equal(t, dispatch.ReasonStopped, stopped.Reason)
	require.NoError(t, <-w.done)
	_, err = Ask(a, "/health")
	require.Error(t, err, "the port is still served")
	require.Contains(t, ReadLog(t, d, a.ID, 0), "service was asked to end\n")
	stats, err = d.Stats(context.Background(), a.ID, 0)
	require.NoError(t, err)
	require.True(t, stats.Over && !stats.Running)

	changed := a
	changed.Env = nil
	require.ErrorIs(t, d.Start(context.Background(), changed), dispatch.ErrConflict)
}

// echoed sends datagrams until one comes back.
func echoed(t *testing.T, p dispatch.Port, text string) string {
	t.Helper()
	c, err := net.Dial("udp", Endpoint(p))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	buf := make([]byte, 100)
	for range 50 {
		_, err := c.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
		if n, err := c.Read(buf); err == nil {
			return string(buf[:n])
		}
	}
	t.Fatal("no datagram came back")
	return ""
}

func (s *serviceSuite) testRestarts(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	a := ServiceAssignment(t, s.guest)
	require.NoError(t, d.Start(context.Background(), a))
	w := WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	mustAsk(t, a, "/put", "path", "/data/kept", "text", "kept")
	mustAsk(t, a, "/put", "path", "/tmp/lost", "text", "lost")
	mustAsk(t, a, "/say", "text", "before the end")
	mustAsk(t, a, "/exit", "code", "3")
	restarting := w.Until(dispatch.ServiceRestarting)
	require.Equal(t, dispatch.ReasonExit, restarting.Reason)
	require.EqualValues(t, 3, restarting.ExitCode)
	require.EqualValues(t, 1, w.Until(dispatch.ServiceHealthy).Restarts, "%+v", w.seen)
	require.Equal(t, "kept", mustAsk(t, a, "/get", "path", "/data/kept"))
	_, err := Ask(a, "/get", "path", "/tmp/lost")
	require.Error(t, err)

	mustAsk(t, a, "/exit", "code", "0") // a service has no end of its own
	require.Equal(t, dispatch.ReasonOK, w.Until(dispatch.ServiceRestarting).Reason)
	require.EqualValues(t, 2, w.Until(dispatch.ServiceHealthy).Restarts, "%+v", w.seen)
	require.NoError(t, d.Stop(context.Background(), a.ID))
	w.Until(dispatch.ServiceStopped)
	require.Regexp(t, `^service began\nbefore the end\n\[fog: exit code 3; starting again in \S+\]\nservice began\n`+
		`\[fog: it ended by itself; starting again in \S+\]\nservice began\nservice was asked to end\n`, ReadLog(t, d, a.ID, 0))
}

func (s *serviceSuite) testHealth(t *testing.T) {
	d, closeIt := s.start(t, t.TempDir())
	defer closeIt()
	a := ServiceAssignment(t, s.guest)
	require.NoError(t, d.Start(context.Background(), a))
	w := WatchService(t, d, a.ID)
	w.Until(dispatch.ServiceHealthy)
	mustAsk(t, a, "/sick", "yes", "1")
	sick := w.Until(dispatch.ServiceUnhealthy)
	require.Contains(t, sick.Message, "418")
	mustAsk(t, a, "/sick", "yes", "0")
	w.Until(dispatch.ServiceHealthy)
	require.Zero(t, sick.Restarts, "an unhealthy service is not started again")
	require.NoError(t, d.Stop(context.Background(), a.ID))

	for _, kind := range []string{dispatch.HealthNone, dispatch.HealthTCP} {
		b := ServiceAssignment(t, s.guest)
		b.ID.Job, b.Service.Volumes = "job1"+kind, nil
		if b.Service.Health.Kind, b.Service.Health.Path = kind, ""; kind == dispatch.HealthNone {
			b.Service.Health = dispatch.Health{Kind: kind}
		}
		require.NoError(t, d.Start(context.Background(), b))
		w := WatchService(t, d, b.ID)
		w.Until(dispatch.ServiceHealthy)
		require.NoError(t, d.Stop(context.Background(), b.ID))
		w.Until(dispatch.ServiceStopped)
	}
}
