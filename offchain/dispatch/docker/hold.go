package docker

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"

	"github.com/foggrid/fogd/offchain/image"
)

// The holder is a container that does nothing but keep a task's /out mounted: a tmpfs is gone with the last container that has it, so
// without a holder there would be nothing to collect when the task has ended. Its program is a loop around a system call that waits
// for a signal.

// holdCode is machine code by architecture, with the ELF number of that.
var holdCode = map[string]struct {
	machine uint16
	code    []byte
}{
	"amd64": {62, []byte{
		0xb8, 34, 0, 0, 0, // mov eax, SYS_pause
		0x0f, 0x05, // syscall
		0xeb, 0xf7, // jmp to the start
	}},
	"arm64": {183, words(
		0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800004, // mov x0 … x4, 0
		0xd2800928, // mov x8, SYS_ppoll
		0xd4000001, // svc 0
		0x17fffff9, // b to the start
	)},
}

func words(list ...uint32) []byte {
	var b []byte
	for _, w := range list {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// holdProgram is a static ELF file (System V ABI, chapters 4 and 5): a header, one segment, the code.
func holdProgram(arch string) []byte {
	const base, header, segment = 0x400000, 64, 56
	h := holdCode[arch]
	size := uint64(header + segment + len(h.code))
	le := binary.LittleEndian
	b := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	b = le.AppendUint16(b, 2) // executable
	b = le.AppendUint16(b, h.machine)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, base+header+segment) // entry
	b = le.AppendUint64(b, header)              // where segments are listed
	b = le.AppendUint64(b, 0)                   // no sections
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{header, segment, 1, 0, 0, 0} {
		b = le.AppendUint16(b, v)
	}
	b = le.AppendUint32(b, 1) // to be loaded
	b = le.AppendUint32(b, 5) // readable and executable
	for _, v := range []uint64{0, base, base, size, size, 0x1000} {
		b = le.AppendUint64(b, v)
	}
	return append(b, h.code...)
}

// buildHold makes the holder's image in a new folder below dir.
func buildHold(dir string) (image.Image, error) {
	return image.BuildBytes(filepath.Join(dir, "hold"), holdProgram(runtime.GOARCH), runtime.GOARCH)
}

// withHold calls use with the holder's image on disk.
func withHold(use func(image.Image) error) (err error) {
	dir, err := os.MkdirTemp("", "fog-hold-")
	if err != nil {
		return err
	}
	img, err := buildHold(dir)
	if err == nil {
		err = use(img)
	}
	if removeErr := os.RemoveAll(dir); err == nil {
		err = removeErr
	}
	return err
}
