package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/foggrid/fogd/offchain/artifact"
)

// verifier passes bytes on and fails instead of ending if they are not what was announced.
type verifier struct {
	src  io.Reader
	want artifact.Digest
	size int64
	part *part

	hash hash.Hash
	done int64
	err  error // the mismatch that was found; errors of the source are not kept
}

func newVerifier(src io.Reader, want artifact.Digest, size int64, p *part) *verifier {
	return &verifier{src: src, want: want, size: size, part: p, hash: sha256.New()}
}

func (v *verifier) Read(b []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.src.Read(b)
	if _, hashErr := v.hash.Write(b[:n]); hashErr != nil {
		return 0, hashErr
	}
	v.done += int64(n)
	v.part.add(int64(n))
	if v.done > v.size {
		v.err = fmt.Errorf("%w: %s has more than the announced %d bytes", ErrDigestMismatch, v.want, v.size)
		return 0, v.err
	}
	if err != io.EOF && v.done < v.size {
		return n, err
	}
	if err != nil && err != io.EOF {
		return n, err
	}
	// The end of the source, or all that was announced: the sum must be right before the last byte is passed on.
	if v.done == v.size {
		if got := artifact.Digest(v.hash.Sum(nil)); got != v.want {
			v.err = fmt.Errorf("%w: want %s, got %s", ErrDigestMismatch, v.want, got)
			return 0, v.err
		}
		return n, err
	}
	v.err = fmt.Errorf("%w: %s ended after %d of %d bytes", ErrDigestMismatch, v.want, v.done, v.size)
	return 0, v.err
}

// sendBody is a request's body. The transport may read it even after it has answered, so Close ends that for good.
type sendBody struct {
	mu     sync.Mutex
	src    io.ReadCloser
	v      *verifier
	closed bool
}

func (s *sendBody) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	return s.v.Read(b)
}

// Close may be called again.
func (s *sendBody) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.src.Close()
}

func (s *sendBody) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.v.err
}

// meter adds up the parts of one call.
type meter struct {
	mu       sync.Mutex
	progress Progress
	done     int64
	total    int64
}

func newMeter(p Progress, total int64) *meter { return &meter{progress: p, total: total} }

// part is one blob's share of a meter.
type part struct {
	m    *meter
	done int64
}

func (m *meter) part() *part { return &part{m: m} }

func (p *part) add(n int64) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.done += n
	p.m.done += n
	if p.m.progress != nil && n != 0 {
		p.m.progress(p.m.done, p.m.total)
	}
}

// reset takes back what a failed try had counted.
func (p *part) reset() { p.add(-p.done) }

// each runs n calls of f, at most parallel at a time, and returns the first error after ending the others.
func each(ctx context.Context, parallel, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(parallel, n) {
		workers.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}
