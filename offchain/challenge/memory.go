package challenge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"math/bits"

	"golang.org/x/sync/errgroup"
)

const (
	// hashesPerChunk makes a block cost 256 sequential SHA-256.
	hashesPerChunk = 2
	checkpointSize = 16

	fillDomain  = "fog/challenge/memory/v1"
	startDomain = "fog/challenge/walk/v1"
)

// fillBlock writes block i. Each 32-byte chunk is the iterated hash of the one before, so no chunk comes without those before it.
func fillBlock(block, seed []byte, i uint64) {
	first := make([]byte, 0, len(fillDomain)+SeedSize+8)
	first = append(append(first, fillDomain...), seed...)
	h := sha256.Sum256(binary.BigEndian.AppendUint64(first, i))
	for off := 0; off < MemoryBlockSize; off += len(h) {
		for range hashesPerChunk {
			h = sha256.Sum256(h[:])
		}
		copy(block[off:], h[:])
	}
}

func (t MemoryFillTask) run(ctx context.Context, workers int) ([]byte, error) {
	data := make([]byte, t.Blocks*MemoryBlockSize)
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		group.Go(func() error {
			for i := uint64(w); i < t.Blocks; i += uint64(workers) {
				if i/uint64(workers)%256 == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
				fillBlock(data[i*MemoryBlockSize:][:MemoryBlockSize], t.Seed, i)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return data, nil
}

// walkState is eight lanes that mix a whole block while it streams in: the walk must read every byte, and no digest of
// a block that is shorter than the block can stand for it, since the mixing starts from the state.
type walkState [8]uint64

// newWalkState begins segment k. The start is in every segment, so that none can be made before it is known.
func newWalkState(start []byte, k uint32, before []byte) walkState {
	from := make([]byte, 0, len(startDomain)+SeedSize+4+checkpointSize)
	from = append(append(from, startDomain...), start...)
	h := sha512.Sum512(append(binary.BigEndian.AppendUint32(from, k), before...))
	var s walkState
	for i := range s {
		s[i] = binary.BigEndian.Uint64(h[8*i:])
	}
	return s
}

// checkpoint and start determine the whole next segment, so it can be checked without those before it.
func (s *walkState) checkpoint() []byte {
	buf := make([]byte, 0, 64)
	for _, lane := range s {
		buf = binary.BigEndian.AppendUint64(buf, lane)
	}
	h := sha256.Sum256(buf)
	return h[:checkpointSize]
}

// odd is 2⁶⁴ over the golden ratio.
const odd = 0x9e3779b97f4a7c15

// next is the block that the state leads to.
func (s *walkState) next(blocks uint64) uint64 {
	i, _ := bits.Mul64((s[0]^bits.RotateLeft64(s[5], 31))*odd, blocks)
	return i
}

func (s *walkState) absorb(block []byte) {
	a, b, c, d, e, f, g, h := s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	for off := 0; off+64 <= MemoryBlockSize; off += 64 {
		w := block[off : off+64 : off+64]
		a = bits.RotateLeft64(a^binary.LittleEndian.Uint64(w), 29) * odd
		b = bits.RotateLeft64(b^binary.LittleEndian.Uint64(w[8:]), 29) * odd
		c = bits.RotateLeft64(c^binary.LittleEndian.Uint64(w[16:]), 29) * odd
		d = bits.RotateLeft64(d^binary.LittleEndian.Uint64(w[24:]), 29) * odd
		e = bits.RotateLeft64(e^binary.LittleEndian.Uint64(w[32:]), 29) * odd
		f = bits.RotateLeft64(f^binary.LittleEndian.Uint64(w[40:]), 29) * odd
		g = bits.RotateLeft64(g^binary.LittleEndian.Uint64(w[48:]), 29) * odd
		h = bits.RotateLeft64(h^binary.LittleEndian.Uint64(w[56:]), 29) * odd
	}
	*s = walkState{a ^ b, b + c, c ^ d, d + e, e ^ f, f + g, g ^ h, h + a}
}

// run walks over blocks that source yields: the filled memory, or blocks made anew.
func (t MemoryWalkTask) run(ctx context.Context, blocks uint64, source func(i uint64) []byte) ([][]byte, error) {
	values := make([][]byte, t.Segments)
	var before []byte
	for k := range values {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		values[k] = t.segment(uint32(k), before, blocks, source)
		before = values[k]
	}
	return values, nil
}

func (t MemoryWalkTask) segment(k uint32, before []byte, blocks uint64, source func(i uint64) []byte) []byte {
	s := newWalkState(t.Start, k, before)
	for range t.Steps {
		s.absorb(source(s.next(blocks)))
	}
	return s.checkpoint()
}

func blocksOf(data []byte) func(i uint64) []byte {
	return func(i uint64) []byte { return data[i*MemoryBlockSize:][:MemoryBlockSize] }
}

// recompute yields blocks without holding them.
func recompute(seed []byte) func(i uint64) []byte {
	block := make([]byte, MemoryBlockSize)
	return func(i uint64) []byte {
		fillBlock(block, seed, i)
		return block
	}
}

// verifyWalk recomputes the picked segments from the checkpoint before each.
func verifyWalk(ctx context.Context, fill MemoryFillTask, walk MemoryWalkTask, values [][]byte, picks []int) error {
	if len(values) != int(walk.Segments) {
		return wrong("%d checkpoints for %d segments of the memory walk", len(values), walk.Segments)
	}
	for k, v := range values {
		if len(v) != checkpointSize {
			return wrong("checkpoint %d of the memory walk has %d bytes", k, len(v))
		}
	}
	source := recompute(fill.Seed)
	for _, k := range picks {
		if err := ctx.Err(); err != nil {
			return err
		}
		var before []byte
		if k > 0 {
			before = values[k-1]
		}
		if !bytes.Equal(walk.segment(uint32(k), before, fill.Blocks, source), values[k]) {
			return wrong("segment %d of the memory walk is false", k)
		}
	}
	return nil
}
