// Command merge adds up the counts of all tasks.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

type part struct {
	Task, Tasks, From, To, Primes uint64
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: merge DIR, the folder that `fog job result` wrote")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "merge:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*", "primes.json"))
	if err != nil {
		return err
	}
	var primes, numbers, to, tasks uint64
	for _, name := range files {
		raw, err := os.ReadFile(name) //nolint:gosec // the folder that the user named
		if err != nil {
			return err
		}
		var p part
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		primes, numbers, to, tasks = primes+p.Primes, numbers+p.To-p.From, max(to, p.To), p.Tasks
	}
	if uint64(len(files)) != tasks || numbers != to || tasks == 0 {
		return fmt.Errorf("%s has the results of %d tasks of %d; fetch them all", dir, len(files), tasks)
	}
	_, err = fmt.Printf("%d primes below %d, from %d tasks\n", primes, to, tasks)
	return err
}
