package direct

import "github.com/tetratelabs/wazero/experimental"

// linearMemory gives a task its one memory out of a reserved region that is as large as its limit, and remembers a refusal: that is
// how a task that dies for want of memory is told from one that merely crashes.
type linearMemory struct {
	region []byte
	denied bool
}

// Allocate implements experimental.MemoryAllocator.
func (m *linearMemory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.region)) {
		m.denied = true
		return nil
	}
	return m.region[:size]
}

// Free implements experimental.LinearMemory; whoever reserved the region releases it, when surely nothing runs in it any more.
func (m *linearMemory) Free() {}
