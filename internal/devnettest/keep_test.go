//go:build linux

package devnettest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// village is two nodes of two providers on one Docker Engine: the first has disk for volumes, the neighbour memory.
type village struct {
	*grid
	neighbour *neighbour
	first     int // of the ports, of which each node has half
	// keeper keeps a volume and lets its owner in, web does neither.
	keeper, web host
	watch       *watcher
	leaves      time.Time
	before      uint64 // of the neighbour
	jobs        []string
}

// TestServicesThatStay: owners look into their services, updates leave files where they are, and a node that goes as it announced hands over what it has and
// loses nothing.
func TestServicesThatStay(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: services on a real devnet and a real Docker Engine, which takes minutes")
	}
	needDisk(t)
	v := &village{}
	t.Cleanup(func() { v.clearAway(t) }) // once the devnet is down
	v.grid = newGrid(t, devnet.Options{
		Validators: 1, Oracles: 4,
		// On a busy machine even the loopback can look too bad for services.
		NodesParams: func(p *nodestypes.Params) {
			p.GradeB = nodestypes.GradeLimits{RttUs: 1_000_000, JitterUs: 1_000_000, LossPpm: 500_000}
		},
		JobsParams: func(p *jobstypes.Params) { p.ServiceHandover = handOverSeconds },
	})
	t.Cleanup(func() {
		if v.neighbour != nil {
			v.neighbour.close(t)
		}
	})
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"two nodes register, one with disk for volumes", v.register},
		{"a service that keeps volumes waits for a disk, and is told so", v.waits},
		{"services start where they can", v.start},
		{"a node announces its hours", v.announce},
		{"owners get in, and nobody else", v.exec},
		{"an update finds what was written before it", v.update},
		{"a service leaves before the hours", v.handOver},
		{"the node goes and comes back without a penalty", v.away},
		{"all ends, and nothing is left", v.end},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// needDisk skips, loudly, where there is no Docker Engine or no disk for volumes.
func needDisk(t *testing.T) {
	t.Helper()
	e, err := docker.New(docker.Options{Owner: t.Name()})
	require.NoError(t, err)
	missing := e.Probe(t.Context())
	require.NoError(t, e.Close())
	if missing == nil {
		_, missing = volume.NewLoop()
	}
	if missing != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs a Docker Engine, root and e2fsprogs: %v ***\n\n", t.Name(), missing)
		t.Skip(missing)
	}
}

// place is what both nodes are registered with, and run with, that is not the other's.
func (v *village) place(half int, subnet string) (register, run []string) {
	from := v.first + half*hostPorts/2
	return []string{"--engines", "wasm,docker", "--address", "127.0.0.1", "--ports", fmt.Sprintf("%d-%d", from, from+hostPorts/2-1)},
		[]string{"--publish", "127.0.0.1", "--firewall", "off", "--allow-exec", "--service-net", subnet}
}

func (v *village) register(t *testing.T) {
	v.first = freePorts(t, hostPorts)
	var out struct {
		NodeID string `json:"node_id"`
	}
	flags, run := v.place(0, "10.231.0.0/20")
	v.run(t, v.net.ProviderHome(), &out, append(registration("disk", "100FOG"), flags...)...)
	v.node, v.agentArgs = out.NodeID, run
	require.True(t, v.nodeNow(t).KeepsVolumes(), "this machine has what it takes")
	require.NoError(t, v.net.StartAgent(t.Context(), v.agentArgs...))
	v.active(t)

	v.neighbour = v.newNeighbour(t)
	flags, run = v.place(1, "10.231.16.0/20")
	v.run(t, v.neighbour.home, &out, append(registration("memory", "100FOG"), append(flags, "--volumes", "memory", "--datacenter", "next")...)...)
	v.neighbour.id = out.NodeID
	require.False(t, v.neighbour.now(t).KeepsVolumes())
	v.neighbour.start(t, append(run, "--volumes", "memory")...)
	v.neighbour.ready(t)
	until(t, "the network of the node with disk to be graded", func() bool { return v.nodeNow(t).Grade != nodestypes.NETWORK_GRADE_UNSPECIFIED })
	v.before = v.neighbour.money(t).Balance
}

// service writes a job file and returns its path; more are further lines of it.
func (v *village) service(t *testing.T, name, word string, more ...string) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("testdata", "keep"))
	require.NoError(t, err)
	text := fmt.Sprintf("version: 1\nname: %s\ntype: service\nengine: docker\nbuild: %s\nargs: [serve, %s]\n"+
		"resources: {cpu: 100m, memory: 64MiB, storage: 32MiB}\nprice: {cap_per_task_hour: 5FOG}\ndeadline: 1h\nfunded_time: 1h\n"+
		"ports: [{name: web, container_port: 8080}]\nhealth: {kind: http, port: web, path: /, interval: 1s}\n%s\n", name, source, word, strings.Join(more, "\n"))
	path := filepath.Join(v.work, name+"-"+word+".yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// handOverSeconds before a node goes services leave it: several epochs, so that a busy machine has the time too.
const handOverSeconds = 90

// keeping is the line of a service with a volume, next that of one that is drawn to the neighbour.
const (
	keeping = "volumes: [{name: data, path: /data, size: 16MiB}]"
	next    = `wishes: {prefer: [{where: 'datacenter == "next"', weight: 1000FOG}]}`
)

func (v *village) submit(t *testing.T, path string) host {
	t.Helper()
	var out struct {
		JobID string `json:"job_id"`
	}
	v.developer(t, &out, "job", "submit", path)
	v.jobs = append(v.jobs, out.JobID)
	return host{grid: v.grid, first: v.first, id: out.JobID}
}

func (v *village) waits(t *testing.T) {
	id := v.submit(t, v.service(t, "stuck", "one", keeping, "constraints: {nodes: ["+v.neighbour.id+"]}")).id
	var why struct {
		Slices []struct {
			Asked []struct {
				Reasons []string `json:"reasons"`
				Changes []string `json:"changes"`
			} `json:"asked"`
		} `json:"slices"`
	}
	v.developer(t, &why, "job", "why", id, "--node", v.neighbour.id)
	require.Len(t, why.Slices, 1)
	require.Len(t, why.Slices[0].Asked, 1)
	require.Equal(t, []string{"say keep_volumes: false, if each revision may begin with empty volumes"}, why.Slices[0].Asked[0].Changes)
	var status struct {
		Waiting []struct {
			Excluded []struct {
				Reason string `json:"reason"`
				Nodes  int    `json:"nodes"`
			} `json:"excluded"`
		} `json:"waiting"`
	}
	v.developer(t, &status, "job", "status", id)
	require.Len(t, status.Waiting, 1)
	reasons := map[string]int{}
	for _, e := range status.Waiting[0].Excluded {
		reasons[e.Reason] = e.Nodes
	}
	require.Equal(t, map[string]int{"has no disk for volumes": 1, "not among the nodes named": 1}, reasons)
	v.developer(t, nil, "job", "cancel", id)
}

func (v *village) start(t *testing.T) {
	v.web = v.submit(t, v.service(t, "web", "web", next))
	v.keeper = v.submit(t, v.service(t, "keeper", "one", keeping, next, "exec: true"))
	v.web.serving(t, 1, 1)
	v.keeper.serving(t, 1, 1)
	require.Equal(t, v.neighbour.id, v.web.endpoints(t)[0].NodeId, "where it is drawn")
	require.Equal(t, v.node, v.keeper.endpoints(t)[0].NodeId, "the one with disk, for all that draws it away")
	require.Equal(t, []string{"hello web\n"}, v.web.ask(t))
	require.Equal(t, []string{"hello one\n"}, v.keeper.ask(t))
	v.watch = v.web.watch(t)
}

// watcher looks a service up and asks it, again and again, as somebody who uses it does.
type watcher struct {
	end     func()
	answers int
	// row is how many lookups together found nobody who answers.
	row, longest int
}

// watch begins to watch a service; the figures may be read after its end.
func (h *host) watch(t *testing.T) *watcher {
	t.Helper()
	w := &watcher{}
	ctx, cancel := context.WithCancel(t.Context())
	ctx = context.WithoutCancel(ctx) // the step ends before the watch
	stop := make(chan struct{})
	done := make(chan struct{})
	w.end = sync.OnceFunc(func() {
		close(stop)
		<-done
		cancel()
	})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(300 * time.Millisecond):
			}
			if h.answers(ctx) {
				w.answers, w.row = w.answers+1, 0
			} else {
				w.row++
				w.longest = max(w.longest, w.row)
			}
		}
	}()
	return w
}

// answers tells whether one of the endpoints that the chain names now answers.
func (h *host) answers(ctx context.Context) bool {
	resp, err := jobstypes.NewQueryClient(h.chain.Latest()).Endpoints(ctx, &jobstypes.QueryEndpointsRequest{JobId: h.id})
	if err != nil {
		return false
	}
	for _, e := range resp.Endpoints {
		got, err := http.Get("http://" + net.JoinHostPort(e.Address, strconv.Itoa(int(e.Ports[0].HostPort))))
		if err != nil {
			continue
		}
		if got.Body.Close() == nil && got.StatusCode == http.StatusOK {
			return true
		}
	}
	return false
}

func (v *village) announce(t *testing.T) {
	v.leaves = time.Now().Add((handOverSeconds + 10) * time.Second).UTC().Truncate(time.Second)
	v.run(t, v.neighbour.home, nil, "node", "hours", "span", "--from", v.leaves.Format(time.RFC3339), "--to", v.leaves.Add(10*time.Minute).Format(time.RFC3339))
}

func (v *village) end(t *testing.T) {
	for _, h := range []*host{&v.keeper, &v.web} {
		v.developer(t, nil, "job", "cancel", h.id)
		until(t, h.id+" to end", func() bool { return v.job(t, h.id).Status == jobstypes.JOB_STATUS_CLOSED })
		job := v.job(t, h.id)
		require.Equal(t, job.Funded, job.Paid+job.Fees+job.Refunded+job.Service.Burned)
	}
	volumes := filepath.Join(v.net.ProviderHome(), "agent", "runs", "volumes")
	until(t, "the volume to be wiped", func() bool {
		left, err := os.ReadDir(volumes)
		require.NoError(t, err)
		return len(left) == 0
	})
	until(t, "the containers to be gone", func() bool {
		for port := range hostPorts {
			out, err := exec.Command("docker", "ps", "-q", "--filter", fmt.Sprintf("publish=%d", v.first+port)).Output()
			require.NoError(t, err)
			if len(out) > 0 {
				return false
			}
		}
		return true
	})
	resp, err := jobstypes.NewQueryClient(v.chain.Latest()).Invariants(t.Context(), &jobstypes.QueryInvariantsRequest{})
	require.NoError(t, err)
	require.Empty(t, resp.Broken)
}

// clearAway removes from the Docker Engine what a test that failed has left there, and the images.
func (v *village) clearAway(t *testing.T) {
	run := func(args ...string) []string {
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Errorf("docker %q: %v: %s", args, err, out)
		}
		return strings.Fields(string(out))
	}
	for _, id := range v.jobs {
		for _, left := range [][2][]string{
			{{"ps", "-aq"}, {"rm", "-f"}}, {{"volume", "ls", "-q"}, {"volume", "rm"}}, {{"network", "ls", "-q"}, {"network", "rm"}},
		} {
			if ids := run(append(left[0], "--filter", "name="+id)...); len(ids) > 0 {
				run(append(left[1], ids...)...)
			}
		}
	}
	if v.grid == nil || v.net == nil || v.neighbour == nil {
		return
	}
	for _, home := range []string{v.net.ProviderHome(), v.neighbour.home} {
		runs, err := docker.New(docker.Options{Owner: filepath.Join(home, "agent", "runs")})
		if err == nil {
			err = errors.Join(runs.Prune(context.Background(), true), runs.Close())
		}
		if err != nil {
			t.Error(err)
		}
	}
}
