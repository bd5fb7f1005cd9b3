package nomad_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/dispatch/dispatchtest"
	"github.com/foggrid/fogd/offchain/dispatch/nomad"
)

// benchClass is a class that no client has, so that what is registered is not run.
const benchClass = "nobody"

// atATime is the concurrency of registrations.
const atATime = 8

// each calls do for 0 to n-1, atATime at a time.
func each(n int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range atATime {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}

// BenchmarkRealRegister registers slices of 256 tasks: through the dispatcher, and the same jobs through a bare client of the API.
func BenchmarkRealRegister(b *testing.B) {
	c := realNomad(b)
	guest := dispatchtest.BuildGuest(b)
	o := c.options(b, b.TempDir())
	place := o.Place
	o.Place = func(ctx context.Context, id dispatch.AttemptID) (nomad.Placement, error) {
		p, err := place(ctx, id)
		p.Class = benchClass
		return p, err
	}
	content, err := c.locate(context.Background(), dispatchtest.Assignment(guest, 1))
	require.NoError(b, err)
	o.Locate = func(context.Context, dispatch.Assignment) (nomad.Content, error) { return content, nil }
	d := openNomad(b, o)
	assignment := func(job string, i int) dispatch.Assignment {
		a := dispatchtest.Assignment(guest, dispatch.MaxTasks, "exit", "0")
		a.ID = dispatch.AttemptID{Job: job, Slice: uint32(i)}
		return a
	}
	p, err := o.Place(context.Background(), dispatch.AttemptID{})
	require.NoError(b, err)
	bare := func(i int) error {
		job, err := nomad.Job(assignment("bare", i), p, nomad.Machine{MHz: 1000, Cores: 2, MemoryMiB: 4096}, content, c.image)
		if err == nil {
			_, _, err = c.api.Jobs().EnforceRegister(job, 0, nil)
		}
		return err
	}
	through := func(i int) error { return d.Start(context.Background(), assignment("job", i)) }
	// In turns, and each first as often as the other: what waits for a client makes the server slower.
	const turn = 250
	var took [2]time.Duration
	next := 0
	for b.Loop() {
		for k := range 4 {
			for way := range 2 {
				way = (way + k) % 2
				began := time.Now()
				each(turn, func(i int) {
					if err := []func(int) error{bare, through}[way](next + i); err != nil {
						b.Error(err)
					}
				})
				took[way] += time.Since(began)
			}
			next += turn
		}
	}
	b.ReportMetric(float64(next)/took[0].Seconds(), "bare/s")
	b.ReportMetric(float64(next)/took[1].Seconds(), "dispatcher/s")
	b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "ratio")
}

// tiny is a module that does nothing: its start is the cost of the way alone.
var tiny = []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
	"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" + "\x0a\x04\x01\x02\x00\x0b")

// BenchmarkRealStart is the time from Start until a task's own code runs, for attempts of one task one after the other and several at once.
// The guest is a Go program of 2.5 MB, which each container compiles with a fifth of a processor, unless
// they share a cache.
func BenchmarkRealStart(b *testing.B) {
	c := realNomad(b)
	modules := map[string]dispatchtest.Module{"tiny": dispatchtest.WriteModule(b, tiny), "guest": dispatchtest.BuildGuest(b)}
	modules["cached"] = modules["guest"]
	cached := c.options(b, b.TempDir())
	cached.Image.CacheVolume = "fog-cache"
	bare, withCache := openNomad(b, c.options(b, b.TempDir())), openNomad(b, cached)
	slice := uint32(0)
	for _, name := range []string{"tiny", "guest", "cached"} {
		d := bare
		if name == "cached" {
			d = withCache
		}
		for _, n := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/%d-at-once", name, n), func(b *testing.B) {
				var waits []time.Duration
				var mu sync.Mutex
				for range b.N {
					var all sync.WaitGroup
					for range n {
						slice++
						a := dispatchtest.Assignment(modules[name], 1, "exit", "0")
						a.ID.Slice, a.CPUMilli, a.MemoryMiB = slice, 200, 64
						all.Go(func() {
							began := time.Now()
							out := dispatchtest.RunToEnd(b, d, a)
							mu.Lock()
							defer mu.Unlock()
							waits = append(waits, out.Tasks[0].Started.Sub(began))
						})
					}
					all.Wait()
				}
				slices.Sort(waits)
				b.ReportMetric(waits[len(waits)/2].Seconds(), "s/start-p50")
				b.ReportMetric(waits[len(waits)-1].Seconds(), "s/start-max")
			})
		}
	}
}
