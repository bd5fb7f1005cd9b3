package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/direct"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
	"github.com/foggrid/fogd/offchain/jobfile"
)

// running is an example's service in a container.
type running struct {
	t   *testing.T
	dir string // of the dispatcher
	d   *direct.Dispatcher
	a   dispatch.Assignment
	w   *dispatchtest.Watcher
	// host and disk are as in direct.Options.
	host string
	disk volume.Disk
}

// serve builds the service of a folder, changes its assignment, and starts it as an agent would.
func serve(t *testing.T, folder string, change ...func(*dispatch.Assignment)) *running {
	r := prepare(t, folder, change...)
	r.open()
	return r
}

func prepare(t *testing.T, folder string, change ...func(*dispatch.Assignment)) *running {
	temp := t.TempDir()
	file, err := jobfile.Load(filepath.Join(folder, jobfile.DefaultPath))
	require.NoError(t, err)
	image, digest := program(t, file, temp)
	archive := filepath.Join(temp, "inputs.tar")
	inputs, _, err := file.PackInputs(archive)
	require.NoError(t, err)
	spec, err := file.Spec(digest, inputs)
	require.NoError(t, err)
	hosts := map[string]uint16{}
	for _, p := range spec.Service.Ports {
		hosts[p.Name] = dispatchtest.FreePort(t, p.Protocol)
	}
	service, err := spec.Service.Dispatch(hosts)
	require.NoError(t, err)
	if service.Health.Kind != dispatch.HealthNone {
		service.Health.Interval, service.Health.Timeout = time.Second, time.Second
	}
	a := dispatch.Assignment{
		ID: dispatch.AttemptID{Job: "job1example", Attempt: 1}, Tasks: 1, JobTasks: file.ReplicaCount(), Engine: spec.Engine,
		Module: spec.Module, ModulePath: image, Args: spec.Args, Env: spec.Env,
		CPUMilli: uint32(spec.CPU), MemoryMiB: uint32(spec.Memory), StorageMiB: uint32(spec.Storage), Service: service,
	}
	if !inputs.IsZero() {
		a.Inputs, a.InputsDir = inputs, filepath.Join(temp, "in")
		unpack(t, archive, a.InputsDir, inputs)
	}
	for _, c := range change {
		c(&a)
	}
	return &running{t: t, a: a, dir: filepath.Join(temp, "state")}
}

// open starts the service, or goes on with it.
func (r *running) open() {
	d, err := direct.New(direct.Options{Dir: r.dir, RestartMin: 100 * time.Millisecond, DockerHost: r.host, Disk: r.disk})
	require.NoError(r.t, err)
	r.d = d
	r.t.Cleanup(func() {
		if err := d.Stop(context.Background(), r.a.ID); err == nil {
			require.NoError(r.t, d.PruneImages(context.Background()))
		}
		require.NoError(r.t, d.Close())
	})
	require.NoError(r.t, d.Start(context.Background(), r.a))
	r.w = dispatchtest.WatchService(r.t, d, r.a.ID)
	r.w.Until(dispatch.ServiceHealthy)
}

// endpoint is where a port is reached.
func (r *running) endpoint(name string) string {
	p, ok := r.a.Service.Port(name)
	require.True(r.t, ok)
	return dispatchtest.Endpoint(p)
}

// request asks the web port, and wants a status.
func (r *running) request(method, path, body string, want int, header ...string) []byte {
	r.t.Helper()
	req, err := http.NewRequest(method, "http://"+r.endpoint("web")+path, strings.NewReader(body))
	require.NoError(r.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	require.NoError(r.t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	require.Equal(r.t, want, resp.StatusCode, "%s", raw)
	return raw
}

func TestWebapp(t *testing.T) {
	r := serve(t, "webapp")
	r.request("POST", "/notes", `{"author":"ada","text":"from outside"}`, http.StatusCreated)
	require.Contains(t, string(r.request("GET", "/notes", "", http.StatusOK)), "from outside")
}

// TestGameserver plays with the example's own client.
func TestGameserver(t *testing.T) {
	r := serve(t, "gameserver")
	out, err := exec.Command("go", "run", "./gameserver/play", "-for", "3s", r.endpoint("game")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
	var sent, back, snapshots int
	_, err = fmt.Sscanf(string(out), "%d positions sent, %d came back in %d snapshots;", &sent, &back, &snapshots)
	require.NoError(t, err, "%s", out)
	require.Greater(t, back, sent/2)
}

func TestStreaming(t *testing.T) {
	r := serve(t, "streaming")
	want, err := os.ReadFile("streaming/media/chord.wav")
	require.NoError(t, err)
	got := r.request("GET", "/media/chord.wav", "", http.StatusPartialContent, "Range", "bytes=40000-")
	require.True(t, bytes.Equal(want[40000:], got))
}

// TestStorage: what was stored is there after the service was started again, by itself, by the next agent, and after a restart of Docker's daemon.
func TestStorage(t *testing.T) {
	disk, err := volume.NewLoop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs loop devices: %v ***\n\n", t.Name(), err)
		t.Skip("no loop devices")
	}
	daemon := dispatchtest.StartDaemon(t)
	r := prepare(t, "storage")
	r.host, r.disk = daemon.Host, disk
	t.Cleanup(func() { require.NoError(t, r.d.Wipe(context.Background(), dispatch.Replica{Job: r.a.ID.Job})) })
	r.open()
	name := strings.TrimSpace(string(r.request("POST", "/objects", "kept", http.StatusCreated)))
	kept := func() { require.Equal(t, "kept", string(r.request("GET", "/objects/"+name, "", http.StatusOK))) }
	out, err := exec.Command("docker", "--host", daemon.Host, "ps", "-q").Output()
	require.NoError(t, err)
	require.NoError(t, exec.Command("docker", "--host", daemon.Host, "kill", strings.TrimSpace(string(out))).Run())
	r.w.Until(dispatch.ServiceRestarting)
	r.w.Until(dispatch.ServiceHealthy)
	kept()
	daemon.Restart(t)
	r.w.Until(dispatch.ServiceRestarting)
	r.w.Until(dispatch.ServiceHealthy)
	kept()
	require.NoError(t, r.d.Close())
	r.open()
	kept()
	// The volume is as large as it was asked for.
	status := http.StatusCreated
	for i := 0; status == http.StatusCreated; i++ {
		require.Less(t, i, 10)
		resp, err := http.Post("http://"+r.endpoint("web")+"/objects", "", io.LimitReader(ones(i), 15<<20))
		require.NoError(t, err)
		status = resp.StatusCode
		require.NoError(t, resp.Body.Close())
	}
	require.Equal(t, http.StatusInsufficientStorage, status)
}

// ones is an endless object.
type ones byte

func (o ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(o)
	}
	return len(p), nil
}

// TestIoT publishes as a sensor does, and rolls up what came out, as the periodic job does.
func TestIoT(t *testing.T) {
	_, err := jobfile.Load("iot/rollup/fog.yaml")
	require.NoError(t, err)
	r := serve(t, "iot")
	c, err := net.Dial("tcp", r.endpoint("mqtt"))
	require.NoError(t, err)
	// CONNECT with the password, PUBLISH, DISCONNECT.
	packets := "\x10\x25\x00\x04MQTT\x04\xc2\x00\x3c\x00\x06sensor\x00\x06sensor\x00\x09change-me" +
		"\x30\x21\x00\x1bsensors/kitchen/temperature21.5" + "\xe0\x00"
	_, err = c.Write([]byte(packets))
	require.NoError(t, err)
	var readings []byte
	require.Eventually(t, func() bool {
		readings = r.request("GET", "/readings.jsonl", "", http.StatusOK)
		return len(readings) > 0
	}, 30*time.Second, 50*time.Millisecond)
	require.NoError(t, c.Close())
	require.Contains(t, string(readings), `"milli":21500`)
}

// TestRollup runs the periodic job's program on the sample.
func TestRollup(t *testing.T) {
	_, results := runJob(t, filepath.Join("iot", "rollup"))
	raw, err := os.ReadFile(filepath.Join(results, "0", "rollup.json"))
	require.NoError(t, err)
	var hours []struct {
		Sensor string
		Count  int
		Mean   int `json:"mean_milli"`
	}
	require.NoError(t, json.Unmarshal(raw, &hours))
	require.Len(t, hours, 4)
	require.Equal(t, "kitchen", hours[1].Sensor)
	require.Equal(t, 21812, hours[1].Mean)
}

// TestIndexer follows a chain's RPC on this machine, which a service with outbound connections reaches.
func TestIndexer(t *testing.T) {
	lis, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	rpc := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result := `{"sync_info":{"latest_block_height":"7","earliest_block_height":"7"}}`
		if r.URL.Path == "/block_results" {
			result = `{"txs_results":[],"finalize_block_events":[{"type":"fog.jobs.v1.EventJobClosed","attributes":[{"key":"job_id","value":"\"job1x\""}]}]}`
		}
		fmt.Fprintf(w, `{"result":%s}`, result)
	})}
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(lis) }()
	defer func() {
		require.NoError(t, rpc.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	}()
	r := serve(t, "indexer", func(a *dispatch.Assignment) {
		a.Env = map[string]string{"FOGD_RPC": "http://" + net.JoinHostPort(ownAddress(t), fmt.Sprint(lis.Addr().(*net.TCPAddr).Port))}
	})
	require.Contains(t, string(r.request("GET", "/events?value=job1x", "", http.StatusOK)), "EventJobClosed")
}

// ownAddress is one of this machine that is not loopback.
func ownAddress(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs an address that is not loopback ***\n\n", t.Name())
	t.Skip("this machine has no address but loopback")
	return ""
}
