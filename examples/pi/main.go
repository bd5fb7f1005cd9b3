// Command pi is a task that throws points into the unit square and counts those inside the quarter circle.
//
// All tasks together use one seed; each has its own stream of random numbers, so no point counts twice. Everything is integer
// arithmetic: the count is the same on every machine.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
)

// estimate is the result of a task, /out/pi.json.
type estimate struct {
	Task    uint64 `json:"task"`
	Tasks   uint64 `json:"tasks"`
	Samples uint64 `json:"samples"`
	Inside  uint64 `json:"inside"`
}

func main() {
	samples := flag.Uint64("samples", 1_000_000, "points a task throws")
	seed := flag.Uint64("seed", 1, "seed of the whole job")
	flag.Parse()
	if err := run(*samples, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "pi:", err)
		os.Exit(1)
	}
}

func run(samples, seed uint64) error {
	task, err1 := strconv.ParseUint(os.Getenv("FOG_TASK_INDEX"), 10, 32)
	tasks, err2 := strconv.ParseUint(os.Getenv("FOG_TASK_COUNT"), 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("which task is this? %w", err)
	}
	e := estimate{Task: task, Tasks: tasks, Samples: samples, Inside: throw(samples, seed, task)}
	fmt.Printf("task %d of %d: %d of %d points inside\n", e.Task, e.Tasks, e.Inside, e.Samples)
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return os.WriteFile("/out/pi.json", append(raw, '\n'), 0o644)
}

// throw counts the points with x² + y² < 1, where x and y have 31 bits.
func throw(samples, seed, stream uint64) (inside uint64) {
	source := rand.NewPCG(seed, stream)
	for range samples {
		r := source.Uint64()
		x, y := r>>33, r&(1<<31-1)
		if x*x+y*y < 1<<62 {
			inside++
		}
	}
	return inside
}
