package nomad_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// images is a registry on the loopback with the images of jobs.
type images struct {
	server *httptest.Server
	client *client.Client

	mu sync.Mutex
	// user and password are what the registry asks for; empty: it takes everybody.
	user, password string
	pulled         []string // refs that a Docker Engine may have
}

func newImages(t testing.TB) *images {
	store, err := registry.Open(t.TempDir(), registry.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	i := &images{}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		user, password := i.user, i.password
		i.mu.Unlock()
		if name, given, _ := r.BasicAuth(); name != user || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="fog"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		store.ServeHTTP(w, r)
	}))
	i.client, err = client.New(i.server.URL)
	require.NoError(t, err)
	t.Cleanup(func() {
		i.server.Close()
		require.NoError(t, store.Close())
		i.mu.Lock()
		defer i.mu.Unlock()
		for _, ref := range i.pulled {
			exec.Command("docker", "rmi", ref).Run() //nolint:errcheck // it may never have been pulled
		}
	})
	return i
}

// protect has the registry ask for a user from now on.
func (i *images) protect(user, password string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.user, i.password = user, password
}

// locate pushes an assignment's image and says where it is.
func (i *images) locate(ctx context.Context, a dispatch.Assignment) (nomad.Picture, error) {
	img, err := image.Open(a.ModulePath, a.Module)
	if err != nil {
		return nomad.Picture{}, err
	}
	if err := i.client.PushImage(ctx, client.RepoImages, img); err != nil {
		return nomad.Picture{}, err
	}
	ref := strings.TrimPrefix(i.server.URL, "http://") + "/" + client.RepoImages + "@" + a.Module.String()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pulled = append(i.pulled, ref)
	return nomad.Picture{Ref: ref, Defaults: img.Config.Config}, nil
}
