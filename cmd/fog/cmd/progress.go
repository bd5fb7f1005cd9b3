package cmd

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bars are progress bars on a terminal's standard error, and nothing elsewhere.
type bars struct {
	mu     sync.Mutex
	screen *mpb.Progress
	all    []*mpb.Bar
}

// bars starts a set; the caller ends it.
func (a *app) bars() *bars {
	if !a.terminal() {
		return &bars{}
	}
	return newBars(a.stderr)
}

func newBars(w io.Writer, opts ...mpb.ContainerOption) *bars {
	return &bars{screen: mpb.New(append(opts, mpb.WithOutput(w), mpb.WithWidth(48))...)}
}

// bytes begins a bar that counts bytes and returns what moves it; nil where no one watches.
func (b *bars) bytes(name string) func(done, total int64) {
	return b.bar(name, decor.CountersKibiByte("% .1f / % .1f"))
}

// count begins a bar that counts things.
func (b *bars) count(name string) func(done, total int64) {
	return b.bar(name, decor.CountersNoUnit("%d / %d"))
}

func (b *bars) bar(name string, counter decor.Decorator) func(done, total int64) {
	if b.screen == nil {
		return nil
	}
	bar := b.screen.AddBar(0, mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR)), mpb.AppendDecorators(counter))
	b.mu.Lock()
	b.all = append(b.all, bar)
	b.mu.Unlock()
	return func(done, total int64) {
		bar.SetTotal(max(total, 1), false)
		bar.SetCurrent(done)
	}
}

// end leaves the bars as they are and gives the terminal back.
func (b *bars) end() {
	if b.screen == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bar := range b.all {
		bar.Abort(false) // ends it wherever it is; a bar that waits to be full would be waited for
	}
	b.screen.Wait()
}

// ticker says in lines how far a computation is that cannot tell its end, or has no bar; on a terminal each takes the place of the last.
type ticker struct {
	a     *app
	last  time.Time
	shown bool
}

func (a *app) ticker() *ticker { return &ticker{a: a, last: time.Now()} }

// due reports, once a second, that a line may be said.
func (t *ticker) due() bool {
	now := time.Now()
	if now.Sub(t.last) < time.Second {
		return false
	}
	t.last = now
	return true
}

func (t *ticker) say(format string, args ...any) {
	if !t.a.terminal() {
		t.a.say(format, args...)
		return
	}
	const width = 60 // covers what the line before left
	fmt.Fprintf(t.a.stderr, "\r%-*s", width, fmt.Sprintf(format, args...))
	t.shown = true
}

// end leaves the last line as it is.
func (t *ticker) end() {
	if t.shown {
		fmt.Fprintln(t.a.stderr)
	}
}
