// Package proctest runs a program beside a test and waits for what it says.
package proctest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a program may take on a busy machine.
const patience = 5 * time.Minute

// Program is one that runs until its test ends.
type Program struct {
	lines chan string
	seen  []string
}

// Follow starts a command, whose lines are read from a stream such as (*exec.Cmd).StdoutPipe, and interrupts it when the test ends: until
// then it must run.
func Follow(t *testing.T, cmd *exec.Cmd, stream func(*exec.Cmd) (io.ReadCloser, error)) *Program {
	t.Helper()
	out, err := stream(cmd)
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &Program{lines: make(chan string, 1000)}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case p.lines <- s.Text():
			default: // nobody waits for what follows
			}
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(os.Interrupt), "it ended by itself")
		require.Error(t, cmd.Wait(), "it was interrupted")
	})
	return p
}

// Await waits for a line that matches, and returns the pattern's group.
func (p *Program) Await(t *testing.T, pattern string) string {
	t.Helper()
	form, late := regexp.MustCompile(pattern), time.After(patience)
	for {
		select {
		case line, open := <-p.lines:
			if m := form.FindStringSubmatch(line); m != nil {
				return m[1]
			}
			p.seen = append(p.seen, line)
			require.True(t, open, "the program ended without a line like %s:\n%s", pattern, strings.Join(p.seen, "\n"))
		case <-late:
			t.Fatalf("no line like %s in:\n%s", pattern, strings.Join(p.seen, "\n"))
		}
	}
}
