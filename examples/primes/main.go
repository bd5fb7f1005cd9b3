// Command primes is a task that counts the primes of its part of a range, in a container.
//
// The range is cut into as many parts as there are tasks. Within its part a task sieves segments on all processors that it has; their
// counts are added, so the order in which they end does not matter and the result is the same on every machine.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
)

// part is the result of a task, /out/primes.json: the primes p with from ≤ p < to.
type part struct {
	Task   uint64 `json:"task"`
	Tasks  uint64 `json:"tasks"`
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Primes uint64 `json:"primes"`
}

const segment = 1 << 18

func main() {
	below := flag.Uint64("below", 1_000_000, "count primes below this number")
	flag.Parse()
	if err := run(*below); err != nil {
		fmt.Fprintln(os.Stderr, "primes:", err)
		os.Exit(1)
	}
}

func run(below uint64) error {
	task, err1 := strconv.ParseUint(os.Getenv("FOG_TASK_INDEX"), 10, 32)
	tasks, err2 := strconv.ParseUint(os.Getenv("FOG_TASK_COUNT"), 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("which task is this? %w", err)
	}
	p := part{Task: task, Tasks: tasks, From: below / tasks * task, To: below / tasks * (task + 1)}
	if task == tasks-1 {
		p.To = below
	}
	p.Primes = count(p.From, p.To)
	fmt.Printf("task %d of %d: %d primes from %d to %d\n", p.Task, p.Tasks, p.Primes, p.From, p.To)
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile("/out/primes.json", append(raw, '\n'), 0o644)
}

// count sieves segments in parallel.
func count(from, to uint64) uint64 {
	small := smallPrimes(to)
	var sum atomic.Uint64
	starts := make(chan uint64)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			composite := make([]bool, segment)
			for start := range starts {
				sum.Add(sieve(composite, start, min(start+segment, to), small))
			}
		})
	}
	for start := from; start < to; start += segment {
		starts <- start
	}
	close(starts)
	workers.Wait()
	return sum.Load()
}

// smallPrimes are those whose square is below to.
func smallPrimes(to uint64) (primes []uint64) {
	for n := uint64(2); n*n < to; n++ {
		prime := true
		for _, p := range primes {
			if p*p > n {
				break
			}
			if n%p == 0 {
				prime = false
				break
			}
		}
		if prime {
			primes = append(primes, n)
		}
	}
	return primes
}

// sieve counts the primes from start up to end, which is at most one segment away (Eratosthenes).
func sieve(composite []bool, start, end uint64, small []uint64) (primes uint64) {
	clear(composite)
	for _, p := range small {
		first := max(p*p, (start+p-1)/p*p)
		for n := first; n < end; n += p {
			composite[n-start] = true
		}
	}
	for n := max(start, 2); n < end; n++ {
		if !composite[n-start] {
			primes++
		}
	}
	return primes
}
