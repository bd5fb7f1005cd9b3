package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Progress is told, as bytes go by, how many are done of how many. Calls come one at a time; done falls back when a blob is retried.
type Progress func(done, total int64)

// Client talks to one registry; it is safe for concurrent use.
type Client struct {
	base     *url.URL
	http     *http.Client
	attempts int
	pause    time.Duration
	parallel int
	progress Progress
	owned    bool
	tokens   bool
}

// Option changes a new client.
type Option func(*Client)

// WithHTTPClient replaces http.DefaultClient, to set TLS, tokens or a proxy. Do not set its Timeout: it would cut large blobs.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithRetry sets how often a request is tried (5) and the first pause between two tries (200 ms, doubled up to 5 s).
func WithRetry(attempts int, pause time.Duration) Option {
	return func(c *Client) { c.attempts, c.pause = max(attempts, 1), max(pause, 0) }
}

// WithParallel sets how many layers are pushed or pulled at a time (4).
func WithParallel(n int) Option { return func(c *Client) { c.parallel = max(n, 1) } }

// New makes a client of the registry at baseURL, such as http://127.0.0.1:5000; nothing is sent yet.
func New(baseURL string, opts ...Option) (*Client, error) {
	base, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("registry URL: %w", err)
	}
	if (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("registry URL %q; use http://host:port or https://host:port", baseURL)
	}
	c := &Client{base: base, http: http.DefaultClient, attempts: 5, pause: 200 * time.Millisecond, parallel: 4}
	for _, o := range opts {
		o(c)
	}
	if c.tokens && base.Scheme == "http" && !onThisMachine(base.Hostname()) {
		return nil, fmt.Errorf("registry URL %q would send tokens in the clear; use https", baseURL)
	}
	return c, nil
}

func onThisMachine(host string) bool {
	at, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && at.Unmap().IsLoopback()
}

// WithProgress returns a client that shares everything with c and reports to p.
func (c *Client) WithProgress(p Progress) *Client {
	with := *c
	with.progress = p
	return &with
}

// Ping asks whether a registry answers.
func (c *Client) Ping(ctx context.Context) error {
	return c.retry(ctx, func() error {
		resp, err := c.do(ctx, http.MethodGet, c.base.JoinPath("v2/").String(), nil, nil)
		if err != nil {
			return err
		}
		return drain(resp)
	})
}

// at builds the URL of an API path of a repository.
func (c *Client) at(repo string, parts ...string) string {
	return c.base.JoinPath(append([]string{"v2", repo}, parts...)...).String()
}

// BlobURL is where a blob can be downloaded from, for programs that know nothing of registries.
func (c *Client) BlobURL(repo string, d artifact.Digest) string {
	return c.at(repo, "blobs", d.String())
}

// do sends one request and turns any status from 400 on into an error; the caller closes the body.
func (c *Client) do(ctx context.Context, method, url string, body *content, header http.Header) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		reader = body.Reader
	}
	req, err := http.NewRequestWithContext(ctx, method, url, reader)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if body != nil {
		req.ContentLength = body.size
		if body.size == 0 {
			req.Body = http.NoBody
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		err := statusError(resp)
		return nil, errors.Join(withRetryAfter(err, resp), resp.Body.Close())
	}
	return resp, nil
}

// content is a body of known size.
type content struct {
	io.Reader
	size int64
}

// drain reads the rest of a small answer, so that the connection is used again.
func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return errors.Join(err, resp.Body.Close())
}

// retryAfter carries the registry's wish to be left alone for a while.
type retryAfter struct {
	error
	wait time.Duration
}

func (r *retryAfter) Unwrap() error { return r.error }

// maxWait bounds every pause.
const maxWait = 5 * time.Second

func withRetryAfter(err error, resp *http.Response) error {
	seconds, parseErr := strconv.Atoi(strings.TrimSpace(resp.Header.Get("Retry-After")))
	if parseErr != nil || seconds < 0 {
		return err
	}
	return &retryAfter{err, min(time.Duration(min(seconds, 3600))*time.Second, maxWait)}
}

// permanent marks an error that no repetition mends.
type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

// retry repeats try while its error is temporary and the context lives.
func (c *Client) retry(ctx context.Context, try func() error) error {
	pause := c.pause
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if attempt >= c.attempts || !temporary(err) {
			return err
		}
		wait := pause/2 + time.Duration(rand.Int64N(int64(pause/2)+1)) //nolint:gosec // jitter; nobody gains by guessing it
		var asked *retryAfter
		if errors.As(err, &asked) {
			wait = max(wait, asked.wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		pause = min(2*pause, maxWait)
	}
}

// temporary is true for failures of the connection and for the statuses that say so.
func temporary(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.temporary()
	}
	var final *permanent
	return !errors.As(err, &final) && !errors.Is(err, ErrDigestMismatch) && !errors.Is(err, ErrTooLarge)
}
