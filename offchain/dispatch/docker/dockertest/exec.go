package dockertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
)

// command is one beside the program of a container; it runs that program, whatever its own name is, with the arguments after it.
type command struct {
	c     *container
	args  []string
	stdin bool
	code  int
}

// makeExec takes a command for a container that runs. The caller holds mu.
func (e *Engine) makeExec(w http.ResponseWriter, r *http.Request, c *container) {
	var body struct {
		Cmd         []string
		AttachStdin bool
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Cmd) == 0 {
		e.refuse(w, http.StatusBadRequest, "no command")
		return
	}
	c.mu.Lock()
	running := c.running
	c.mu.Unlock()
	if !running {
		e.refuse(w, http.StatusConflict, "Container "+c.name+" is not running")
		return
	}
	id := fmt.Sprintf("exec%d", len(e.execs))
	e.execs[id] = &command{c: c, args: body.Cmd[1:], stdin: body.AttachStdin}
	e.answer(w, http.StatusCreated, map[string]string{"Id": id})
}

func (e *Engine) serveExec(w http.ResponseWriter, r *http.Request, id, verb string) {
	e.mu.Lock()
	x := e.execs[id]
	e.mu.Unlock()
	switch {
	case x == nil:
		e.refuse(w, http.StatusNotFound, "No such exec instance: "+id)
	case verb == "json":
		e.answer(w, http.StatusOK, map[string]any{"ID": id, "Running": false, "ExitCode": x.code})
	default:
		_, err := io.Copy(io.Discard, r.Body) // what follows it is the command's
		if err == nil {
			err = x.run(w)
		}
		if err != nil {
			e.t.Error(err)
		}
	}
}

// run answers as the engine does: the connection becomes the command's standard streams.
func (x *command) run(w http.ResponseWriter) error {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer closeIt(conn)
	if _, err := io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"); err != nil {
		return err
	}
	cmd := exec.Command(x.c.image.program, x.args...)
	cmd.Env = append(slices.Clone(x.c.config.Env), RootVariable+"="+x.c.root)
	cmd.Dir = x.c.root
	if x.stdin {
		stdin, err := io.ReadAll(buffered)
		if err != nil {
			return err
		}
		cmd.Stdin = bytes.NewReader(stdin)
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	x.code = cmd.ProcessState.ExitCode()
	_, err = conn.Write(frame(out))
	return err
}
