package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/docker"
	"github.com/foggrid/fogd/offchain/image"
	"github.com/foggrid/fogd/offchain/jobfile"
	"github.com/foggrid/fogd/offchain/link"
	"github.com/foggrid/fogd/offchain/registry/client"
)

// nodeAttack is a job that does its worst, and how it must end.
type nodeAttack struct {
	name   string
	args   []string
	memory jobfile.MiB
	want   []link.Reason
}

// survive runs the attacks one after the other, and has the oracle ping the node as long as each runs: an answer must come meanwhile.
func (w *world) survive(o *oracle, spec jobfile.Spec, attacks []nodeAttack) {
	for i, c := range attacks {
		w.t.Run(c.name, func(t *testing.T) {
			s := spec
			s.Args, s.Memory = c.args, max(s.Memory, c.memory)
			if c.args[0] == "spin" {
				s.MaxDuration = 3
			}
			id := w.match(w.putJob(fmt.Sprintf("job1attack%d", i), s), 0, 0, 1)
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			answered := 0
			for over := false; !over || answered == 0; {
				session, ok := o.link.Session(testNode)
				require.True(t, ok, "the node has lost its link")
				_, err := session.Ping(ctx)
				switch {
				case err == nil:
					answered++
				case !errors.Is(err, link.ErrPingTimeout): // which a busy machine may need three tries for, as oracles have them
					require.NoError(t, err)
				}
				w.mu.Lock()
				_, over = w.decided[id]
				w.mu.Unlock()
				time.Sleep(100 * time.Millisecond) // an agent hangs up on oracles that send more than 20 messages a second
			}
			task := w.outcome(id).Tasks[0]
			require.Contains(t, c.want, task.Reason, "exit code %d", task.ExitCode)
		})
	}
}

// TestNodeOutlivesModules: a module that attacks the node ends by its own fault or has reached nothing, while the node answers pings, and the next job runs.
func TestNodeOutlivesModules(t *testing.T) {
	w := newWorld(t)
	o := w.oracle("a")
	p := w.run(t.TempDir())
	eventually(t, "no link", func() bool { return len(p.Status().Links) == 1 && p.Status().Links[0].Connected })
	w.survive(o, w.specOf(w.job(testJob, 1, "report")), []nodeAttack{
		{name: "endless loop", args: []string{"spin"}, want: []link.Reason{link.ReasonTimeout}},
		{name: "memory", args: []string{"hog"}, want: []link.Reason{link.ReasonMemory}},
		{name: "disk", args: []string{"fill"}, want: []link.Reason{link.ReasonOutput}},
		{name: "disk, by a sparse file", args: []string{"truncate"}, want: []link.Reason{link.ReasonOutput}},
		{name: "files without end", args: []string{"names"}, want: []link.Reason{link.ReasonOutput}},
		{name: "a flood into the log", args: []string{"flood"}, want: []link.Reason{link.ReasonNone}},
		{name: "files of the host", args: []string{"escape"}, want: []link.Reason{link.ReasonNone}},
		{name: "sockets and processes", args: []string{"attack", "reach", "127.0.0.1:4646", "127.0.0.1:8200", "169.254.169.254:80"}, want: []link.Reason{link.ReasonNone}},
		{name: "and then a good job", args: []string{"report"}, want: []link.Reason{link.ReasonNone}},
	})
}

// TestDockerNodeOutlivesContainers is the same with containers, where a Docker Engine answers.
func TestDockerNodeOutlivesContainers(t *testing.T) {
	dir := t.TempDir()
	e, err := docker.New(docker.Options{Owner: dir + "/dispatch"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	if err := e.Probe(t.Context()); err != nil {
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED: %s needs a Docker Engine: %v ***\n\n", t.Name(), err)
		t.Skip("no Docker Engine")
	}
	w := newWorld(t)
	o := w.oracle("a")
	guest := dispatchtest.BuildGuestImage(t)
	img, err := image.Open(guest.Path, guest.Digest)
	require.NoError(t, err)
	require.NoError(t, w.push.PushImage(t.Context(), client.RepoImages, img))
	spec := w.specOf(w.job("job1pattern", 1, "report"))
	spec.Engine, spec.Module = jobfile.EngineDocker, guest.Digest
	t.Cleanup(func() { require.NoError(t, e.Prune(context.WithoutCancel(t.Context()), true)) })
	p := w.run(dir)
	eventually(t, "no link", func() bool { return len(p.Status().Links) == 1 && p.Status().Links[0].Connected })
	w.survive(o, spec, []nodeAttack{
		{name: "fork bomb", args: []string{"attack", "fork"}, memory: 2048, want: []link.Reason{link.ReasonNone, link.ReasonTimeout}},
		{name: "endless loop", args: []string{"spin"}, want: []link.Reason{link.ReasonTimeout}},
		{name: "memory", args: []string{"hog"}, want: []link.Reason{link.ReasonMemory}},
		{name: "disk", args: []string{"fill"}, want: []link.Reason{link.ReasonOutput}},
		{name: "temporary files", args: []string{"attack", "tmp"}, want: []link.Reason{link.ReasonMemory}},
		{name: "the host and its privileges", args: []string{"attack", "reach"}, want: []link.Reason{link.ReasonNone}},
		{name: "and then a good job", args: []string{"report"}, want: []link.Reason{link.ReasonNone}},
	})
	eventually(t, "an attempt does not end", func() bool { return len(p.Status().UnderWay) == 0 })
	kept, err := p.dispatcher.Kept()
	require.NoError(t, err)
	for _, id := range kept {
		require.NoError(t, p.dispatcher.Remove(t.Context(), id))
	}
}
