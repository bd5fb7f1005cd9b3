package dockertest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	api "github.com/moby/moby/api/types/container"
)

// container is one process after another.
type container struct {
	name, root string
	image      *image
	config     struct {
		api.Config
		HostConfig api.HostConfig
	}

	mu                sync.Mutex
	running           bool
	code              int
	pid               int
	started, finished time.Time
	done              chan struct{} // closed when the newest process has ended
	log               []line
	more              chan struct{} // closed and replaced at each line
}

// line is a piece of output.
type line struct {
	at   time.Time
	text []byte
}

func (e *Engine) serveContainers(w http.ResponseWriter, r *http.Request, path []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch path[0] {
	case "create":
		e.create(w, r)
		return
	case "json":
		list := []map[string]any{}
		for name, c := range e.containers {
			if wanted(r, c.config.Labels) {
				list = append(list, map[string]any{"Id": name, "Labels": c.config.Labels})
			}
		}
		e.answer(w, http.StatusOK, list)
		return
	}
	c := e.containers[path[0]]
	switch {
	case c == nil:
		e.refuse(w, http.StatusNotFound, "No such container: "+path[0])
	case r.Method == http.MethodDelete:
		c.kill()
		delete(e.containers, path[0])
		w.WriteHeader(http.StatusNoContent)
	case path[1] == "exec":
		e.makeExec(w, r, c)
	case path[1] == "start":
		if err := e.start(c); err != nil {
			e.refuse(w, http.StatusInternalServerError, err.Error())
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		e.mu.Unlock()
		e.serveContainer(w, r, path[1], c)
		e.mu.Lock()
	}
}

func (e *Engine) create(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	c := &container{name: name, root: filepath.Join(e.dir, "roots", name), done: make(chan struct{}), more: make(chan struct{})}
	close(c.done)
	if err := json.NewDecoder(r.Body).Decode(&c.config); err != nil {
		e.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if c.image = e.images[c.config.Image]; c.image == nil {
		e.refuse(w, http.StatusNotFound, "No such image: "+c.config.Image)
		return
	}
	if err := e.makeRoot(c); err != nil {
		e.refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	e.containers[name] = c
	e.answer(w, http.StatusCreated, map[string]any{"Id": name, "Warnings": []string{}})
}

// makeRoot links the mounts into a folder.
func (e *Engine) makeRoot(c *container) error {
	if err := errors.Join(os.RemoveAll(c.root), os.MkdirAll(filepath.Join(c.root, "tmp"), 0o755)); err != nil {
		return err
	}
	for _, m := range c.config.HostConfig.Mounts {
		source, target := m.Source, filepath.Join(c.root, m.Target)
		if m.Type == "volume" {
			source = e.contentDir(m.Source)
		}
		if err := errors.Join(os.MkdirAll(source, 0o755), os.MkdirAll(filepath.Dir(target), 0o755), os.Symlink(source, target)); err != nil {
			return err
		}
	}
	return nil
}

// start begins another process, with /tmp empty again.
func (e *Engine) start(c *container) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return nil
	}
	tmp := filepath.Join(c.root, "tmp")
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o755)); err != nil {
		return err
	}
	forwards, err := forward(c.config.HostConfig.PortBindings)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.image.program, c.config.Cmd...)
	cmd.Env = append(slices.Clone(c.config.Env), RootVariable+"="+c.root)
	for _, r := range c.config.HostConfig.DeviceRequests { // as the engine's driver for NVIDIA does
		cmd.Env = append(cmd.Env, "NVIDIA_VISIBLE_DEVICES="+strings.Join(r.DeviceIDs, ","))
	}
	cmd.Dir = c.root
	cmd.Stdout = writer{c}
	cmd.Stderr = writer{c}
	if err := cmd.Start(); err != nil {
		forwards.close()
		c.code = 127
		return fmt.Errorf("exec: %w", err)
	}
	c.running, c.started, c.pid, c.done = true, time.Now().UTC(), cmd.Process.Pid, make(chan struct{})
	go func() {
		err := cmd.Wait()
		forwards.close()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.code = 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			c.code = exit.ExitCode()
			if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				c.code = 128 + int(status.Signal())
			}
		}
		c.running, c.finished = false, time.Now().UTC()
		close(c.done)
	}()
	return nil
}

type writer struct{ c *container }

// Write implements io.Writer.
func (w writer) Write(p []byte) (int, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.log = append(w.c.log, line{time.Now(), append([]byte(nil), p...)})
	close(w.c.more)
	w.c.more = make(chan struct{})
	return len(p), nil
}

// signal sends one to a running process, and returns what is closed when that has ended.
func (c *container) signal(s syscall.Signal) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		_ = syscall.Kill(c.pid, s) //nolint:errcheck // it may have ended meanwhile
	}
	return c.done
}

func (c *container) kill() { <-c.signal(syscall.SIGKILL) }

func (e *Engine) serveContainer(w http.ResponseWriter, r *http.Request, verb string, c *container) {
	switch verb {
	case "json":
		e.inspect(w, c)
	case "wait":
		<-c.signal(0)
		c.mu.Lock()
		defer c.mu.Unlock()
		e.answer(w, http.StatusOK, map[string]any{"StatusCode": c.code})
	case "logs":
		c.serveLog(w, r)
	case "kill":
		c.kill()
		w.WriteHeader(http.StatusNoContent)
	case "stop":
		seconds, err := strconv.Atoi(r.URL.Query().Get("t"))
		if err != nil {
			e.t.Error(err)
		}
		select {
		case <-c.signal(syscall.SIGTERM):
		case <-time.After(time.Duration(seconds) * time.Second):
			c.kill()
		}
		w.WriteHeader(http.StatusNoContent)
	case "stats":
		e.answer(w, http.StatusOK, map[string]any{
			"cpu_stats":    map[string]any{"cpu_usage": map[string]any{"total_usage": 1_000_000}},
			"memory_stats": map[string]any{"usage": 3 << 20, "limit": c.config.HostConfig.Memory, "stats": map[string]any{"inactive_file": 1 << 20}},
			"pids_stats":   map[string]any{"current": 1}, "networks": map[string]any{"eth0": map[string]any{"rx_bytes": 10, "tx_bytes": 20}},
		})
	default:
		e.refuse(w, http.StatusNotImplemented, "the stand-in cannot "+verb)
	}
}

func (e *Engine) inspect(w http.ResponseWriter, c *container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := "created"
	if c.running {
		status = "running"
	} else if !c.finished.IsZero() {
		status = "exited"
	}
	e.answer(w, http.StatusOK, map[string]any{
		"Id": c.name, "Config": map[string]any{"Labels": c.config.Labels},
		"State": map[string]any{
			"Status": status, "Running": c.running, "ExitCode": c.code,
			"StartedAt": c.started.Format(time.RFC3339Nano), "FinishedAt": c.finished.Format(time.RFC3339Nano),
		},
	})
}

// serveLog writes what was said since a time, and goes on until the process has ended.
func (c *container) serveLog(w http.ResponseWriter, r *http.Request) {
	since := parseSince(r.URL.Query().Get("since"))
	w.WriteHeader(http.StatusOK)
	for seen := 0; ; {
		c.mu.Lock()
		lines, more, done := c.log[seen:], c.more, c.done
		seen = len(c.log)
		running := c.running
		c.mu.Unlock()
		for _, l := range lines {
			if l.at.Before(since) {
				continue
			}
			if _, err := w.Write(frame(l.text)); err != nil {
				return
			}
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		if !running && len(lines) == 0 {
			return
		}
		select {
		case <-more:
		case <-done:
		case <-r.Context().Done():
			return
		}
	}
}

// frame is text as the engine wraps standard output.
func frame(text []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{1, 0, 0, 0}, uint32(len(text))), text...)
}

// parseSince reads seconds and a fraction, which the client makes of every time.
func parseSince(s string) time.Time {
	seconds, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(sec, nanos)
}
