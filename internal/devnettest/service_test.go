package devnettest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/devnet"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
	escrowtypes "github.com/foggrid/fogd/x/escrow/types"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
	nodestypes "github.com/foggrid/fogd/x/nodes/types"
)

// host is a grid whose node has an engine for containers, which is a stand-in, and ports.
type host struct {
	*grid
	engine *dockertest.Engine
	left   func() int // containers of services
	first  int        // of the ports
	inside uint16     // port of the program; the stand-in gives it no network of its own
	id     string
	before struct{ provider, developer uint64 }
}

// hostPorts of the node.
const hostPorts = 16

// TestServices runs a service from its submission to its end: it is reached, scaled, updated, goes on without its agent, is paid by epochs, and
// leaves nothing behind.
func TestServices(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED with -short: a service on a real devnet, which takes minutes")
	}
	h := &host{engine: dockertest.New(t), inside: dispatchtest.FreePort(t, dispatch.TCP), grid: newGrid(t, devnet.Options{Validators: 1, Oracles: 4})}
	h.left = func() int { return len(h.engine.Left()) }
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"a node with ports registers", h.register},
		{"a service starts and is reached", h.start},
		{"it is scaled to two", h.scale},
		{"it goes over to the next revision", h.update},
		{"it goes on while its agent is killed", h.killAgent},
		{"its node is paid, and more money makes it last", h.pay},
		{"it ends, and nothing is left", h.end},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// freePorts finds a range that nothing listens on.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for first := 20_000; first < 32_000; first += n {
		var open []net.Listener
		for port := first; port < first+n; port++ {
			lis, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
			if err != nil {
				break
			}
			open = append(open, lis)
		}
		for _, lis := range open {
			require.NoError(t, lis.Close())
		}
		if len(open) == n {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

func (h *host) register(t *testing.T) {
	h.first = freePorts(t, hostPorts)
	var out struct {
		NodeID string `json:"node_id"`
	}
	h.run(t, h.net.ProviderHome(), &out, append(registration("host", "100FOG"), "--engines", "wasm,docker", "--docker-host", h.engine.Host, "--volumes", "memory",
		"--address", "127.0.0.1", "--ports", fmt.Sprintf("%d-%d", h.first, h.first+hostPorts-1))...)
	h.node = out.NodeID
	h.agentArgs = []string{"--docker-host", h.engine.Host, "--publish", "127.0.0.1", "--firewall", "off", "--volumes", "memory"}
	require.NoError(t, h.net.StartAgent(t.Context(), h.agentArgs...))
	h.active(t)
	until(t, "the node's network to be graded", func() bool { return h.nodeNow(t).Grade != nodestypes.NETWORK_GRADE_UNSPECIFIED })
	h.before.provider = h.provider(t).Balance
}

// serviceFile writes the job file of the service that says a word.
func (h *host) serviceFile(t *testing.T, word string) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("testdata", "serve"))
	require.NoError(t, err)
	text := fmt.Sprintf("version: 1\nname: hello\ntype: service\nengine: docker\nbuild: %s\nargs: [%s]\n"+
		"resources: {cpu: 100m, memory: 64MiB, storage: 1MiB}\nprice: {cap_per_task_hour: 5FOG}\ndeadline: 1h\nfunded_time: 1h\n"+
		"ports: [{name: web, container_port: %d}]\nhealth: {kind: http, port: web, path: /, interval: 1s}\n", source, word, h.inside)
	path := filepath.Join(h.work, word+".yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (h *host) start(t *testing.T) {
	var out struct {
		JobID string `json:"job_id"`
	}
	h.developer(t, &out, "job", "submit", h.serviceFile(t, "one"))
	h.id = out.JobID
	h.serving(t, 1, 1)
	require.Equal(t, []string{"hello one\n"}, h.ask(t))
}

// endpoints of the service.
func (h *host) endpoints(t *testing.T) []jobstypes.Endpoint {
	t.Helper()
	resp, err := jobstypes.NewQueryClient(h.chain.Latest()).Endpoints(t.Context(), &jobstypes.QueryEndpointsRequest{JobId: h.id})
	require.NoError(t, err)
	return resp.Endpoints
}

// serving waits until so many replicas, and no others, serve a revision.
func (h *host) serving(t *testing.T, replicas int, revision uint32) {
	t.Helper()
	until(t, fmt.Sprintf("%d replicas of revision %d", replicas, revision), func() bool {
		job := h.job(t, h.id)
		require.Equal(t, jobstypes.JOB_STATUS_OPEN, job.Status, "%v", job.CloseReason)
		require.False(t, job.Service.Halted)
		all := h.endpoints(t)
		for _, e := range all {
			if e.StartedTime == 0 || e.Revision != revision {
				return false
			}
		}
		return len(all) == replicas
	})
}

// ask goes to each replica.
func (h *host) ask(t *testing.T) (answers []string) {
	t.Helper()
	for _, e := range h.endpoints(t) {
		require.Len(t, e.Ports, 1)
		require.GreaterOrEqual(t, int(e.Ports[0].HostPort), h.first)
		require.Less(t, int(e.Ports[0].HostPort), h.first+hostPorts)
		resp, err := http.Get("http://" + net.JoinHostPort(e.Address, strconv.Itoa(int(e.Ports[0].HostPort))))
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		answers = append(answers, string(body))
	}
	return answers
}

func (h *host) scale(t *testing.T) {
	h.developer(t, nil, "job", "scale", h.id, "2")
	h.serving(t, 2, 1)
	ports := map[uint32]bool{}
	for _, e := range h.endpoints(t) {
		ports[e.Ports[0].HostPort] = true
	}
	require.Len(t, ports, 2, "each replica has its own port")
	require.Equal(t, []string{"hello one\n", "hello one\n"}, h.ask(t))
}

func (h *host) update(t *testing.T) {
	var out struct {
		Revision uint32 `json:"revision"`
	}
	h.developer(t, &out, "job", "update", h.id, h.serviceFile(t, "two"))
	require.EqualValues(t, 2, out.Revision)
	h.serving(t, 2, 2)
	// In the stand-in a program whose time is over shares its port with the next until it has ended.
	until(t, "the first revision to be gone", func() bool { return slices.Equal(h.ask(t), []string{"hello two\n", "hello two\n"}) })
}

func (h *host) killAgent(t *testing.T) {
	before := h.endpoints(t)
	require.NoError(t, h.net.StopAgent(t.Context(), true))
	require.Equal(t, []string{"hello two\n", "hello two\n"}, h.ask(t), "the containers run by themselves")
	require.NoError(t, h.net.StartAgent(t.Context(), h.agentArgs...))
	h.active(t)
	paid := h.paidEpochs(t)
	until(t, "epochs that the next agent is paid for", func() bool {
		now := h.paidEpochs(t)
		return now[0] > paid[0]+1 && now[1] > paid[1]+1
	})
	h.serving(t, 2, 2)
	for i, e := range h.endpoints(t) {
		require.Equal(t, before[i].Slice, e.Slice)
		require.Equal(t, before[i].Ports, e.Ports)
	}
	require.Equal(t, []string{"hello two\n", "hello two\n"}, h.ask(t))
}

// paidEpochs of each replica.
func (h *host) paidEpochs(t *testing.T) (epochs []uint64) {
	t.Helper()
	for _, e := range h.endpoints(t) {
		resp, err := jobstypes.NewQueryClient(h.chain.Latest()).Slice(t.Context(), &jobstypes.QuerySliceRequest{JobId: h.id, Number: e.Slice})
		require.NoError(t, err)
		epochs = append(epochs, resp.Slice.Serving.PaidEpochs)
	}
	return epochs
}

func (h *host) pay(t *testing.T) {
	require.Greater(t, h.provider(t).Balance, h.before.provider)
	var before, after struct {
		FundedUntil int64 `json:"funded_until"`
	}
	h.developer(t, &before, "job", "status", h.id)
	h.developer(t, &after, "job", "top-up", h.id, "1FOG")
	require.Greater(t, after.FundedUntil, before.FundedUntil)
}

func (h *host) end(t *testing.T) {
	h.developer(t, nil, "job", "cancel", h.id)
	until(t, "the service to end", func() bool { return h.job(t, h.id).Status == jobstypes.JOB_STATUS_CLOSED })
	job := h.job(t, h.id)
	require.Equal(t, jobstypes.CLOSE_REASON_CANCELLED, job.CloseReason)
	require.Equal(t, job.Funded, job.Paid+job.Fees+job.Refunded+job.Service.Burned)
	require.Equal(t, h.before.provider+job.Paid, h.provider(t).Balance)
	require.Empty(t, h.nodeNow(t).PortsInUse)
	until(t, "the containers to be gone", func() bool { return h.left() == 0 })
	queries := jobstypes.NewQueryClient(h.chain.Latest())
	jobs, err := queries.Invariants(t.Context(), &jobstypes.QueryInvariantsRequest{})
	require.NoError(t, err)
	require.Empty(t, jobs.Broken)
	money, err := escrowtypes.NewQueryClient(h.chain.Latest()).Invariants(t.Context(), &escrowtypes.QueryInvariantsRequest{})
	require.NoError(t, err)
	require.Empty(t, money.Broken)
	require.Equal(t, h.first, freePorts(t, hostPorts), "nothing listens any more")
}
