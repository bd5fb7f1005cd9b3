package dockertest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// RootVariable is the environment variable that tells a program where its root folder is, since a process has that of the machine.
const RootVariable = "GUEST_ROOT"

// Engine is a running stand-in.
type Engine struct {
	// Host is its address, as in docker.Options.Host.
	Host string

	t   testing.TB
	dir string

	mu         sync.Mutex
	loads      int
	images     map[string]*image // by id
	containers map[string]*container
	volumes    map[string]map[string]any
	networks   map[string]map[string]any
	execs      map[string]*command // by id
}

// image is a program and what the engine is told of it.
type image struct {
	id, tag, program string
}

// New starts a stand-in that ends with the test.
func New(t testing.TB) *Engine {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the stand-in for the Docker Engine runs programs for Linux")
	}
	// The path of a socket must be short.
	dir, err := os.MkdirTemp("", "dockertest-")
	require.NoError(t, err)
	e := &Engine{
		Host: "unix://" + filepath.Join(dir, "s"), t: t, dir: dir,
		images: map[string]*image{}, containers: map[string]*container{}, volumes: map[string]map[string]any{}, networks: map[string]map[string]any{},
		execs: map[string]*command{},
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	require.NoError(t, err)
	server := &http.Server{Handler: e}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, c := range e.containers {
			c.kill()
		}
		require.NoError(t, os.RemoveAll(dir))
	})
	return e
}

// Left is what the engine still has but for images, in order.
func (e *Engine) Left() (names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name := range e.containers {
		names = append(names, "container "+name)
	}
	for name := range e.volumes {
		names = append(names, "volume "+name)
	}
	for name := range e.networks {
		names = append(names, "network "+name)
	}
	slices.Sort(names)
	return names
}

var version = regexp.MustCompile(`^/v1\.\d+`)

// architectures are the engine's names for Go's.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// ServeHTTP answers one request.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.Trim(version.ReplaceAllString(r.URL.Path, ""), "/"), "/")
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Ostype", "linux")
	switch path[0] {
	case "_ping":
		fmt.Fprint(w, "OK")
	case "info":
		e.answer(w, http.StatusOK, map[string]any{
			"OSType": "linux", "Architecture": architectures[runtime.GOARCH], "MemoryLimit": true, "CpuCfsQuota": true, "PidsLimit": true,
			"SecurityOptions": []string{"name=seccomp,profile=default"},
		})
	case "images":
		e.serveImages(w, r, path[1:])
	case "volumes":
		e.serveNamed(w, r, e.volumes, "Volumes", path[1:])
	case "networks":
		e.serveNamed(w, r, e.networks, "", path[1:])
	case "exec":
		e.serveExec(w, r, path[1], path[2])
	case "containers":
		e.serveContainers(w, r, path[1:])
	default:
		e.refuse(w, http.StatusNotImplemented, "the stand-in does not know "+r.URL.Path)
	}
}

// answer writes a body; who has hung up gets none.
func (e *Engine) answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		e.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s", raw)
}

func (e *Engine) refuse(w http.ResponseWriter, status int, message string) {
	e.answer(w, status, map[string]string{"message": message})
}

func (e *Engine) serveImages(w http.ResponseWriter, r *http.Request, path []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case path[0] == "load":
		img, err := e.load(r.Body)
		if err != nil {
			e.refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		e.images[img.id] = img
		e.answer(w, http.StatusOK, map[string]string{"stream": "Loaded image: " + img.tag})
	case path[0] == "json":
		list := []map[string]any{}
		for _, i := range e.images {
			list = append(list, map[string]any{"Id": i.id, "RepoTags": []string{i.tag}, "Size": 1})
		}
		e.answer(w, http.StatusOK, list)
	case r.Method == http.MethodDelete:
		name := strings.Join(path, "/")
		for id, i := range e.images {
			if i.tag == name {
				delete(e.images, id)
			}
		}
		e.answer(w, http.StatusOK, []any{})
	case path[len(path)-1] == "tag":
		w.WriteHeader(http.StatusCreated)
	case e.images[path[0]] != nil:
		e.answer(w, http.StatusOK, map[string]any{"Id": path[0]})
	default:
		e.refuse(w, http.StatusNotFound, "No such image: "+path[0])
	}
}

// load takes an image of one layer with one program, as package image builds it.
func (e *Engine) load(archive io.Reader) (*image, error) {
	files, err := readTar(archive)
	if err != nil {
		return nil, err
	}
	var list []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &list); err != nil || len(list) != 1 || len(list[0].Layers) != 1 {
		return nil, errors.Join(errors.New("the archive is not of one image with one layer"), err)
	}
	layer, err := readTar(bytes.NewReader(files[list[0].Layers[0]]))
	if err != nil {
		return nil, err
	}
	digest := filepath.Base(list[0].Config)
	e.loads++ // a program that runs cannot be written to
	img := &image{id: "sha256:" + digest, tag: list[0].RepoTags[0], program: filepath.Join(e.dir, fmt.Sprintf("program%d", e.loads))}
	for _, program := range layer {
		if err := os.WriteFile(img.program, program, 0o755); err != nil {
			return nil, err
		}
	}
	return img, nil
}

func readTar(r io.Reader) (map[string][]byte, error) {
	files := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			return nil, err
		}
	}
}

// serveNamed serves volumes and networks, of which only names and labels matter.
func (e *Engine) serveNamed(w http.ResponseWriter, r *http.Request, all map[string]map[string]any, list string, path []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := ""
	if len(path) > 0 {
		name = path[0]
	}
	switch {
	case r.Method == http.MethodPost:
		body := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			e.refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		name := body["Name"].(string)
		body["Id"] = name
		if opts, ok := body["DriverOpts"]; ok { // of a volume, as the engine names them in answers
			body["Options"] = opts
		}
		all[name] = body
		e.answer(w, http.StatusCreated, body)
	case name == "":
		items := []map[string]any{}
		for _, v := range all {
			if wanted(r, v["Labels"]) {
				items = append(items, v)
			}
		}
		if list == "" {
			e.answer(w, http.StatusOK, items)
		} else {
			e.answer(w, http.StatusOK, map[string]any{list: items})
		}
	case all[name] == nil:
		e.refuse(w, http.StatusNotFound, "no such thing: "+name)
	case r.Method == http.MethodDelete:
		delete(all, name)
		if err := os.RemoveAll(e.volumeDir(name)); err != nil {
			e.t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		e.answer(w, http.StatusOK, all[name])
	}
}

func (e *Engine) volumeDir(name string) string { return filepath.Join(e.dir, "volumes", name) }

// contentDir is where what is in a volume lies: on its device if it has one.
func (e *Engine) contentDir(name string) string {
	opts, _ := e.volumes[name]["DriverOpts"].(map[string]any)
	if device, _ := opts["device"].(string); filepath.IsAbs(device) {
		return contentOf(device)
	}
	return e.volumeDir(name)
}

// Restart is what a restart of the daemon does: every container ends, and volumes in memory are empty.
func (e *Engine) Restart() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		c.kill()
	}
	return os.RemoveAll(filepath.Join(e.dir, "volumes"))
}

// wanted applies the only filter that is used: one label.
func wanted(r *http.Request, labels any) bool {
	var filters map[string]map[string]bool
	if err := json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters); err != nil {
		return true
	}
	for filter := range filters["label"] {
		key, value, _ := strings.Cut(filter, "=")
		switch l := labels.(type) {
		case map[string]any:
			return l[key] == value
		case map[string]string:
			return l[key] == value
		}
	}
	return true
}
