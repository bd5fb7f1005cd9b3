package inside

import (
	"cmp"
	"maps"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/image"
)

const (
	// uid is that of every program, whatever the image says: an id without a name.
	uid = 65532

	inPath, outPath, tmpPath = "/in", "/out", "/tmp"
	hostname                 = "task"
	searchPath               = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	// maxEntries is as many as a result can hold.
	maxEntries = 1 << 16
	// maxVolumes is how many folders an image may want to be writable.
	maxVolumes = 16
	blockSize  = 4 << 10

	// MemoryMiB is what a container needs beside its task's memory, for this process.
	MemoryMiB = 32
	// stopGrace is how long a service may take to end after it was asked to, before it is killed.
	stopGrace = 10 * time.Second
)

// Container is the one that this process is in.
type Container struct {
	// Image says what a container of the image runs, and with which variables and folder.
	Image image.Defaults
}

// Exit is how a program ended by itself; a signal's number is 128 lower than its code.
type Exit struct {
	Code              uint32
	Started, Finished time.Time
}

// Entries is how many files and folders a folder of some size may have, itself included.
func Entries(size int64) int64 { return min(size/blockSize, maxEntries) + 1 }

// command is what is executed.
type command struct {
	path string
	argv []string
	env  []string
	dir  string
}

// command is the program of a task: its path is found as the engine would. The error is a *dispatch.Failure.
func (c *Container) command(a dispatch.Assignment, number uint32) (command, error) {
	out := command{dir: c.dir(a)}
	var err error
	if out.argv, err = c.Program(a); err != nil {
		return out, err
	}
	env := c.environment(a, number, out.dir)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out.env = append(out.env, name+"="+env[name])
	}
	out.path = find(out.argv[0], env["PATH"], out.dir)
	if out.path == "" {
		return out, dispatch.Failf(dispatch.ReasonBadImage, "the image's program cannot be run: %.200q is not in the image", out.argv[0])
	}
	return out, nil
}

// Folder is one of a container that can be written to: a tmpfs, so that the kernel holds it to its size.
type Folder struct {
	Path  string
	Bytes int64
}

// Folders are those of a task. What they hold counts as the task's memory.
func (c *Container) Folders(a dispatch.Assignment) []Folder {
	memory := (int64(a.MemoryMiB) + MemoryMiB) << 20 // so that it is the container's limit that is felt
	list, taken := []Folder{{tmpPath, memory}}, []string{"/", inPath, outPath, tmpPath}
	if a.Service == nil {
		list = append(list, Folder{outPath, int64(a.StorageMiB) << 20})
	} else {
		for _, v := range a.Service.Volumes {
			list, taken = append(list, Folder{v.Path, int64(v.SizeMiB) << 20}), append(taken, v.Path)
		}
	}
	for i, v := range slices.Sorted(maps.Keys(c.Image.Volumes)) { // else each would be a folder of the host without a limit
		if v = path.Clean("/" + v); i < maxVolumes && !slices.Contains(taken, v) {
			list, taken = append(list, Folder{v, memory}), append(taken, v)
		}
	}
	return list
}

// Program is what a task executes, with its arguments. The error, a *dispatch.Failure, is that the image cannot run.
func (c *Container) Program(a dispatch.Assignment) ([]string, error) {
	if len(c.Image.Entrypoint)+len(c.Image.Cmd) == 0 {
		return nil, dispatch.Failf(dispatch.ReasonBadImage, "the image names no program; set its ENTRYPOINT or CMD")
	}
	if n := len(c.Image.Volumes); n > maxVolumes {
		return nil, dispatch.Failf(dispatch.ReasonBadImage, "the image has %d volumes; at most %d are allowed", n, maxVolumes)
	}
	if len(a.Args) > 0 {
		return slices.Concat(c.Image.Entrypoint, a.Args), nil
	}
	return slices.Concat(c.Image.Entrypoint, c.Image.Cmd), nil
}

// dir is the working folder: that of the image, unless it is /out and the task is a service, which has none.
func (c *Container) dir(a dispatch.Assignment) string {
	if a.Service == nil {
		return cmp.Or(c.Image.WorkingDir, outPath)
	}
	if dir := cmp.Or(c.Image.WorkingDir, "/"); dir != outPath {
		return dir
	}
	return "/"
}

// environment is what package dispatch promises, over what the engine sets and what the image says.
func (c *Container) environment(a dispatch.Assignment, number uint32, dir string) map[string]string {
	env := map[string]string{"PATH": searchPath, "HOSTNAME": hostname, "HOME": home()}
	for _, text := range c.Image.Env {
		if name, value, ok := strings.Cut(text, "="); ok && name != "" {
			env[name] = value
		}
	}
	env["FOG_JOB"] = a.ID.Job
	env["FOG_TASK_INDEX"] = strconv.FormatUint(uint64(number), 10)
	env["FOG_TASK_COUNT"] = strconv.FormatUint(uint64(a.JobTasks), 10)
	env["PWD"] = dir
	maps.Copy(env, a.Env)
	if a.Service != nil {
		for _, p := range a.Service.Ports {
			env[p.Variable()] = strconv.Itoa(int(p.Container))
		}
	}
	return env
}

// home is the folder that the image's own list of users gives the program's.
func home() string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil || u.HomeDir == "" {
		return "/"
	}
	return u.HomeDir
}

// find looks for a program as a shell does; the result is empty if there is none.
func find(name, search, dir string) string {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = path.Join(dir, name)
		}
		return there(name)
	}
	for _, folder := range filepath.SplitList(search) {
		if found := there(path.Join(cmp.Or(folder, dir), name)); found != "" {
			return found
		}
	}
	return ""
}

func there(file string) string {
	if info, err := os.Stat(file); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return ""
	}
	return file
}
