//go:build !windows

package devnet

import (
	"os"
	"syscall"
)

// detached puts a process into a session of its own, so that an interrupt at the terminal does not reach it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// askToEnd asks a process to end in order.
func askToEnd(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
