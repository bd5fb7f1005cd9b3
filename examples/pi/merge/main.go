// Command merge makes one estimate of π from the results of all tasks, which lie anywhere below the folder that it is given.
package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: merge DIR")
		os.Exit(2)
	}
	text, err := merge(os.DirFS(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, "merge:", err)
		os.Exit(1)
	}
	fmt.Print(text)
}

type estimate struct {
	Task, Tasks, Samples, Inside uint64
}

func merge(results fs.FS) (string, error) {
	var sum estimate
	seen := map[uint64]bool{}
	err := fs.WalkDir(results, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Base(name) != "pi.json" {
			return err
		}
		raw, err := fs.ReadFile(results, name)
		if err != nil {
			return err
		}
		var e estimate
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if seen[e.Task] || e.Task >= e.Tasks || sum.Tasks != 0 && sum.Tasks != e.Tasks {
			return fmt.Errorf("%s: task %d of %d does not belong here; use a folder with the results of one job", name, e.Task, e.Tasks)
		}
		seen[e.Task] = true
		sum.Tasks = e.Tasks
		sum.Samples += e.Samples
		sum.Inside += e.Inside
		return nil
	})
	if err != nil {
		return "", err
	}
	if len(seen) == 0 || uint64(len(seen)) != sum.Tasks {
		return "", fmt.Errorf("results of %d of %d tasks; fetch all first", len(seen), sum.Tasks)
	}
	p := float64(sum.Inside) / float64(sum.Samples)
	pi, deviation := 4*p, 4*math.Sqrt(p*(1-p)/float64(sum.Samples))
	return fmt.Sprintf("π ≈ %.6f ± %.6f, from %d points in %d tasks; it is off by %+.6f\n",
		pi, deviation, sum.Samples, sum.Tasks, pi-math.Pi), nil
}
