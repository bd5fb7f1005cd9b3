// Command wordcount is a task that counts the words in its part of a long text.
//
// The text is cut into as many parts of equal length as there are tasks. A word belongs to the part in which it begins, so every word
// is counted once although the cuts fall anywhere.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "wordcount:", err)
		os.Exit(1)
	}
}

func run() error {
	task, err1 := strconv.Atoi(os.Getenv("FOG_TASK_INDEX"))
	tasks, err2 := strconv.Atoi(os.Getenv("FOG_TASK_COUNT"))
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("which task is this? %w", err)
	}
	files, err := filepath.Glob("/in/*.txt")
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("%d texts in /in; give the job one", len(files))
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	counts := count(text, len(text)*task/tasks, len(text)*(task+1)/tasks)
	out := fmt.Appendf(nil, "# task %d of %d\n", task, tasks)
	total := 0
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		out = fmt.Appendf(out, "%d\t%s\n", counts[word], word)
		total += counts[word]
	}
	fmt.Printf("task %d of %d: %d words, %d different ones\n", task, tasks, total, len(counts))
	return os.WriteFile("/out/counts.tsv", out, 0o644)
}

// count counts the words that begin in text[from:to], in lower case. A word is a run of letters; apostrophes may join letters.
func count(text []byte, from, to int) map[string]int {
	counts := map[string]int{}
	for from > 0 && from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	if from > 0 { // a word that began before belongs to the part before
		if before, _ := utf8.DecodeLastRune(text[:from]); inWord(before) {
			from += len(text[from:]) - len(bytes.TrimLeftFunc(text[from:], inWord))
		}
	}
	for from < to {
		from += len(text[from:]) - len(bytes.TrimLeftFunc(text[from:], func(r rune) bool { return !inWord(r) }))
		if from >= to {
			break
		}
		end := bytes.IndexFunc(text[from:], func(r rune) bool { return !inWord(r) })
		if end < 0 {
			end = len(text) - from
		}
		if word := bytes.Trim(text[from:from+end], "'"); len(word) > 0 {
			counts[string(bytes.ToLower(word))]++
		}
		from += end
	}
	return counts
}

func inWord(r rune) bool { return unicode.IsLetter(r) || r == '\'' }
