package docker

import (
	"archive/tar"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// script is what a task does in the fake daemon.
type script struct {
	code    int
	oom     bool
	log     string
	out     []tar.Header // sizes are filled with zeros
	forever bool         // runs until it is killed
	// startFails and startCode are how `start` is refused.
	startFails string
	startCode  int
	// holderDies with the task, as when the daemon was stopped.
	holderDies bool
}

// daemon answers like the Docker Engine 20.10 (API 1.41), from which the shapes were recorded, and runs nothing.
type daemon struct {
	t      *testing.T
	script script
	info   map[string]any
	server *http.Server
	host   string

	mu         sync.Mutex
	images     map[string]string // by tag
	containers map[string]*fakeContainer
	volumes    map[string]map[string]any
	loads      int
	copied     []string
	created    []string
}

type fakeContainer struct {
	body              map[string]any
	running, ended    bool
	code              int
	started, finished time.Time
	done              chan struct{}
}

func newDaemon(t *testing.T, s script) *daemon {
	d := &daemon{
		t: t, script: s, images: map[string]string{}, containers: map[string]*fakeContainer{}, volumes: map[string]map[string]any{},
		info: map[string]any{
			"OSType": "linux", "Architecture": goArch(), "MemoryLimit": true, "CpuCfsQuota": true, "PidsLimit": true,
			"SecurityOptions": []string{"name=seccomp,profile=default"},
		},
	}
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	d.host, d.server = "unix://"+socket, &http.Server{Handler: d}
	go func() {
		if err := d.server.Serve(listener); err != http.ErrServerClosed {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { require.NoError(t, d.server.Close()) })
	return d
}

// engine opens the daemon.
func (d *daemon) engine() *Engine {
	e, err := New(Options{Host: d.host, Owner: "test", ImageMiB: 1})
	require.NoError(d.t, err)
	d.t.Cleanup(func() { require.NoError(d.t, e.Close()) })
	return e
}

var version = regexp.MustCompile(`^/v1\.\d+`)

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.Trim(version.ReplaceAllString(r.URL.Path, ""), "/"), "/")
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Ostype", "linux")
	switch path[0] {
	case "_ping":
		fmt.Fprint(w, "OK")
	case "info":
		d.answer(w, http.StatusOK, d.info)
	case "images":
		d.serveImages(w, r, path[1:])
	case "volumes":
		d.serveVolumes(w, r, path[1:])
	case "networks":
		d.answer(w, http.StatusOK, []any{})
	case "containers":
		d.serveContainers(w, r, path[1:])
	default:
		d.t.Errorf("unexpected request %s %s", r.Method, r.URL)
	}
}

func (d *daemon) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		d.t.Error(err)
	}
}

func (d *daemon) refuse(w http.ResponseWriter, status int, message string) {
	d.answer(w, status, map[string]string{"message": message})
}

func (d *daemon) serveImages(w http.ResponseWriter, r *http.Request, path []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case path[0] == "load":
		d.loads++
		d.load(r.Body)
		d.answer(w, http.StatusOK, map[string]string{"stream": "Loaded image"})
	case path[0] == "json":
		var list []map[string]any
		for tag, id := range d.images {
			list = append(list, map[string]any{"Id": id, "RepoTags": []string{tag}, "Size": 700 << 10})
		}
		d.answer(w, http.StatusOK, list)
	case r.Method == http.MethodDelete:
		delete(d.images, strings.Join(path, "/"))
		d.answer(w, http.StatusOK, []any{})
	case path[len(path)-1] == "tag":
		d.images[strings.TrimPrefix(r.URL.Query().Get("repo"), "docker.io/library/")+":"+r.URL.Query().Get("tag")] = path[0]
		w.WriteHeader(http.StatusCreated)
	default:
		for _, id := range d.images {
			if id == path[0] {
				d.answer(w, http.StatusOK, map[string]any{"Id": id})
				return
			}
		}
		d.refuse(w, http.StatusNotFound, "No such image: "+path[0])
	}
}

// load takes the image by the older list, as this release does.
func (d *daemon) load(body io.Reader) {
	for tr := tar.NewReader(body); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			d.t.Error(err)
			return
		}
		if h.Name != "manifest.json" {
			continue
		}
		var list []struct {
			Config   string
			RepoTags []string
		}
		if err := json.NewDecoder(tr).Decode(&list); err != nil {
			d.t.Error(err)
		}
		d.images[list[0].RepoTags[0]] = "sha256:" + filepath.Base(list[0].Config)
	}
}

func (d *daemon) serveVolumes(w http.ResponseWriter, r *http.Request, path []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case r.Method == http.MethodPost:
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			d.t.Error(err)
		}
		d.volumes[body["Name"].(string)] = body
		d.answer(w, http.StatusCreated, body)
	case r.Method == http.MethodGet:
		list := []map[string]any{}
		for _, v := range d.volumes {
			list = append(list, v)
		}
		d.answer(w, http.StatusOK, map[string]any{"Volumes": list})
	case d.volumes[path[0]] == nil:
		d.refuse(w, http.StatusNotFound, "no such volume")
	default:
		delete(d.volumes, path[0])
		w.WriteHeader(http.StatusNoContent)
	}
}

func (d *daemon) serveContainers(w http.ResponseWriter, r *http.Request, path []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch path[0] {
	case "create":
		c := &fakeContainer{done: make(chan struct{})}
		if err := json.NewDecoder(r.Body).Decode(&c.body); err != nil {
			d.t.Error(err)
		}
		d.containers[r.URL.Query().Get("name")] = c
		raw, err := json.Marshal(c.body)
		if err != nil {
			d.t.Error(err)
		}
		d.created = append(d.created, string(raw))
		d.answer(w, http.StatusCreated, map[string]any{"Id": r.URL.Query().Get("name"), "Warnings": []string{}})
		return
	case "json":
		list := []map[string]any{}
		for name, c := range d.containers {
			list = append(list, map[string]any{"Id": name, "Labels": c.body["Labels"]})
		}
		d.answer(w, http.StatusOK, list)
		return
	}
	c := d.containers[path[0]]
	if c == nil {
		d.refuse(w, http.StatusNotFound, "No such container: "+path[0])
		return
	}
	if r.Method == http.MethodDelete {
		d.end(path[0], 137)
		delete(d.containers, path[0])
		w.WriteHeader(http.StatusNoContent)
		return
	}
	d.serveContainer(w, r, path[1], c)
}

// take notes what is copied into a container.
func (d *daemon) take(r *http.Request) {
	for tr := tar.NewReader(r.Body); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return
		}
		raw, readErr := io.ReadAll(tr)
		if err != nil || readErr != nil {
			d.t.Error(err, readErr)
			return
		}
		d.copied = append(d.copied, fmt.Sprintf("%s/%s %d %o %s", r.URL.Query().Get("path"), h.Name, h.Uid, h.Mode, raw))
	}
}

func (d *daemon) serveContainer(w http.ResponseWriter, r *http.Request, verb string, c *fakeContainer) {
	name := strings.Split(strings.Trim(version.ReplaceAllString(r.URL.Path, ""), "/"), "/")[1]
	switch verb {
	case "start":
		d.start(w, name, c)
	case "json":
		status := "created"
		if c.running {
			status = "running"
		} else if c.ended {
			status = "exited"
		}
		state := map[string]any{
			"Status": status, "Running": c.running, "ExitCode": c.code, "OOMKilled": c.ended && d.script.oom,
			"StartedAt": c.started.Format(time.RFC3339Nano), "FinishedAt": c.finished.Format(time.RFC3339Nano),
		}
		d.answer(w, http.StatusOK, map[string]any{"Id": name, "State": state, "Config": map[string]any{"Labels": c.body["Labels"]}})
	case "wait":
		d.mu.Unlock()
		<-c.done
		d.mu.Lock()
		d.answer(w, http.StatusOK, map[string]any{"StatusCode": c.code})
	case "logs":
		frame := binary.BigEndian.AppendUint32([]byte{1, 0, 0, 0}, uint32(len(d.script.log)))
		if _, err := w.Write(append(frame, d.script.log...)); err != nil {
			d.t.Error(err)
		}
		d.mu.Unlock()
		<-c.done // it is followed
		d.mu.Lock()
	case "kill":
		d.end(name, 137)
		w.WriteHeader(http.StatusNoContent)
	case "archive":
		if r.Method == http.MethodPut {
			d.take(r)
			return
		}
		d.archive(w)
	default:
		d.t.Errorf("unexpected %s of %s", verb, name)
	}
}

func (d *daemon) start(w http.ResponseWriter, name string, c *fakeContainer) {
	holder := strings.HasSuffix(name, "-hold")
	if d.script.startFails != "" && !holder {
		c.code = d.script.startCode
		d.refuse(w, http.StatusInternalServerError, d.script.startFails)
		return
	}
	c.running, c.started = true, time.Now().UTC()
	w.WriteHeader(http.StatusNoContent)
	if holder || d.script.forever {
		return
	}
	d.end(name, d.script.code)
	if d.script.holderDies {
		d.end(name+"-hold", 137)
	}
}

func (d *daemon) end(name string, code int) {
	if c := d.containers[name]; c != nil && !c.ended {
		c.running, c.ended, c.code, c.finished = false, true, code, c.started.Add(time.Second)
		close(c.done)
	}
}

func (d *daemon) archive(w http.ResponseWriter) {
	stat := base64.StdEncoding.EncodeToString([]byte(`{"name":"out","size":60,"mode":2147484159}`))
	w.Header().Set("X-Docker-Container-Path-Stat", stat)
	tw := tar.NewWriter(w)
	for _, h := range append([]tar.Header{{Name: "out/", Typeflag: tar.TypeDir, Mode: 0o777}}, d.script.out...) {
		// An engine that has seen enough hangs up.
		if err := tw.WriteHeader(&h); err != nil {
			return
		}
		if _, err := io.CopyN(tw, zeros{}, h.Size); err != nil {
			return
		}
	}
	if err := tw.Close(); err != nil {
		d.t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// left is what the daemon still has.
func (d *daemon) left() (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.containers {
		names = append(names, "container "+name)
	}
	for name := range d.volumes {
		names = append(names, "volume "+name)
	}
	slices.Sort(names)
	return names
}
