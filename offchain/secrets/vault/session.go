package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/foggrid/fogd/offchain/secrets"
)

const (
	loginPause    = time.Second
	loginMaxPause = 30 * time.Second
	// revokeTimeout is how long the end of a program waits for its token to be revoked.
	revokeTimeout = 2 * time.Second
)

var errClosed = fmt.Errorf("%w: the store is closed", secrets.ErrUnavailable)

// session is the time of one token.
type session struct {
	client *api.Client
	// ended is closed when another token takes its place: leases that were made with this one end with it.
	ended chan struct{}
	// lost is closed when Vault does not know the token any more.
	lost     chan struct{}
	loseOnce sync.Once
}

func (s *session) lose() { s.loseOnce.Do(func() { close(s.lost) }) }

// Status is how a store stands with its Vault.
type Status struct {
	// Reachable says whether the last request was answered.
	Reachable bool
	// Since is when that last changed.
	Since time.Time
	// Reason is why not.
	Reason string
	// Logins counts tokens, Renewals how often one was prolonged, Failures requests without an answer.
	Logins, Renewals, Failures uint64
	// Causes counts the failures by cause: sealed, busy, slow or out_of_reach.
	Causes map[string]uint64
}

// life logs in, and in again, until the store is closed.
type life struct {
	cfg Config

	ctx  context.Context
	stop context.CancelFunc
	runs sync.WaitGroup

	mu      sync.Mutex
	current *session
	// first is closed after the first attempt to log in; err is why the last one failed.
	first  chan struct{}
	err    error
	begun  bool
	status Status
}

func newLife(cfg Config) (*life, error) {
	if _, err := cfg.client(); err != nil {
		return nil, err
	}
	l := &life{cfg: cfg, first: make(chan struct{}), status: Status{
		Since: time.Now(), Reason: "nothing was asked yet", Causes: map[string]uint64{},
	}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l, nil
}

// session returns the present one. The first call logs in; while there is none, it says why.
func (l *life) session(ctx context.Context) (*session, error) {
	l.mu.Lock()
	if !l.begun && l.ctx.Err() == nil {
		l.begun = true
		l.runs.Go(l.run)
	}
	l.mu.Unlock()
	select {
	case <-l.first:
	case <-l.ctx.Done():
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		return nil, l.err
	}
	return l.current, nil
}

// run holds one token after another.
func (l *life) run() {
	for pause := loginPause; l.ctx.Err() == nil; {
		started := time.Now()
		watcher, s, err := l.login()
		if err != nil && l.ctx.Err() != nil {
			return
		}
		l.note(err)
		l.replace(s, err)
		if err != nil {
			l.cfg.Log.Warn("cannot log in to Vault; trying again", "by", l.cfg.Login.String(), "error", err, "pause", pause)
			if !l.sleep(pause) {
				return
			}
			pause = min(2*pause, loginMaxPause)
			continue
		}
		level := slog.LevelDebug // the first one is what everybody expects
		if l.logins() > 1 {
			level = slog.LevelInfo
		}
		l.cfg.Log.Log(l.ctx, level, "logged in to Vault", "by", l.cfg.Login.String(), "role", l.cfg.Role, "name", l.cfg.Name)
		l.watch(watcher, s)
		// A token that ends at once must not become a storm of logins.
		if time.Since(started) > loginMaxPause {
			pause = loginPause
		} else if !l.sleep(pause) {
			return
		}
	}
}

func (l *life) login() (*api.LifetimeWatcher, *session, error) {
	ctx, cancel := context.WithTimeout(l.ctx, 2*l.cfg.Timeout) // unwrapping and logging in
	defer cancel()
	client, err := l.cfg.client() // reads the certificates anew
	if err != nil {
		return nil, nil, err
	}
	secret, err := l.cfg.Login.Login(ctx, client)
	if err != nil {
		return nil, nil, explain("log in by "+l.cfg.Login.String(), err)
	}
	client.SetToken(secret.Auth.ClientToken)
	watcher, err := client.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: secret})
	if err != nil {
		return nil, nil, err
	}
	return watcher, &session{client: client, ended: make(chan struct{}), lost: make(chan struct{})}, nil
}

// replace makes s the present session. Without one the last is kept: its token may still be good.
func (l *life) replace(s *session, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err = err; s != nil {
		if l.current != nil {
			close(l.current.ended)
		}
		l.current = s
		l.status.Logins++
	}
	select {
	case <-l.first:
	default:
		close(l.first)
	}
}

// watch has the token renewed until it should be replaced.
func (l *life) watch(watcher *api.LifetimeWatcher, s *session) {
	l.runs.Go(watcher.Start)
	defer watcher.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-s.lost:
			l.cfg.Log.Warn("Vault does not know the token any more; logging in again")
			l.drop(s)
			return
		case renewal := <-watcher.RenewCh():
			l.mu.Lock()
			l.status.Renewals++
			l.mu.Unlock()
			l.cfg.Log.Debug("the token of Vault is renewed", "seconds", renewal.Secret.Auth.LeaseDuration)
		case err := <-watcher.DoneCh():
			l.cfg.Log.Info("the token of Vault is about to end; logging in again", "reason", err)
			return
		}
	}
}

// drop forgets a session whose token is void.
func (l *life) drop(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == s {
		close(s.ended)
		l.current, l.err = nil, fmt.Errorf("%w: Vault has forgotten the token, and a new login is under way", secrets.ErrUnavailable)
	}
}

func (l *life) logins() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status.Logins
}

func (l *life) sleep(d time.Duration) bool {
	select {
	case <-l.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// note keeps the status and says in the log when it changes.
func (l *life) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reachable := !errors.Is(err, secrets.ErrUnavailable)
	if !reachable {
		l.status.Failures++
		l.status.Reason = err.Error()
		for name, cause := range causes {
			if errors.Is(err, cause) {
				l.status.Causes[name]++
			}
		}
	}
	if reachable == l.status.Reachable {
		return
	}
	l.status.Reachable, l.status.Since = reachable, time.Now()
	if reachable {
		l.status.Reason = ""
		if l.status.Failures > 0 {
			l.cfg.Log.Info("Vault answers again", "address", l.cfg.Address)
		}
	} else if l.status.Logins > 0 {
		l.cfg.Log.Warn("Vault does not answer; what runs goes on, what needs a new secret waits", "address", l.cfg.Address, "reason", err)
	}
}

// close ends the session; its token and all that was lent with it is revoked if Vault answers in time.
func (l *life) close() error {
	l.mu.Lock()
	l.stop() // under the lock, so that no session begins after it
	l.mu.Unlock()
	l.runs.Wait()
	l.mu.Lock()
	s := l.current
	l.current, l.err = nil, errClosed
	l.mu.Unlock()
	if s == nil {
		return nil
	}
	close(s.ended)
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	if err := s.client.Auth().Token().RevokeSelfWithContext(ctx, ""); err != nil {
		return fmt.Errorf("the token runs out by itself: %w", explain("revoke it", err))
	}
	return nil
}
