package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// lender lends tokens "1", "2", … for a while, each renewable until its last moment.
type lender struct {
	life, most time.Duration

	mu   sync.Mutex
	down bool
	lent []*loan
}

type loan struct {
	from   *lender
	number int
	last   time.Time
	ended  chan struct{}

	mu      sync.Mutex
	expires time.Time
	closed  bool
	renewed int
}

func (l *lender) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *lender) isDown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

func (l *lender) Lease(context.Context, string) (Lease, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return nil, ErrUnavailable
	}
	loan := &loan{from: l, number: len(l.lent) + 1, last: time.Now().Add(l.most), expires: time.Now().Add(l.life), ended: make(chan struct{})}
	l.lent = append(l.lent, loan)
	return loan, nil
}

func (l *loan) Credential() Credential {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Credential{Fields: map[string]string{"token": fmt.Sprint(l.number)}, Expires: l.expires}
}

func (l *loan) Ended() <-chan struct{} { return l.ended }

func (l *loan) Renew(context.Context) error {
	if l.from.isDown() {
		return ErrUnavailable
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || time.Now().After(l.expires) {
		return ErrLeaseEnded
	}
	l.renewed++
	if l.expires = time.Now().Add(l.from.life); l.expires.After(l.last) {
		l.expires = l.last
	}
	return nil
}

func (l *loan) Close(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// end is the store's own end of the credential.
func (l *loan) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
}

func (l *loan) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

func (l *loan) renewals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewed
}

// loan is the number-th one.
func (l *lender) loan(number int) *loan {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lent[number-1]
}

// keeping runs Keep beside a test and holds what it told.
type keeping struct {
	mu   sync.Mutex
	used []Credential
	done chan error
}

func startKeep(ctx context.Context, l *lender, fail error) *keeping {
	k := &keeping{done: make(chan error, 1)}
	go func() {
		k.done <- Keep(ctx, l, "nomad", slog.New(slog.DiscardHandler), func(c Credential) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.used = append(k.used, c)
			return fail
		})
	}()
	return k
}

func (k *keeping) tokens() (all []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.used {
		all = append(all, c.Fields["token"])
	}
	return all
}

func TestKeepReplacesBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lender{life: time.Hour, most: 5 * time.Hour}
		ctx, cancel := context.WithCancel(t.Context())
		k := startKeep(ctx, l, nil)
		time.Sleep(3 * time.Hour)
		require.Equal(t, []string{"1"}, k.tokens())
		first := l.loan(1)
		require.Greater(t, first.renewals(), 2)
		for len(k.tokens()) == 1 {
			time.Sleep(time.Second)
		}
		synctest.Wait()
		require.True(t, time.Now().Before(first.Credential().Expires), "the next one is there before the first ends")
		require.False(t, first.isClosed(), "who still uses the first has a moment")
		time.Sleep(2 * overlap)
		require.True(t, first.isClosed())
		cancel()
		require.ErrorIs(t, <-k.done, context.Canceled)
		require.True(t, l.loan(2).isClosed(), "the last one is given back")
	})
}

func TestKeepOutlastsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lender{life: time.Hour, most: 100 * time.Hour}
		k := startKeep(t.Context(), l, nil)
		time.Sleep(39 * time.Minute) // the worst moment: the first renewal is due
		l.setDown(true)
		time.Sleep(10 * time.Minute)
		l.setDown(false)
		time.Sleep(time.Hour)
		require.Equal(t, []string{"1"}, k.tokens(), "ten minutes do not end a lease of an hour")

		l.setDown(true)
		time.Sleep(2 * time.Hour)
		require.Equal(t, []string{"1"}, k.tokens())
		l.setDown(false)
		time.Sleep(keepMaxPause)
		synctest.Wait()
		require.Equal(t, []string{"1", "2"}, k.tokens(), "a new one as soon as the store answers")
	})
}

func TestKeepWaitsForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lender{life: time.Hour, most: time.Hour, down: true}
		k := startKeep(t.Context(), l, nil)
		time.Sleep(10 * time.Minute)
		require.Empty(t, k.tokens())
		l.setDown(false)
		time.Sleep(keepMaxPause)
		synctest.Wait()
		require.Equal(t, []string{"1"}, k.tokens())
	})
}

func TestKeepIsToldOfAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lender{life: time.Hour, most: 100 * time.Hour}
		k := startKeep(t.Context(), l, nil)
		synctest.Wait()
		close(l.loan(1).ended)
		synctest.Wait()
		require.Equal(t, []string{"1", "2"}, k.tokens())
	})
}

func TestKeepEndsWithItsUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lender{life: time.Hour, most: time.Hour}
		broken := errors.New("no use for it")
		k := startKeep(t.Context(), l, broken)
		require.ErrorIs(t, <-k.done, broken)
		require.True(t, l.loan(1).isClosed())
	})
}

// TestKeepAlways: whatever happens to the store, whoever keeps a credential has a valid one soon after the store answers, and nothing is left
// lent in the end.
func TestKeepAlways(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 40).Draw(r, "steps")
		minutes := rapid.SliceOfN(rapid.IntRange(1, 90), len(steps), len(steps)).Draw(r, "minutes")
		most := time.Duration(rapid.IntRange(1, 30).Draw(r, "most")) * time.Hour
		synctest.Test(t, func(t *testing.T) {
			l := &lender{life: time.Hour, most: most}
			ctx, cancel := context.WithCancel(t.Context())
			k := startKeep(ctx, l, nil)
			synctest.Wait()
			for i, step := range steps {
				switch step {
				case 0:
					l.setDown(true)
				case 1:
					if n := len(k.tokens()); n > 0 {
						l.loan(n).end()
					}
				default:
					l.setDown(false)
				}
				time.Sleep(time.Duration(minutes[i]) * time.Minute)
				synctest.Wait()
				if !l.isDown() {
					last := l.loan(len(k.tokens()))
					require.False(t, last.isClosed())
					require.True(t, time.Now().Before(last.Credential().Expires), "a valid credential whenever the store answers")
				}
			}
			cancel()
			require.ErrorIs(t, <-k.done, context.Canceled)
			for n := range k.tokens() {
				require.True(t, l.loan(n+1).isClosed(), "loan %d is given back", n+1)
			}
		})
	})
}

// A name that the store does not know is said at once, and not asked for again and again.
func TestKeepEndsAtAnUnknownName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := Keep(t.Context(), lendsNothing{}, "nope", slog.New(slog.DiscardHandler), func(Credential) error { return errors.New("nothing was lent") })
		require.ErrorIs(t, err, ErrNotFound)
		require.ErrorContains(t, err, `"nope"`)
		require.Zero(t, time.Since(began))
	})
}

type lendsNothing struct{}

func (lendsNothing) Lease(context.Context, string) (Lease, error) { return nil, ErrNotFound }
