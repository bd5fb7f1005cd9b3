// Command spin is a task that computes for a while, so that there is time to kill something. It cannot sleep: tasks have a clock of their
// own, on which a sleep is over at once.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	rounds := flag.Uint64("rounds", 1, "how long to compute")
	flag.Parse()
	x := uint64(88172645463325252)
	for range *rounds { // xorshift64
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	if err := os.WriteFile("/out/number.txt", []byte(fmt.Sprintln(x)), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "spin:", err)
		os.Exit(1)
	}
}
