package devnet

import (
	"os"
	"syscall"
)

// detached puts a process into a group of its own, so that an interrupt at the console does not reach it.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// askToEnd ends a process: Windows has no signal that a process without a console could be asked with. All that our programs keep
// survives a sudden end.
func askToEnd(p *os.Process) error { return p.Kill() }
