package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// TokenSource gets tokens for a registry that asks for them. It decides itself whom it asks: a registry that names another token service
// learns nothing by that. An error that is ErrDenied is final; others may pass.
type TokenSource interface {
	RegistryToken(ctx context.Context, service string, scopes []string) (token string, expires time.Time, err error)
}

// WithTokens shows the registry tokens of a source. It replaces the transport of the HTTP client that was set before.
func WithTokens(s TokenSource) Option {
	return func(c *Client) {
		next := c.http.Transport
		if next == nil {
			next = http.DefaultTransport
		}
		h := *c.http
		h.Transport = &tokenTransport{next: next, source: s, scheme: c.base.Scheme, host: c.base.Host, tokens: map[string]heldToken{}}
		c.http, c.tokens = &h, true
	}
}

// tokenTransport gets a token when the registry asks for one, and shows it until shortly before it expires.
type tokenTransport struct {
	next         http.RoundTripper
	source       TokenSource
	scheme, host string

	mu      sync.Mutex
	service string // that the registry named
	tokens  map[string]heldToken
}

type heldToken struct {
	text string
	// renew is when half of its life is over.
	renew time.Time
}

// maxTokens bounds the tokens that are held; each names one repository.
const maxTokens = 1024

// RoundTrip implements http.RoundTripper. What the registry refuses is sent again with a new token, once: the registry may just have
// begun to ask for tokens, or what the client may do may have changed since it got the one it showed.
func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != t.host || req.URL.Scheme != t.scheme {
		return t.next.RoundTrip(req) // storage that the registry redirects to, or itself without TLS
	}
	scope := scopeOf(req)
	token, fresh, err := t.held(req.Context(), scope)
	if err != nil {
		return nil, err
	}
	resp, err := t.send(req, token)
	once := req.Body != nil && req.Body != http.NoBody && req.GetBody == nil
	if err != nil || fresh || once || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	service, ok := challenged(resp)
	if !ok {
		return resp, nil
	}
	if err := drain(resp); err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.service = service
	t.mu.Unlock()
	if token, err = t.get(req.Context(), scope); err != nil {
		return nil, err
	}
	again := req.Clone(req.Context())
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return t.send(again, token)
}

func (t *tokenTransport) send(req *http.Request, token string) (*http.Response, error) {
	if token == "" {
		return t.next.RoundTrip(req)
	}
	with := req.Clone(req.Context())
	with.Header.Set("Authorization", "Bearer "+token)
	return t.next.RoundTrip(with)
}

// held returns a token that is good for a while yet, whether it is new, and "" as long as the registry has not asked for any.
func (t *tokenTransport) held(ctx context.Context, scope string) (_ string, fresh bool, err error) {
	t.mu.Lock()
	service, token := t.service, t.tokens[scope]
	t.mu.Unlock()
	switch {
	case service == "":
		return "", false, nil
	case time.Now().Before(token.renew):
		return token.text, false, nil
	}
	text, err := t.get(ctx, scope)
	return text, true, err
}

func (t *tokenTransport) get(ctx context.Context, scope string) (string, error) {
	t.mu.Lock()
	service := t.service
	t.mu.Unlock()
	var scopes []string
	if scope != "" {
		scopes = []string{scope}
	}
	text, expires, err := t.source.RegistryToken(ctx, service, scopes)
	if err != nil {
		err = fmt.Errorf("no token for the registry: %w", err)
		if errors.Is(err, ErrDenied) {
			err = &permanent{err}
		}
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.tokens) >= maxTokens {
		clear(t.tokens)
	}
	t.tokens[scope] = heldToken{text, time.Now().Add(time.Until(expires) / 2)}
	return text, nil
}

// scopeOf is what a request needs, as scopes of tokens say it.
func scopeOf(req *http.Request) string {
	_, rest, _ := strings.Cut(req.URL.Path, "/v2/")
	for _, part := range []string{"/blobs/", "/manifests/", "/referrers/", "/tags/"} {
		if i := strings.LastIndex(rest, part); i > 0 {
			actions := "pull,push"
			if req.Method == http.MethodGet || req.Method == http.MethodHead {
				actions = "pull"
			}
			return "repository:" + rest[:i] + ":" + actions
		}
	}
	return ""
}

// challenged reads the service out of the answer of a registry that wants a token.
func challenged(resp *http.Response) (service string, ok bool) {
	kind, fields, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		return "", false
	}
	_, rest, found := strings.Cut(fields, `service="`)
	service, _, closed := strings.Cut(rest, `"`)
	return service, found && closed
}
