package direct

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"time"
)

// epoch is when every task starts, by its own clock, and the time of all its files.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// clockStep is what reading the clock takes, by the clock.
const clockStep = int64(time.Microsecond)

// virtualClock depends on nothing but how often it was read and how long the task slept. A task is one thread, so it needs no lock.
type virtualClock struct{ elapsed int64 }

// advance stops after 146 years, which a program may sleep but not overflow.
func (c *virtualClock) advance(ns int64) int64 {
	const end = math.MaxInt64 / 2
	c.elapsed += min(max(ns, 0), end-c.elapsed)
	return c.elapsed
}

func (c *virtualClock) nanotime() int64 { return c.advance(clockStep) }

func (c *virtualClock) walltime() (sec int64, nsec int32) {
	t := c.advance(clockStep)
	return epoch.Unix() + t/int64(time.Second), int32(t % int64(time.Second))
}

func (c *virtualClock) sleep(ns int64) { c.advance(ns) }

// taskRandom is the random source of a task: the same bytes whenever and wherever the task runs.
func taskRandom(job string, task uint32) io.Reader {
	msg := append([]byte("fog/task-random/v1\x00"+job+"\x00"), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(msg[len(msg)-4:], task)
	return rand.NewChaCha8(sha256.Sum256(msg))
}
