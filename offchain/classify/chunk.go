package classify

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Rows are cut into at most maxChunks pieces of at least minChunk, in a way that depends on their number alone. Threads take the
// pieces as they come; what a piece yields is added up in the order of the pieces, so that the sum does not depend on the threads.
const (
	maxChunks = 64
	minChunk  = 1024
)

// chunks is a division of rows.
type chunks struct{ rows, size, count int }

func divide(rows int) chunks {
	size := max(minChunk, (rows+maxChunks-1)/maxChunks)
	return chunks{rows, size, (rows + size - 1) / size}
}

// bounds are the first row of a chunk and the first after it.
func (c chunks) bounds(chunk int) (int, int) {
	return chunk * c.size, min(c.rows, (chunk+1)*c.size)
}

// each calls work for all chunks, on as many threads as there are processors.
func (c chunks) each(work func(chunk, from, to int)) {
	threads := min(runtime.GOMAXPROCS(0), c.count)
	if threads <= 1 {
		for i := range c.count {
			from, to := c.bounds(i)
			work(i, from, to)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= c.count {
					return
				}
				from, to := c.bounds(i)
				work(i, from, to)
			}
		})
	}
	all.Wait()
}
