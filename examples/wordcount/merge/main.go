// Command merge adds up the counts of all tasks, which lie anywhere below the folder that it is given, and prints the commonest words.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

func main() {
	top := flag.Int("top", 20, "how many words to print")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: merge [-top N] DIR")
		os.Exit(2)
	}
	counts, err := merge(os.DirFS(flag.Arg(0)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "merge:", err)
		os.Exit(1)
	}
	fmt.Print(table(counts, *top))
}

func merge(results fs.FS) (map[string]int, error) {
	counts, seen, tasks := map[string]int{}, map[int]bool{}, 0
	err := fs.WalkDir(results, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Base(name) != "counts.tsv" {
			return err
		}
		raw, err := fs.ReadFile(results, name)
		if err != nil {
			return err
		}
		head, body, _ := strings.Cut(string(raw), "\n")
		var task, of int
		if _, err := fmt.Sscanf(head, "# task %d of %d", &task, &of); err != nil {
			return fmt.Errorf("%s: first line: %w", name, err)
		}
		if seen[task] || task < 0 || task >= of || tasks != 0 && tasks != of {
			return fmt.Errorf("%s: task %d of %d does not belong here; use a folder with the results of one job", name, task, of)
		}
		seen[task], tasks = true, of
		return add(counts, name, body)
	})
	if err != nil {
		return nil, err
	}
	if len(seen) == 0 || len(seen) != tasks {
		return nil, fmt.Errorf("results of %d of %d tasks; fetch all first", len(seen), tasks)
	}
	return counts, nil
}

func add(counts map[string]int, name, body string) error {
	for line := range strings.Lines(body) {
		var n int
		var word string
		if _, err := fmt.Sscanf(line, "%d\t%s", &n, &word); err != nil {
			return fmt.Errorf("%s: line %q: %w", name, line, err)
		}
		counts[word] += n
	}
	return nil
}

func table(counts map[string]int, top int) string {
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d words, %d different ones\n", total, len(words))
	for _, word := range words[:min(top, len(words))] {
		fmt.Fprintf(&b, "%7d  %s\n", counts[word], word)
	}
	return b.String()
}
