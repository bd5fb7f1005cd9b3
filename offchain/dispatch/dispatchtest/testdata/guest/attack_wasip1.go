package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"structs"
	"syscall"
	"unsafe"
)

// What package syscall does not offer: the calls of WASI themselves, with whatever arguments.

//go:wasmimport wasi_snapshot_preview1 sock_accept
func sockAccept(fd, flags uint32, accepted *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_send
func sockSend(fd uint32, data *vector, count, flags uint32, sent *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 path_open
func pathOpen(fd, follow uint32, path *byte, length, create uint32, rights, inheriting uint64, flags uint32, opened *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_write
func fdWrite(fd uint32, data *vector, count uint32, written *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 fd_read
func fdRead(fd uint32, data *vector, count uint32, read *uint32) uint32

//go:wasmimport wasi_snapshot_preview1 random_get
func randomGet(at *byte, length uint32) uint32

//go:wasmimport wasi_snapshot_preview1 proc_raise
func procRaise(signal uint32) uint32

// vector is an iovec of WASI.
type vector struct {
	_          structs.HostLayout
	at, length uint32
}

// descriptors is up to where a file might have been left open.
const descriptors = 64

// attack is what a module can try; targets are addresses at which somebody listens whom it must not reach.
func attack(how string, targets []string) error {
	if how != "reach" {
		return fmt.Errorf("unknown attack %q", how)
	}
	tries := map[string]func() error{
		"accept on a socket of the host": func() error { return eachDescriptor(acceptOn) },
		"send on a socket of the host":   func() error { return eachDescriptor(sendOn) },
		"the host's files":               func() error { return eachDescriptor(openHostFiles) },
		"a socket in the inputs":         func() error { _, err := os.ReadFile("/in/docker.sock"); return err },
		"a link to a socket":             func() error { _, err := os.ReadFile("/in/link.sock"); return err },
		"write to a socket":              func() error { return os.WriteFile("/in/docker.sock", []byte("GET /info HTTP/1.0\r\n\r\n"), 0o600) },
		"start a process":                func() error { return exec.Command("/bin/sh", "-c", "true").Start() },
		"start itself":                   func() error { return exec.Command("/proc/self/exe").Start() },
		"kill the agent":                 func() error { return errno(procRaise(9)) },
		"write more than memory holds":   func() error { return errno(fdWrite(1, &vector{length: math.MaxUint32}, 1, new(uint32))) },
		"write vectors beyond memory":    func() error { return errno(fdWrite(1, &vector{length: 1}, math.MaxUint32, new(uint32))) },
		"read more than memory holds":    func() error { return errno(fdRead(0, &vector{at: 1, length: math.MaxUint32}, 1, new(uint32))) },
		"chance beyond memory":           func() error { return errno(randomGet(new(byte), math.MaxUint32)) },
	}
	for _, address := range targets {
		tries["dial "+address] = func() error { _, err := net.Dial("tcp", address); return err }
	}
	reached := 0
	for name, try := range tries {
		if err := try(); err == nil {
			fmt.Println("reached:", name)
			reached++
		}
	}
	os.Exit(reached)
	return nil
}

func errno(code uint32) error {
	if code == 0 {
		return nil
	}
	return syscall.Errno(code)
}

// eachDescriptor is nil if try succeeds with any descriptor.
func eachDescriptor(try func(fd uint32) error) error {
	for fd := range uint32(descriptors) {
		if err := try(fd); err == nil {
			fmt.Println("with the descriptor", fd)
			return nil
		}
	}
	return errors.New("with none")
}

// address is where memory lies: that of a module is one array, and a pointer its index.
func address(at *byte) uint32 { return uint32(uintptr(unsafe.Pointer(at))) }

func acceptOn(fd uint32) error { return errno(sockAccept(fd, 0, new(uint32))) }

func sendOn(fd uint32) error {
	text := []byte("GET / HTTP/1.0\r\n\r\n")
	return errno(sockSend(fd, &vector{at: address(&text[0]), length: uint32(len(text))}, 1, 0, new(uint32)))
}

func openHostFiles(fd uint32) error {
	for _, path := range []string{
		"/etc/passwd", "etc/passwd", "../../../../../../../../etc/passwd", "x/../../../../../../../../etc/passwd", "/proc/self/environ",
		"../../../../../../../../proc/self/environ", "/var/run/docker.sock", "../../../../../../../../var/run/docker.sock", "/dev/mem", "..", "/",
		"../../../../../../../../", "\x00/etc/passwd", "./..//..//..//..//..//..//etc//passwd",
	} {
		name := []byte(path)
		err := errno(pathOpen(fd, 1, &name[0], uint32(len(name)), 0, math.MaxUint64, math.MaxUint64, 0, new(uint32)))
		if err == nil && !isOwnFolder(path) {
			fmt.Printf("opened %q\n", path)
			return nil
		}
	}
	return errors.New("no file")
}

// isOwnFolder tells paths that lead from a folder of the task to itself: there is nothing above it.
func isOwnFolder(path string) bool {
	return path == "/" || path == ".." || path == "../../../../../../../../"
}
