// Package gridbench measures what the way over the chain adds to a task's start on Nomad: the same container, asked for through a running grid
// and of the same Nomad directly, in one run.
package gridbench
