package nomad_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/hostvolume"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/nomadtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad/runner"
)

const (
	testRegion = "global"
	testNode   = "node1test"
	testImage  = "127.0.0.1:5000/fog-runner@sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

// sharedCache spares the tests from compiling the guest again and again.
var sharedCache string

func TestMain(m *testing.M) {
	if os.Getenv(hostvolume.EnvOperation) != "" { // a client of Nomad runs this program as its plugin
		pluginMain()
	}
	dir, err := os.MkdirTemp("", "fog-nomad-")
	if err != nil {
		panic(err)
	}
	sharedCache = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// world is what a dispatcher under test stands in: contents to download, and a way to the tasks' folders.
type world struct {
	region nomad.Region
	image  nomad.Image
	// taskDirs are the task folders of all allocations on the test's client.
	taskDirs func() []string
	// namespace makes a namespace, if it has to be made.
	namespace func(t testing.TB, name string)

	// images is the registry of jobs' images; nil where none is needed.
	images *images

	// container is what containers of jobs' images do on the stand-in's clients.
	container func(ctx context.Context, o runner.Order, shared string) int

	contents *httptest.Server
	mu       sync.Mutex
	files    map[string][]byte
}

func newWorld(t testing.TB) *world {
	w := &world{files: map[string][]byte{}, namespace: func(testing.TB, string) {}}
	w.contents = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		content, ok := w.files[r.URL.Path]
		w.mu.Unlock()
		if !ok || r.Header.Get("Authorization") != "Bearer pull" {
			http.Error(rw, "no such blob", http.StatusNotFound)
			return
		}
		if _, err := rw.Write(content); err != nil {
			return
		}
	}))
	t.Cleanup(w.contents.Close)
	return w
}

// standIn is a world whose Nomad is the stand-in.
func standIn(t testing.TB) (*world, *nomadtest.Server) {
	w := newWorld(t)
	s := nomadtest.New(t, nomadtest.Options{
		Region: testRegion, Nodes: []string{testNode}, Image: testImage, MHz: 5000, Cores: 2, MemoryMiB: 8192, Cache: sharedCache,
		Pull:      func(ref, _, _ string) bool { return strings.HasPrefix(ref, "registry/images@") },
		Container: func(ctx context.Context, o runner.Order, dir string) int { return w.container(ctx, o, dir) },
	})
	w.region = nomad.Region{Name: testRegion, Address: s.URL}
	w.image = nomad.Image{Ref: testImage}
	w.taskDirs = s.TaskDirs
	return w, s
}

func (w *world) keep(content []byte) nomad.Source {
	sum := sha256.Sum256(content)
	path := "/" + hex.EncodeToString(sum[:])
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[path] = content
	return nomad.Source{URL: w.contents.URL + path, Headers: map[string]string{"Authorization": "Bearer pull"}}
}

// locate offers the contents of an assignment as the registry would have got them: regular files only.
func (w *world) locate(ctx context.Context, a dispatch.Assignment) (c nomad.Content, err error) {
	if a.Engine == dispatch.EngineDocker {
		if c.Image, err = w.images.locate(ctx, a); err != nil {
			return c, err
		}
	} else {
		module, err := os.ReadFile(a.ModulePath)
		if err != nil {
			return c, err
		}
		c.Module = w.keep(module)
	}
	if a.InputsDir == "" {
		return c, nil
	}
	dir, err := os.MkdirTemp(filepath.Dir(a.InputsDir), "inputs-")
	if err != nil {
		return c, err
	}
	entries, err := os.ReadDir(a.InputsDir)
	if err != nil {
		return c, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(a.InputsDir, e.Name()))
		if err != nil {
			return c, err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), content, 0o644); err != nil {
			return c, err
		}
	}
	var b bytes.Buffer
	if err := artifact.Pack(&b, dir, artifact.Limits{}); err != nil {
		return c, err
	}
	c.Inputs = w.keep(b.Bytes())
	return c, nil
}

// options are those of a dispatcher over the state in dir. Each dir has a namespace of its own, as if it were another grid.
func (w *world) options(t testing.TB, dir string) nomad.Options {
	sum := sha256.Sum256([]byte(dir))
	place := nomad.Placement{Node: testNode, Region: testRegion, Namespace: "t" + hex.EncodeToString(sum[:6])}
	w.namespace(t, place.Namespace)
	return nomad.Options{
		Dir: dir, Regions: []nomad.Region{w.region}, Image: w.image, Locate: w.locate,
		Place: func(context.Context, dispatch.AttemptID) (nomad.Placement, error) { return place, nil },
	}
}

func (w *world) open(t testing.TB, dir string) (dispatch.Dispatcher, func()) {
	d := openNomad(t, w.options(t, dir))
	return d, func() { require.NoError(t, d.Close()) }
}

func openNomad(t testing.TB, o nomad.Options) *nomad.Dispatcher {
	t.Helper()
	d, err := nomad.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// release puts the file that the guest's "wait" looks for into the inputs of every task, also of those that begin later.
func (w *world) release(t *testing.T, _ dispatch.Assignment) {
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			for _, dir := range w.taskDirs() {
				file := filepath.Join(dir, "in", "release")
				if err := os.WriteFile(file, nil, 0o644); err != nil && !os.IsNotExist(err) {
					t.Error(err)
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		done.Wait()
	})
}
