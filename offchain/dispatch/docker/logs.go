package docker

import (
	"context"
	"errors"
	"io"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// logNote ends a log that was cut.
const logNote = "\n[fog: the log is full; the rest was dropped]\n"

// errLogFull stops the copying.
var errLogFull = errors.New("the log is full")

// follow copies what the container writes until it ends or the log is full.
func (e *Engine) follow(ctx context.Context, t Task) error {
	stream, err := e.api.ContainerLogs(ctx, e.name(t), client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return err
	}
	out := &capped{w: t.Log, left: t.LogLimit}
	_, err = stdcopy.StdCopy(out, out, stream)
	if errors.Is(err, errLogFull) {
		_, err = io.WriteString(t.Log, logNote)
	}
	return errors.Join(err, stream.Close())
}

// capped takes up to left bytes and then no more.
type capped struct {
	w    io.Writer
	left int64
}

func (c *capped) Write(p []byte) (int, error) {
	if int64(len(p)) <= c.left {
		c.left -= int64(len(p))
		return c.w.Write(p)
	}
	n, err := c.w.Write(p[:c.left])
	c.left = 0
	if err != nil {
		return n, err
	}
	return n, errLogFull
}
