package direct

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// allowed are the phases that may follow each.
var allowed = map[dispatch.ServicePhase][]dispatch.ServicePhase{
	dispatch.ServiceStarting:   {dispatch.ServiceRunning, dispatch.ServiceRestarting, dispatch.ServiceStopped},
	dispatch.ServiceRunning:    {dispatch.ServiceHealthy, dispatch.ServiceUnhealthy, dispatch.ServiceRestarting, dispatch.ServiceStopped},
	dispatch.ServiceHealthy:    {dispatch.ServiceUnhealthy, dispatch.ServiceRestarting, dispatch.ServiceStopped},
	dispatch.ServiceUnhealthy:  {dispatch.ServiceHealthy, dispatch.ServiceRestarting, dispatch.ServiceStopped},
	dispatch.ServiceRestarting: {dispatch.ServiceRunning, dispatch.ServiceRestarting, dispatch.ServiceStopped},
}

// TestLifecycle throws the events that the dispatcher can have at a lifecycle, checks in any phase among them, and holds each step against
// a plain model.
func TestLifecycle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		l := lifecycle{
			grace:    time.Duration(rapid.IntRange(0, 10).Draw(t, "grace")) * time.Second,
			minPause: time.Second, maxPause: time.Duration(rapid.IntRange(1, 60).Draw(t, "max pause")) * time.Second,
		}
		l.begin(now)
		failed, ups, downs := 0, uint32(0), 0
		var since time.Time
		step := func(event func() bool) {
			before := l.state
			changed := event()
			if !changed {
				require.Equal(t, before, l.state, "a change that nobody is told")
				return
			}
			require.Contains(t, allowed[before.Phase], l.state.Phase)
			require.Equal(t, now, l.state.Since)
			require.GreaterOrEqual(t, l.state.Restarts, before.Restarts)
		}
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "s")) * time.Second) },
			"up": func(t *rapid.T) {
				if l.state.Phase.Runs() {
					t.Skip("it runs")
				}
				first := l.state.Phase == dispatch.ServiceStarting
				step(func() bool { l.up(now, now); return true })
				if since, failed = now, 0; !first {
					ups++
				}
				require.Equal(t, ups, l.state.Restarts)
			},
			"well": func(t *rapid.T) {
				runs := l.state.Phase.Runs()
				step(func() bool { return l.check(now, nil) })
				if failed = 0; runs {
					require.Equal(t, dispatch.ServiceHealthy, l.state.Phase)
				}
			},
			"ill": func(t *rapid.T) {
				before := l.state.Phase
				step(func() bool { return l.check(now, errors.New("ill")) })
				if before.Runs() && !(before == dispatch.ServiceRunning && now.Sub(since) < l.grace) {
					failed++
				}
				if before.Runs() {
					require.Equal(t, failed >= unhealthyAfter, l.state.Phase == dispatch.ServiceUnhealthy)
				}
			},
			"down": func(t *rapid.T) {
				long := l.state.Phase.Runs() && now.Sub(since) > l.maxPause
				var pause time.Duration
				step(func() bool { pause = l.down(now, dispatch.ReasonExit, 3, "gone"); return true })
				if downs++; long {
					downs = 1
				}
				want := l.minPause
				for range min(downs-1, 10) {
					want *= 2
				}
				require.Equal(t, min(want, l.maxPause), pause)
			},
		})
		step(func() bool { l.stop(now, dispatch.ReasonStopped, "stopped"); return true })
		for _, failed := range []error{nil, errors.New("ill")} {
			step(func() bool { return l.check(now, failed) })
		}
		require.Equal(t, dispatch.ServiceStopped, l.state.Phase)
	})
}

// TestSegments writes and reads a log with any limit, and compares with what was written.
func TestSegments(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		limit := rapid.Int64Range(1, 64).Draw(rt, "limit")
		log, err := openSegments(dir, limit)
		require.NoError(rt, err)
		var all []byte
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				p := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(rt, "p")
				n, err := log.Write(p)
				require.NoError(rt, err)
				require.Len(rt, p, n)
				all = append(all, p...)
			},
			"open again": func(rt *rapid.T) {
				require.NoError(rt, log.close())
				log, err = openSegments(dir, limit)
				require.NoError(rt, err)
			},
			"read": func(rt *rapid.T) {
				from := rapid.Uint64Range(0, uint64(len(all))).Draw(rt, "from")
				buf := make([]byte, rapid.IntRange(1, 50).Draw(rt, "buf"))
				at, n, err := readLog(dir, from, buf)
				require.NoError(rt, err)
				require.GreaterOrEqual(rt, at, from)
				require.Equal(rt, string(all[at:at+uint64(n)]), string(buf[:n]))
				if at > from || n == 0 { // that much is no longer kept, or there is no more
					require.True(rt, n == 0 && at == uint64(len(all)) || int64(len(all))-int64(at) <= max(limit/2, 1)*2)
				}
			},
		})
		r, err := openLog(dir)
		require.NoError(rt, err)
		kept, err := io.ReadAll(r)
		require.NoError(rt, err)
		require.True(rt, bytes.HasSuffix(all, kept))
		require.GreaterOrEqual(rt, len(kept), min(len(all), int(max(limit/2, 1))))
		require.NoError(rt, r.Close())
		require.NoError(rt, log.close())
	})
}
