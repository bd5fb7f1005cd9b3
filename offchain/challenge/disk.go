package challenge

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"unsafe"

	"golang.org/x/sync/errgroup"
)

const (
	diskDomain = "fog/challenge/disk/v1"
	readDomain = "fog/challenge/read/v1"

	// directAlignment suits unbuffered reads on every system we know.
	directAlignment = 4096
)

// diskContent makes the blocks of one seed: AES-256 in counter mode, so the oracle checks reads without the file.
type diskContent struct{ block cipher.Block }

func newDiskContent(seed []byte) (diskContent, error) {
	key := sha256.Sum256(append([]byte(diskDomain), seed...))
	block, err := aes.NewCipher(key[:])
	return diskContent{block}, err
}

func (c diskContent) fill(buf []byte, i uint64) {
	iv := make([]byte, aes.BlockSize)
	binary.BigEndian.PutUint64(iv, i)
	clear(buf)
	cipher.NewCTR(c.block, iv).XORKeyStream(buf, buf) //nolint:gosec // nothing is hidden: it is a stream of numbers for a seed, and the block's number sets it apart from others
}

// diskFile is a prepared challenge file, open for reads past the page cache where the system allows.
type diskFile struct {
	file   *os.File
	path   string
	blocks uint64
}

func (t DiskPrepareTask) run(ctx context.Context, dir string) (_ *diskFile, err error) {
	content, err := newDiskContent(t.Seed)
	if err != nil {
		return nil, err
	}
	w, err := os.CreateTemp(dir, "fog-challenge-*")
	if err != nil {
		return nil, fmt.Errorf("create the disk challenge file: %w", err)
	}
	d := &diskFile{path: w.Name(), blocks: t.Blocks}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if err := errors.Join(t.write(ctx, w, content), w.Close()); err != nil {
		return nil, fmt.Errorf("write the disk challenge file of %d MiB in %s: %w", t.Blocks/diskBlocksPerMiB, dir, err)
	}
	if d.file, err = openUncached(d.path); err != nil {
		return nil, fmt.Errorf("open the disk challenge file: %w", err)
	}
	return d, nil
}

func (t DiskPrepareTask) write(ctx context.Context, w *os.File, content diskContent) error {
	buf := make([]byte, DiskBlockSize)
	for i := range t.Blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		content.fill(buf, i)
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return w.Sync()
}

// Close closes and removes the file.
func (d *diskFile) Close() error {
	var err error
	if d.file != nil {
		err = d.file.Close()
		d.file = nil
	}
	if e := os.Remove(d.path); e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

func (t DiskReadTask) run(ctx context.Context, d *diskFile) ([][]byte, error) {
	values := make([][]byte, t.Lanes*t.Reads)
	group, ctx := errgroup.WithContext(ctx)
	for lane := range t.Lanes {
		group.Go(func() error {
			buf := alignedBuffer()
			before := laneStart(t.Start, lane)
			for k := lane * t.Reads; k < (lane+1)*t.Reads; k++ {
				if err := ctx.Err(); err != nil {
					return err
				}
				if _, err := d.file.ReadAt(buf, int64(readIndex(before, d.blocks)*DiskBlockSize)); err != nil {
					return fmt.Errorf("read the disk challenge file: %w", err)
				}
				before = readDigest(t.Start, before, buf)
				values[k] = before
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return values, nil
}

func alignedBuffer() []byte {
	buf := make([]byte, DiskBlockSize+directAlignment)
	skip := -int(uintptr(unsafe.Pointer(&buf[0]))) & (directAlignment - 1) //nolint:gosec // the address only says where an aligned buffer begins
	return buf[skip : skip+DiskBlockSize : skip+DiskBlockSize]
}

func laneStart(start []byte, lane uint32) []byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte(readDomain), start...), lane))
	return h[:]
}

// readIndex is the block that a digest leads to.
func readIndex(before []byte, blocks uint64) uint64 {
	i, _ := bits.Mul64(binary.BigEndian.Uint64(before), blocks)
	return i
}

// readDigest holds the start too, so that no read can be made before it is known.
func readDigest(start, before, block []byte) []byte {
	h := sha256.New()
	h.Write(start)
	h.Write(before)
	h.Write(block)
	return h.Sum(nil)
}

// verifyReads recomputes the picked reads from the digest before each.
func verifyReads(ctx context.Context, prepare DiskPrepareTask, read DiskReadTask, values [][]byte, picks []int) error {
	if len(values) != int(read.Lanes*read.Reads) {
		return wrong("%d digests for %d disk reads", len(values), read.Lanes*read.Reads)
	}
	for k, v := range values {
		if len(v) != sha256.Size {
			return wrong("digest %d of the disk reads has %d bytes", k, len(v))
		}
	}
	content, err := newDiskContent(prepare.Seed)
	if err != nil {
		return err
	}
	buf := make([]byte, DiskBlockSize)
	for _, k := range picks {
		if err := ctx.Err(); err != nil {
			return err
		}
		before := laneStart(read.Start, uint32(k)/read.Reads)
		if uint32(k)%read.Reads > 0 {
			before = values[k-1]
		}
		content.fill(buf, readIndex(before, prepare.Blocks))
		if !bytes.Equal(readDigest(read.Start, before, buf), values[k]) {
			return wrong("disk read %d is false", k)
		}
	}
	return nil
}
