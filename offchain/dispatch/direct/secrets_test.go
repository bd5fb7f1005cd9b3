package direct

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/image"
)

const planted = "planted-secret-5b20"

func secretAssignment(m dispatchtest.Module) dispatch.Assignment {
	a := dispatchtest.Assignment(m, 1, "secret", "PASSWORD")
	a.Secrets = []dispatch.Secret{{Name: "PASSWORD", Value: dispatch.SecretValue(planted)}}
	return a
}

// requireNowhere looks for the secret in all files of a folder.
func requireNowhere(t *testing.T, dir string) {
	t.Helper()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		require.False(t, bytes.Contains(raw, []byte(planted)), "%s has the secret", path)
		files++
		return err
	}))
	require.NotZero(t, files)
}

// A task gets its secrets, and no file of the dispatcher does.
func TestSecrets(t *testing.T) {
	run := func(t *testing.T, m dispatchtest.Module) {
		dir := t.TempDir()
		d := openDirect(t, Options{Dir: dir})
		out := dispatchtest.RunToEnd(t, d, secretAssignment(m))
		require.Equal(t, dispatch.ReasonOK, out.Tasks[0].Reason, out.Tasks[0].Message)
		require.Equal(t, fmt.Sprintf("%x\n", sha256.Sum256([]byte(planted))), dispatchtest.ReadLog(t, d, out.ID, 0))
		requireNowhere(t, dir)
		if m.Engine == dispatch.EngineDocker {
			require.NoError(t, d.PruneImages(context.Background()))
		}
	}
	t.Run("module", func(t *testing.T) { run(t, dispatchtest.BuildGuest(t)) })
	t.Run("container", func(t *testing.T) {
		needDocker(t)
		run(t, dispatchtest.BuildGuestImage(t))
	})
}

func TestSecretsAreNotShown(t *testing.T) {
	a := secretAssignment(dispatchtest.Module{})
	raw, err := json.Marshal(a)
	require.NoError(t, err)
	for _, text := range []string{string(raw), fmt.Sprintf("%v %+v %#v", a, a, a), fmt.Sprintf("%x %q %s", a.Secrets[0].Value, a.Secrets[0].Value, a.Secrets[0].Value)} {
		require.NotContains(t, text, planted)
		require.NotContains(t, text, fmt.Sprintf("%x", planted))
	}
	before, err := a.Fingerprint()
	require.NoError(t, err)
	a.Secrets[0].Value = dispatch.SecretValue("another")
	after, err := a.Fingerprint()
	require.NoError(t, err)
	require.Equal(t, before, after, "one that was replaced is no other assignment")
}

// The secrets of a service are there at each of its starts, and the engine neither shows nor stores them.
func TestSecretsOfServices(t *testing.T) {
	needDocker(t)
	d := openDirect(t, Options{Dir: t.TempDir(), RestartMin: 50 * time.Millisecond})
	t.Cleanup(func() { require.NoError(t, d.PruneImages(context.Background())) })
	a := dispatchtest.ServiceAssignment(t, dispatchtest.BuildGuestImage(t))
	a.Exec, a.Secrets = true, secretAssignment(dispatchtest.Module{}).Secrets
	require.NoError(t, d.Start(t.Context(), a))
	dispatchtest.WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
	var out bytes.Buffer
	code, err := d.Exec(t.Context(), a.ID, 0, dispatch.Command{Args: []string{image.ProgramPath, "cat", dispatch.SecretsDir + "/PASSWORD"}, Out: &out})
	require.NoError(t, err)
	require.Zero(t, code)
	require.Equal(t, planted, out.String())
	out.Reset()
	_, err = d.Exec(t.Context(), a.ID, 0, dispatch.Command{Args: []string{image.ProgramPath, "cat", "/proc/self/mounts"}, Out: &out})
	require.NoError(t, err)
	require.Regexp(t, `(?m)^tmpfs /run/secrets tmpfs ro`, out.String())

	api, err := client.New(client.FromEnv)
	require.NoError(t, err)
	defer func() { require.NoError(t, api.Close()) }()
	list, err := api.ContainerList(t.Context(), client.ContainerListOptions{Filters: make(client.Filters).Add("label", "io.foggrid.attempt="+a.ID.String())})
	require.NoError(t, err)
	require.Len(t, list.Items, 2, "the service and its holder")
	for _, c := range list.Items {
		found, err := api.ContainerInspect(t.Context(), c.ID, client.ContainerInspectOptions{})
		require.NoError(t, err)
		require.NotContains(t, string(found.Raw), planted)
		if dir := filepath.Join("/var/lib/docker/containers", c.ID); os.Geteuid() == 0 {
			if _, err := os.Stat(dir); err == nil {
				requireNowhere(t, dir)
			}
		}
	}
	require.NoError(t, d.Stop(t.Context(), a.ID))
}
