package direct

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
	"github.com/foggrid/fogd/offchain/image"
)

func TestExec(t *testing.T) {
	t.Run("stand-in", func(t *testing.T) { testExec(t, dockertest.New(t).Host) })
	t.Run("docker", func(t *testing.T) {
		needDocker(t)
		status := testExec(t, "")
		for _, line := range []string{`CapEff:\s+0+\n`, `Seccomp:\s+2\n`, `Uid:\s+65532\s`} {
			require.Regexp(t, line, status, "a command has no more rights than its task")
		}
	})
}

// testExec runs commands beside a service and returns what one sees of itself.
func testExec(t *testing.T, host string) string {
	d := openDirect(t, Options{Dir: t.TempDir(), DockerHost: host, RestartMin: 50 * time.Millisecond})
	t.Cleanup(func() { require.NoError(t, d.PruneImages(context.Background())) })
	a := dispatchtest.ServiceAssignment(t, dispatchtest.BuildGuestImage(t))
	a.Service.Volumes = nil
	require.ErrorContains(t, func() error {
		require.NoError(t, d.Start(context.Background(), a))
		_, err := d.Exec(context.Background(), a.ID, 0, dispatch.Command{Args: []string{image.ProgramPath}})
		return err
	}(), "exec: true", "a job that does not ask for it")
	require.NoError(t, d.Stop(context.Background(), a.ID))
	a.ID.Slice++
	a.Exec = true
	require.NoError(t, d.Start(context.Background(), a))
	dispatchtest.WatchService(t, d, a.ID).Until(dispatch.ServiceHealthy)
	run := func(stdin string, args ...string) (string, uint32) {
		var out bytes.Buffer
		code, err := d.Exec(context.Background(), a.ID, 0, dispatch.Command{Args: append([]string{image.ProgramPath}, args...), Stdin: []byte(stdin), Out: &out})
		require.NoError(t, err)
		return out.String(), code
	}
	out, code := run("what it reads\n", "echo", "7", "a", "word")
	require.Equal(t, "what it reads\na word\n", out)
	require.EqualValues(t, 7, code)
	_, code = run("", "no such command")
	require.NotZero(t, code)
	status, code := run("", "cat", "/proc/self/status")
	require.Zero(t, code)
	_, err := d.Exec(context.Background(), a.ID, 1, dispatch.Command{Args: []string{"x"}})
	require.Error(t, err)
	require.NoError(t, d.Stop(context.Background(), a.ID))
	_, err = d.Exec(context.Background(), a.ID, 0, dispatch.Command{Args: []string{"x"}, Out: &bytes.Buffer{}})
	require.ErrorContains(t, err, "does not run at this moment")
	return status
}
