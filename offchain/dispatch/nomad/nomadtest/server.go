package nomadtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

// Options configures a Server.
type Options struct {
	Region string
	// Nodes are the nodes of the chain (meta.fog_node) that it has a client for.
	Nodes []string
	// Image is the one image that its clients can pull, beside those that Pull gives them.
	Image string
	// Pull says whether clients can pull a job's image, with the user and password of the job.
	Pull func(ref, username, password string) bool
	// Container is what a container of a job's image does: it runs the order with the folder that the allocation's tasks share, until ctx ends, and
	// returns its exit code.
	Container func(ctx context.Context, order runner.Order, shared string) int
	// Cache is a folder for compiled modules that all tasks share; may be empty.
	Cache string
	// MHz, Cores and MemoryMiB are what each client has.
	MHz, Cores, MemoryMiB int
}

// Server is the stand-in.
type Server struct {
	URL string

	opts   Options
	dir    string
	http   *httptest.Server
	runs   sync.WaitGroup
	base   context.Context
	end    context.CancelFunc
	shapes recordings

	mu      sync.Mutex
	index   uint64
	serial  int
	jobs    map[jobKey]*api.Job
	allocs  []*allocation // in the order of their creation
	evals   map[jobKey]*api.Evaluation
	nodes   []*node
	volumes map[string]*api.HostVolume // by id
	streams map[*stream]bool
	leader  string
	failing int
	token   string // the one that is accepted; all are if it is empty
	muted   bool
	checked map[jobKey]api.AllocCheckStatus
	signers []signer // of workload identities, oldest first
	plugin  bool     // for volumes
	// unreachable says that clients have no connection for files.
	unreachable bool

	// registrations counts those that were accepted, connections the event streams.
	registrations, connections int
}

type jobKey struct{ namespace, id string }

type node struct {
	stub api.NodeListStub
	name string // meta.fog_node
	down bool
}

// New starts a server that ends with the test.
func New(t testing.TB, opts Options) *Server {
	t.Helper()
	shapes, err := loadRecordings()
	require.NoError(t, err)
	s := &Server{
		opts: opts, dir: t.TempDir(), shapes: shapes, index: 10, leader: "127.0.0.1:4647",
		jobs: map[jobKey]*api.Job{}, evals: map[jobKey]*api.Evaluation{}, streams: map[*stream]bool{},
		checked: map[jobKey]api.AllocCheckStatus{}, volumes: map[string]*api.HostVolume{},
	}
	s.base, s.end = context.WithCancel(context.Background())
	for _, name := range opts.Nodes {
		s.Serve(name)
	}
	require.NoError(t, s.RotateKeys(false))
	s.http = httptest.NewServer(s.handler())
	s.URL = s.http.URL
	t.Cleanup(func() {
		s.end()
		s.CutStreams()
		s.http.Close()
		s.runs.Wait()
	})
	return s
}

// Serve adds a client that serves a node of the chain.
func (s *Server) Serve(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &node{stub: s.shapes.node, name: name}
	n.stub.ID = fmt.Sprintf("00000000-0000-4000-8000-%012d", len(s.nodes)+1)
	resources := *s.shapes.node.NodeResources
	resources.Cpu.CpuShares, resources.Cpu.TotalCpuCores = int64(s.opts.MHz), uint16(s.opts.Cores)
	resources.Memory.MemoryMB = int64(s.opts.MemoryMiB)
	n.stub.NodeResources = &resources
	n.stub.ReservedResources = nil
	s.nodes = append(s.nodes, n)
}

// next gives a change its index. The caller holds mu.
func (s *Server) next() uint64 {
	s.index++
	return s.index
}

// uuid is a new id. The caller holds mu.
func (s *Server) uuid() string {
	s.serial++
	return fmt.Sprintf("%08x-0000-4000-8000-%012d", s.serial, s.serial)
}

// FailRequests answers the next n requests with status 500.
func (s *Server) FailRequests(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = n
}

// CutStreams breaks all event streams. Who comes back gets no event twice, and none that happened meanwhile.
func (s *Server) CutStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.streams {
		st.close()
		delete(s.streams, st)
	}
}

// MuteEvents loses all events from now on, or stops losing them.
func (s *Server) MuteEvents(muted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = muted
}

// Unreachable keeps the servers from the clients' files, or lets them at them again.
func (s *Server) Unreachable(unreachable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unreachable = unreachable
}

// Accept has only requests with a token answered from now on, and ends the streams that were opened with another, as Nomad does.
func (s *Server) Accept(token string) {
	s.mu.Lock()
	s.token = token
	s.mu.Unlock()
	s.CutStreams()
}

// SetCheck has the check of a service end with a status at a time, as Nomad writes it: in seconds.
func (s *Server) SetCheck(namespace, job, status string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checked[jobKey{namespace, job}] = api.AllocCheckStatus{Status: status, Output: "nomad: " + status, StatusCode: http.StatusTeapot, Timestamp: at.Unix()}
}

// SetLeader has another server lead.
func (s *Server) SetLeader(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = address
}

// Rewind moves the index back, as restoring an older state does; forward if n is negative.
func (s *Server) Rewind(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index = uint64(int64(s.index) - n)
}

// LoseClients marks all clients down: what they run is lost for the server, while the tasks themselves go on.
func (s *Server) LoseClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		n.down = true
		n.stub.Status = api.NodeStatusDown
	}
	for _, a := range s.allocs {
		if !a.terminal() {
			a.stub.ClientStatus, a.stub.ClientDescription = api.AllocClientStatusLost, ""
			a.stub.DesiredStatus, a.stub.DesiredDescription = api.AllocDesiredStatusStop, "alloc is lost since its node is down"
			s.changed(a)
		}
	}
	s.schedule()
}

// DisconnectClients is LoseClients as Nomad 1.8 has it: it calls what it does not replace unknown until the clients are back.
func (s *Server) DisconnectClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		n.down = true
		n.stub.Status = api.NodeStatusDisconnected
	}
	for _, a := range s.allocs {
		if !a.terminal() {
			a.stub.ClientStatus, a.stub.ClientDescription = api.AllocClientStatusUnknown, "alloc is unknown since its node is disconnected"
			s.changed(a)
		}
	}
}

// ReturnClients marks all clients ready again: what was lost is stopped there, and what waits is placed.
func (s *Server) ReturnClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		n.down = false
		n.stub.Status = api.NodeStatusReady
	}
	for _, a := range s.allocs {
		if a.stub.DesiredStatus != api.AllocDesiredStatusRun {
			a.stop()
		}
		if a.stub.ClientStatus == api.AllocClientStatusUnknown {
			s.hear(a)
		}
	}
	s.schedule()
}

// Evict ends an allocation of the job in favour of something more important.
func (s *Server) Evict(namespace, job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.allocs {
		if a.key == (jobKey{namespace, job}) && !a.terminal() {
			a.stub.DesiredStatus, a.stub.DesiredDescription = api.AllocDesiredStatusEvict, "Preempted by alloc ID 00000000"
			s.changed(a)
			a.stop()
			return
		}
	}
}

// Registrations is how many jobs were accepted.
func (s *Server) Registrations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registrations
}

// Connections is how many event streams were opened.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Stopped reports whether the job is there and stopped.
func (s *Server) Stopped(namespace, job string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.jobs[jobKey{namespace, job}]
	return have != nil && *have.Stop
}

// Placed is how many allocations the job has, live or not.
func (s *Server) Placed(namespace, job string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.allocs {
		if a.key == (jobKey{namespace, job}) {
			n++
		}
	}
	return n
}

// Running is how many tasks run on the clients, whatever the server thinks.
func (s *Server) Running() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.allocs {
		if a.running {
			n++
		}
	}
	return n
}

// TaskDirs are the task folders of all allocations.
func (s *Server) TaskDirs() (dirs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.allocs {
		dirs = append(dirs, s.taskDir(a))
	}
	return dirs
}

func (s *Server) taskDir(a *allocation) string {
	return filepath.Join(s.dir, "alloc", a.stub.ID, "run", "local")
}

// sharedDir is the folder that the tasks of an allocation share.
func (s *Server) sharedDir(a *allocation) string {
	return filepath.Join(s.dir, "alloc", a.stub.ID, "alloc")
}

// broken reports whether this request may not be made, or is one that FailRequests wants failed.
func (s *Server) broken(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && r.Header.Get("X-Nomad-Token") != s.token {
		http.Error(w, "Permission denied", http.StatusForbidden)
		return true
	}
	if s.failing == 0 {
		return false
	}
	s.failing--
	http.Error(w, "rpc error: failed on demand", http.StatusInternalServerError)
	return true
}

// now is the time as Nomad writes it.
func now() int64 { return time.Now().UnixNano() }
