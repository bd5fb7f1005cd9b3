//go:build !linux

package inside

import (
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// Task is one run of the program.
type Task struct {
	Assignment dispatch.Assignment
	Number     uint32
	OutDir     string
	Log        io.Writer
}

var errLinux = dispatch.Failf(dispatch.ReasonNode, "containers are run from inside on Linux only")

// Run fails: there are no such containers here.
func (c *Container) Run(context.Context, Task) (Exit, error) { return Exit{}, errLinux }

// Serve fails: there are no such containers here.
func (c *Container) Serve(context.Context, Task, func(time.Time)) (Exit, error) {
	return Exit{}, errLinux
}

// Ready fails: there are no such containers here.
func (c *Container) Ready(dispatch.Assignment, ...string) error { return errLinux }

func manyNames(fs.FileInfo) bool { return false }
