// Command sleep is a task that waits before it writes its result, so that there is time to kill something.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	wait := flag.Duration("for", 0, "how long to wait")
	flag.Parse()
	time.Sleep(*wait)
	if err := os.WriteFile("/out/slept.txt", []byte("task "+os.Getenv("FOG_TASK_INDEX")+"\n"), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "sleep:", err)
		os.Exit(1)
	}
}
