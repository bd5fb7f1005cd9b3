package direct

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/foggrid/fogd/offchain/dispatch"
)

// maxHealthHeaders bounds what a service can make the dispatcher read.
const maxHealthHeaders = 64 << 10

// errRedirect keeps a service from sending the check elsewhere.
var errRedirect = http.ErrUseLastResponse

// checkHealth makes one check at the address of the health port.
func checkHealth(ctx context.Context, h dispatch.Health, addr string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("no answer within %s", h.Timeout))
	defer cancel()
	err := askHealth(ctx, h, addr)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

func askHealth(ctx context.Context, h dispatch.Health, addr string) (err error) {
	if h.Kind == dispatch.HealthTCP {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+h.Path, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxHealthHeaders},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return fmt.Errorf("GET %s was answered with status %d", h.Path, resp.StatusCode)
	}
	return nil
}

// firstChecks is the pause between checks until the first one has told something, if that is shorter than the interval.
const firstChecks = time.Second

// watchHealth checks until the context ends.
func (s *service) watchHealth(ctx context.Context, addr string) {
	h := s.assignment.Service.Health
	for {
		pause := h.Interval
		if s.phase() == dispatch.ServiceRunning {
			pause = min(pause, firstChecks)
		}
		if !sleep(ctx, pause) {
			return
		}
		err := checkHealth(ctx, h, addr)
		if ctx.Err() != nil {
			return
		}
		s.change(func(l *lifecycle) bool { return l.check(time.Now().UTC(), err) })
	}
}

// sleep reports whether the whole pause has passed.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
