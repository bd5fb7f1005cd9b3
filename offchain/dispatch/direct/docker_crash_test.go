package direct

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker/dockertest"
	"github.com/foggrid/fogd/offchain/dispatch/volume"
)

// Variables that make the test binary run an assignment until it is killed.
const (
	childDir        = "FOG_TEST_DIRECT_DIR"
	childAssignment = "FOG_TEST_DIRECT_ASSIGNMENT"
	childModule     = "FOG_TEST_DIRECT_MODULE"
	childInputs     = "FOG_TEST_DIRECT_INPUTS"
	childDisk       = "FOG_TEST_DIRECT_DISK"
)

// childMain runs an assignment in a process that is going to be killed.
func childMain(dir string) {
	fail := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var a dispatch.Assignment
	fail(json.Unmarshal([]byte(os.Getenv(childAssignment)), &a))
	a.ModulePath, a.InputsDir = os.Getenv(childModule), os.Getenv(childInputs)
	opts := Options{Dir: dir}
	switch os.Getenv(childDisk) {
	case "stand-in":
		opts.Disk = dockertest.Disk{}
	case "loop":
		loop, err := volume.NewLoop()
		fail(err)
		opts.Disk = loop
	}
	d, err := New(opts)
	fail(err)
	fail(d.Start(context.Background(), a))
	select {}
}

// crash runs the assignment in another process until its task 1 has begun, and kills that process.
func crash(t *testing.T, dir string, a dispatch.Assignment) {
	t.Helper()
	kill := runChild(t, dir, a)
	attempt := attemptDir(dir, a.ID)
	require.Eventually(t, func() bool {
		_, ended := loadTask(taskDir(attempt, 0), 0)
		said, err := os.ReadFile(filepath.Join(taskDir(attempt, 1), logName))
		return ended && err == nil && string(said) == "task 1 began\n"
	}, time.Minute, 10*time.Millisecond)
	kill()
}

// runChild runs the assignment in another process.
func runChild(t *testing.T, dir string, a dispatch.Assignment) (kill func()) {
	t.Helper()
	raw, err := json.Marshal(a)
	require.NoError(t, err)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir, childAssignment+"="+string(raw), childModule+"="+a.ModulePath, childInputs+"="+a.InputsDir)
	require.NoError(t, child.Start())
	return func() {
		require.NoError(t, child.Process.Kill())
		require.Error(t, child.Wait())
	}
}

// TestServiceCrash kills the process while a service runs. The next one goes on with the same run of it.
func TestServiceCrash(t *testing.T) {
	t.Run("stand-in", func(t *testing.T) { testServiceCrash(t, dockertest.New(t).Host) })
	t.Run("docker", func(t *testing.T) {
		needDocker(t)
		testServiceCrash(t, "")
	})
}

func testServiceCrash(t *testing.T, host string) {
	if host != "" {
		t.Setenv(client.EnvOverrideHost, host)
	}
	dir := t.TempDir()
	a := dispatchtest.ServiceAssignment(t, dispatchtest.BuildGuestImage(t))
	kill := runChild(t, dir, a)
	ask := func(path string, query ...string) error {
		_, err := dispatchtest.Ask(a, path, query...)
		return err
	}
	require.Eventually(t, func() bool { return ask("/health") == nil }, time.Minute, 20*time.Millisecond)
	require.NoError(t, ask("/sick", "yes", "1"))
	kill()
	require.NoError(t, ask("/say", "text", "nobody listens"))

	d, closeIt := openServices(host, nil)(t, dir)
	defer closeIt()
	require.NoError(t, d.Start(context.Background(), a))
	w := dispatchtest.WatchService(t, d.(dispatch.Services), a.ID)
	require.Zero(t, w.Until(dispatch.ServiceRunning).Restarts)
	require.ErrorContains(t, ask("/health"), "sick", "it is another run")
	require.NoError(t, ask("/sick", "yes", "0"))
	w.Until(dispatch.ServiceHealthy)
	require.NoError(t, ask("/say", "text", "somebody listens"))
	require.NoError(t, d.Stop(context.Background(), a.ID))
	require.Equal(t, "service began\nnobody listens\nsomebody listens\nservice was asked to end\n", dispatchtest.ReadLog(t, d, a.ID, 0))
}

// TestCrashBeforeUpdate kills the process while a service with a volume runs. The next one starts the revision that follows, which takes the
// volume over from a container that nobody has stopped.
func TestCrashBeforeUpdate(t *testing.T) {
	t.Run("stand-in", func(t *testing.T) { testCrashBeforeUpdate(t, dockertest.New(t).Host, dockertest.Disk{}) })
	t.Run("docker", func(t *testing.T) {
		needDocker(t)
		testCrashBeforeUpdate(t, "", needLoop(t))
	})
}

func testCrashBeforeUpdate(t *testing.T, host string, disk volume.Disk) {
	if host != "" {
		t.Setenv(client.EnvOverrideHost, host)
		t.Setenv(childDisk, "stand-in")
	} else {
		t.Setenv(childDisk, "loop")
	}
	dir := t.TempDir()
	guest := dispatchtest.BuildGuestImage(t)
	a := dispatchtest.ServiceAssignment(t, guest)
	kill := runChild(t, dir, a)
	put := func() bool {
		_, err := dispatchtest.Ask(a, "/put", "path", "/data/kept", "text", "kept")
		return err == nil
	}
	require.Eventually(t, put, time.Minute, 20*time.Millisecond)
	kill()

	d, closeIt := openServices(host, disk)(t, dir)
	defer closeIt()
	next := dispatchtest.ServiceAssignment(t, guest)
	next.ID.Slice++
	require.NoError(t, d.Start(context.Background(), next))
	dispatchtest.WatchService(t, d.(dispatch.Services), next.ID).Until(dispatch.ServiceHealthy)
	kept, err := dispatchtest.Ask(next, "/get", "path", "/data/kept")
	require.NoError(t, err)
	require.Equal(t, "kept", kept)
	require.False(t, put(), "two revisions have the volume")
	require.NoError(t, d.Remove(context.Background(), a.ID))
	require.NoError(t, d.Stop(context.Background(), next.ID))
	require.NoError(t, d.(dispatch.Volumes).Wipe(context.Background(), dispatch.Replica{Job: a.ID.Job}))
}

// TestDockerCrash kills the process while a container runs. The next one goes on with that container, or takes it away.
func TestDockerCrash(t *testing.T) {
	needDocker(t)
	guest := dispatchtest.BuildGuestImage(t)
	dir := t.TempDir()
	a := dispatchtest.WithInputs(t, dispatchtest.Assignment(guest, 2, "wait", "1"))

	crash(t, dir, a)
	killed := time.Now()
	d, closeIt := openDocker(t, dir)
	require.NoError(t, d.Start(context.Background(), a))
	require.NoError(t, os.WriteFile(filepath.Join(a.InputsDir, "release"), nil, 0o600))
	for i, task := range dispatchtest.RunToEnd(t, d, a).Tasks {
		require.Equal(t, dispatch.ReasonOK, task.Reason, task.Message)
		require.True(t, task.Started.Before(killed), "task %d ran again", i)
		require.Equal(t, map[string]string{"task.txt": string(rune('0' + i))}, dispatchtest.ResultFiles(t, task))
	}
	require.Equal(t, "task 1 began\n", dispatchtest.ReadLog(t, d, a.ID, 1))
	closeIt()
	requireNothingLeft(t, dir)

	for name, clear := range map[string]func(t *testing.T, d *Dispatcher, a dispatch.Assignment){
		"removed": func(t *testing.T, d *Dispatcher, a dispatch.Assignment) {
			require.NoError(t, d.Remove(context.Background(), a.ID))
		},
		"without files": func(t *testing.T, d *Dispatcher, a dispatch.Assignment) {
			require.NoError(t, os.RemoveAll(attemptDir(dir, a.ID)))
			require.NoError(t, d.Sweep(context.Background()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			orphan := dispatchtest.WithInputs(t, dispatchtest.Assignment(guest, 2, "wait", "1"))
			orphan.ID.Slice = 7
			crash(t, dir, orphan)
			d, closeIt := openDocker(t, dir)
			defer closeIt()
			require.NoError(t, d.(*Dispatcher).Sweep(context.Background()))
			clear(t, d.(*Dispatcher), orphan)
			requireNothingLeft(t, dir)
		})
	}
}
