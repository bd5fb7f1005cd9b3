package direct

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

const (
	maxModuleBytes   = 64 << 20
	maxTableEntries  = 1 << 20
	wasmPageBytes    = 64 << 10
	sectionImport    = 2
	sectionTable     = 4
	sectionMemory    = 5
	importedFunction = 0
)

var errTruncated = errors.New("the module is cut short")

// needs is what a module asks for before it runs.
type needs struct {
	memoryPages  uint64
	tableEntries uint64
}

// preflight reads the few sections of a module (WebAssembly core specification §5.5) that decide what the host must provide, before
// anything is allocated for it. It does not check that the module is valid: compiling does.
func preflight(module []byte) (needs, error) {
	var n needs
	rest, ok := bytes.CutPrefix(module, []byte("\x00asm\x01\x00\x00\x00"))
	if !ok {
		return n, errors.New("not a WebAssembly module; build it for wasip1/wasm")
	}
	for len(rest) > 0 {
		id := rest[0]
		r := &wasmReader{rest[1:]}
		size, err := r.uint()
		if err != nil {
			return n, err
		}
		body, err := r.take(size)
		if err != nil {
			return n, err
		}
		rest = r.b
		switch section := (&wasmReader{body}); id {
		case sectionImport:
			err = section.imports()
		case sectionTable:
			n.tableEntries, err = section.minima(func() error { _, err := section.take(1); return err })
		case sectionMemory:
			n.memoryPages, err = section.minima(func() error { return nil })
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

type wasmReader struct{ b []byte }

func (r *wasmReader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.b)) {
		return nil, errTruncated
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head, nil
}

func (r *wasmReader) uint() (uint64, error) {
	v, n := binary.Uvarint(r.b) // LEB128
	if n <= 0 {
		return 0, errTruncated
	}
	r.b = r.b[n:]
	return v, nil
}

func (r *wasmReader) name() (string, error) {
	n, err := r.uint()
	if err != nil {
		return "", err
	}
	b, err := r.take(n)
	return string(b), err
}

// imports accepts functions of WASI preview 1 only.
func (r *wasmReader) imports() error {
	count, err := r.uint()
	if err != nil {
		return err
	}
	for range count {
		module, err := r.name()
		if err != nil {
			return err
		}
		name, err := r.name()
		if err != nil {
			return err
		}
		kind, err := r.take(1)
		if err != nil {
			return err
		}
		if module != wasi_snapshot_preview1.ModuleName || kind[0] != importedFunction {
			return fmt.Errorf("the module imports %.60q of %.60q; only functions of %s are there", name, module, wasi_snapshot_preview1.ModuleName)
		}
		if _, err := r.uint(); err != nil { // the function's type
			return err
		}
	}
	return nil
}

// minima sums up the minimal sizes of tables or memories, each preceded by what skip reads.
func (r *wasmReader) minima(skip func() error) (sum uint64, err error) {
	count, err := r.uint()
	if err != nil {
		return 0, err
	}
	for range count {
		if err := skip(); err != nil {
			return 0, err
		}
		flags, err := r.take(1)
		if err != nil {
			return 0, err
		}
		least, err := r.uint()
		if err != nil {
			return 0, err
		}
		if flags[0]&1 != 0 { // a maximum follows
			if _, err := r.uint(); err != nil {
				return 0, err
			}
		}
		if sum += least; sum < least {
			return 0, io.ErrUnexpectedEOF
		}
	}
	return sum, nil
}
