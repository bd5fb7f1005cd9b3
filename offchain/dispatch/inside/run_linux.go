package inside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Task is one run of the program.
type Task struct {
	Assignment dispatch.Assignment
	// Number of the task in the job.
	Number uint32
	// OutDir is an empty folder that gets what the task leaves in /out.
	OutDir string
	// Log gets standard output and error as they come.
	Log io.Writer
}

// namesEvery is how often the number of files in /out is looked at: its kernel limits bytes only.
const namesEvery = 100 * time.Millisecond

// Run runs a batch task to its end. The error is a *dispatch.Failure or the cause of the context's end; times are set if the task ran.
func (c *Container) Run(ctx context.Context, t Task) (Exit, error) {
	a := t.Assignment
	limit := int64(a.StorageMiB) << 20
	running, end := context.WithCancelCause(ctx)
	defer end(nil)
	clock := time.AfterFunc(a.MaxDuration, func() {
		end(dispatch.Failf(dispatch.ReasonTimeout, "it ran longer than %s", a.MaxDuration))
	})
	defer clock.Stop()
	go watchNames(running, Entries(limit), end)
	exit, err := c.execute(running, t)
	if err != nil {
		return exit, err
	}
	full, err := collect(outPath, t.OutDir, limit)
	var f *dispatch.Failure
	switch {
	case errors.As(err, &f):
		return exit, f
	case err != nil:
		return exit, dispatch.NodeFailure("collect the output", err)
	case full && exit.Code != 0:
		return exit, dispatch.Failf(dispatch.ReasonOutput, "it failed with exit code %d when /out was full (%d MiB)", exit.Code, a.StorageMiB)
	}
	return exit, nil
}

// Serve runs a service once, to its end. When the context ends, it is asked to end, and killed if it does not. Errors are those of Run; up is told
// when it began.
func (c *Container) Serve(ctx context.Context, t Task, up func(started time.Time)) (Exit, error) {
	if err := empty(tmpPath); err != nil {
		return Exit{}, dispatch.NodeFailure("clear /tmp", err)
	}
	p, err := c.begin(t)
	if err != nil {
		return Exit{}, err
	}
	up(p.started)
	return await(ctx, p, stopGrace)
}

// watchNames ends a task that has more files in /out than a result may have.
func watchNames(ctx context.Context, most int64, end context.CancelCauseFunc) {
	ticker := time.NewTicker(namesEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var s syscall.Statfs_t
		if err := syscall.Statfs(outPath, &s); err == nil && int64(s.Files-s.Ffree) > most {
			end(tooMany(most - 1))
			return
		}
	}
}

func (c *Container) execute(ctx context.Context, t Task) (Exit, error) {
	p, err := c.begin(t)
	if err != nil {
		return Exit{}, err
	}
	return await(ctx, p, 0)
}

// process is a program that was started.
type process struct {
	task    Task
	pid     int
	started time.Time
	killed  uint64 // by the kernel, for memory, before it began
	ended   chan syscall.WaitStatus
	logged  chan error
}

// begin starts the program.
func (c *Container) begin(t Task) (*process, error) {
	cmd, err := c.command(t.Assignment, t.Number)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, dispatch.NodeFailure("make a pipe", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, dispatch.NodeFailure("open "+os.DevNull, errors.Join(err, r.Close(), w.Close()))
	}
	p := &process{task: t, killed: oomKills(), ended: make(chan syscall.WaitStatus, 1), logged: make(chan error, 1)}
	attr := &syscall.ProcAttr{Dir: cmd.dir, Env: cmd.env, Files: []uintptr{null.Fd(), w.Fd(), w.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}}
	if os.Geteuid() == 0 {
		attr.Sys.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	p.started = time.Now().UTC()
	p.pid, err = syscall.ForkExec(cmd.path, cmd.argv, attr) //nolint:gosec // running what the developer sent is the point, in a container
	if err = errors.Join(err, w.Close(), null.Close()); err != nil {
		return nil, startFailure(cmd, errors.Join(err, r.Close()))
	}
	// The kernel shall take the program before this process, which tells what happened; without this the container ends as a whole.
	os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.pid), []byte("1000"), 0) //nolint:errcheck // see above
	go func() {
		_, err := io.Copy(t.Log, r)
		p.logged <- errors.Join(err, r.Close())
	}()
	go func() { p.ended <- reap(p.pid) }()
	return p, nil
}

// startFailure tells an image whose program cannot be run from a machine that cannot run it.
func startFailure(cmd command, err error) error {
	for _, bad := range []error{syscall.ENOENT, syscall.EACCES, syscall.ENOEXEC, syscall.ENOTDIR, syscall.EINVAL, syscall.ELOOP} {
		if errors.Is(err, bad) {
			return dispatch.Failf(dispatch.ReasonBadImage, "the image's program cannot be run: %.200q in %.200q: %v", cmd.argv[0], cmd.dir, err)
		}
	}
	return dispatch.NodeFailure("start the program", err)
}

// await waits until the program has ended, ends what it started, and says how it ended.
func await(ctx context.Context, p *process, grace time.Duration) (Exit, error) {
	var status syscall.WaitStatus
	select {
	case status = <-p.ended:
	case <-ctx.Done():
		status = p.stop(grace)
	}
	exit := Exit{Started: p.started, Finished: time.Now().UTC()}
	p.killRest()
	reapRest()
	if err := <-p.logged; err != nil {
		return exit, dispatch.NodeFailure("read what the program writes", err)
	}
	if ctx.Err() != nil {
		return exit, context.Cause(ctx)
	}
	exit.Code = uint32(status.ExitStatus())
	if status.Signaled() {
		exit.Code = 128 + uint32(status.Signal())
	}
	if exit.Code != 0 && oomKills() > p.killed {
		return exit, dispatch.Failf(dispatch.ReasonMemory, "more than %d MiB of memory, what is in /tmp, /out and volumes included", p.task.Assignment.MemoryMiB)
	}
	return exit, nil
}

// stop asks the program to end, and kills it if it does not.
func (p *process) stop(grace time.Duration) syscall.WaitStatus {
	if grace > 0 {
		p.signal(syscall.SIGTERM)
		select {
		case status := <-p.ended:
			return status
		case <-time.After(grace):
		}
	}
	p.killRest()
	return <-p.ended
}

func (p *process) signal(s syscall.Signal) {
	syscall.Kill(p.pid, s) //nolint:errcheck // it has ended, then
}

// killRest ends all that the program may have left: everybody in the container, or outside of one the program's own session.
func (p *process) killRest() {
	target := -p.pid
	if first() {
		target = -1
	}
	syscall.Kill(target, syscall.SIGKILL) //nolint:errcheck // nobody was left
}

// first reports whether this process is the first of its container.
func first() bool { return os.Getpid() == 1 }

// reap waits for a child. The first process of a container inherits all whose parents have ended, and takes them up meanwhile.
func reap(pid int) syscall.WaitStatus {
	which := pid
	if first() {
		which = -1
	}
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(which, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil, got == pid:
			return status
		}
	}
}

// reapRest waits until nobody is left in the container but this process.
func reapRest() {
	if first() {
		reap(0)
	}
}

// oomKills is how many processes of the container the kernel has ended for their memory.
func oomKills() uint64 {
	for _, g := range groups {
		if n, ok := number(filepath.Join("/sys/fs/cgroup", g.events), "oom_kill"); ok {
			return n
		}
	}
	return 0
}

// manyNames reports whether a file has more names than one.
func manyNames(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && s.Nlink > 1
}

// Ready makes the container what a task of the assignment expects: the folders that Nomad and this process share (kept) are out of its reach, and those
// that are there to be written to are open, which runc forgets when a folder was there before its mount. Nothing that is
// started from now on can have a right.
func (c *Container) Ready(a dispatch.Assignment, kept ...string) error {
	err := dropBounds()
	for _, folder := range kept {
		err = errors.Join(err, os.Chown(folder, 0, 0), os.Chmod(folder, 0o700))
	}
	for _, folder := range c.Folders(a) {
		err = errors.Join(err, os.Chmod(folder.Path, 0o777|fs.ModeSticky))
	}
	return err
}

// dropBounds takes from all that is started the rights that this process has. It keeps them itself.
func dropBounds() error {
	for right := uintptr(0); right <= maxRight; right++ {
		_, _, number := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, syscall.PR_CAPBSET_DROP, right, 0)
		if number == syscall.EINVAL { // the kernel does not know as many
			return nil
		}
		if number != 0 {
			return fmt.Errorf("drop right %d: %w", right, number)
		}
	}
	return nil
}

// maxRight is more than any kernel knows.
const maxRight = 63
