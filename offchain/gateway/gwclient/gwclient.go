// Package gwclient is the client of a gateway: it logs in by a wallet or by a node's link key, calls the API, and gets registry tokens.
package gwclient

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/adr36"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// Error is what a gateway answers instead of a result.
type Error struct {
	Status int
	Code   string
	Detail string
}

func (e *Error) Error() string {
	return fmt.Sprintf("the gateway refuses (%d %s): %s", e.Status, e.Code, e.Detail)
}

// Is makes a refusal for want of rights the registry client's ErrDenied, since asking again would not help, and a secret that there is not
// its ErrNotFound.
func (e *Error) Is(target error) bool {
	switch target {
	case client.ErrDenied:
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	case client.ErrNotFound:
		return e.Code == "no_secret"
	case secrets.ErrNoStore:
		return e.Code == "no_secret_store"
	}
	return false
}

// Client talks to one gateway; it is safe for concurrent use.
type Client struct {
	base *url.URL
	http *http.Client
}

// New makes a client of the gateway at a URL. Tokens are shown to it, so it must be https unless it is on this machine. A TLS configuration says whom
// it trusts and which certificate it shows; nil trusts the system's authorities.
func New(baseURL string, config *tls.Config) (*Client, error) {
	base, err := url.Parse(baseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("gateway URL %q; use https://host, or http://host:port on this machine", baseURL)
	}
	if base.Scheme == "http" && !gateway.IsLoopback(base.Host) {
		return nil, fmt.Errorf("gateway URL %q would send tokens in the clear; use https", baseURL)
	}
	return &Client{base: base, http: &http.Client{
		Timeout: time.Minute, Transport: Transport(config),
		// A token is for this gateway alone, wherever it sends us.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Call sends a request with a token ("" for none). A []byte as in is sent as it is, another value as JSON; out, if not nil, gets the answer: a
// *[]byte as it is, another pointer from JSON.
func (c *Client) Call(ctx context.Context, token, method, path string, in, out any) error {
	var body io.Reader
	kind := "application/json"
	switch v := in.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(v), "text/plain"
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	target, err := c.base.Parse(path)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("no gateway at %s: %w", c.base, err)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return refusal(resp.StatusCode, raw)
	}
	switch v := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*v = raw
		return nil
	default:
		return json.Unmarshal(raw, out)
	}
}

func refusal(status int, raw []byte) error {
	var body struct {
		Error struct{ Code, Detail string }
	}
	if json.Unmarshal(raw, &body) != nil || body.Error.Code == "" {
		return &Error{Status: status, Code: http.StatusText(status), Detail: "this does not look like a gateway; check the URL"}
	}
	return &Error{status, body.Error.Code, body.Error.Detail}
}

// challenge asks for something to sign, and insists that it is for this gateway: one that hands on the challenge of another would log in
// there in our name.
func (c *Client) challenge(ctx context.Context, subject map[string]string) (string, error) {
	var ch gateway.Challenge
	if err := c.Call(ctx, "", http.MethodPost, "/v1/login/challenge", subject, &ch); err != nil {
		return "", err
	}
	domain, err := gateway.ChallengeDomain(ch.Challenge)
	if err != nil {
		return "", err
	}
	if domain != c.base.Host {
		return "", fmt.Errorf("the gateway at %s wants a signature for %q; nothing was signed", c.base.Host, domain)
	}
	return ch.Challenge, nil
}

// Login logs a wallet in, with some of its roles or, without any, all.
func (c *Client) Login(ctx context.Context, signer chain.Signer, roles []string) (gateway.Issued, error) {
	var out gateway.Issued
	address, err := sdk.Bech32ifyAddressBytes(chain.Bech32Prefix, signer.PubKey().Address())
	if err != nil {
		return out, err
	}
	text, err := c.challenge(ctx, map[string]string{"address": address})
	if err != nil {
		return out, err
	}
	doc, err := adr36.SignBytes(address, text)
	if err != nil {
		return out, err
	}
	signature, err := signer.Sign(doc)
	if err != nil {
		return out, fmt.Errorf("sign the challenge: %w", err)
	}
	in := gateway.LoginRequest{Challenge: text, PublicKey: signer.PubKey().Bytes(), Signature: signature, Roles: roles}
	return out, c.Call(ctx, "", http.MethodPost, "/v1/login", in, &out)
}

// NodeLogin logs a node in.
func (c *Client) NodeLogin(ctx context.Context, node string, key ed25519.PrivateKey) (gateway.Issued, error) {
	var out gateway.Issued
	text, err := c.challenge(ctx, map[string]string{"node": node})
	if err != nil {
		return out, err
	}
	in := gateway.LoginRequest{Challenge: text, Signature: ed25519.Sign(key, gateway.NodeSigningBytes(text))}
	return out, c.Call(ctx, "", http.MethodPost, "/v1/login", in, &out)
}

// Tokens gets registry tokens; it is a client.TokenSource.
type Tokens struct {
	client *Client
	login  func(ctx context.Context) (secret string, expires time.Time, err error)
	now    func() time.Time

	mu     sync.Mutex
	secret string
	renew  time.Time
}

// Fixed gets registry tokens with a token of the gateway.
func (c *Client) Fixed(secret string) *Tokens {
	return &Tokens{client: c, now: time.Now, login: func(context.Context) (string, time.Time, error) { return secret, time.Time{}, nil }}
}

// OfNode gets registry tokens for a node, which logs in as often as it has to.
func (c *Client) OfNode(node string, key ed25519.PrivateKey) *Tokens {
	return &Tokens{client: c, now: time.Now, login: func(ctx context.Context) (string, time.Time, error) {
		issued, err := c.NodeLogin(ctx, node, key)
		return issued.Secret, issued.Token.Expires, err
	}}
}

// OfWallet gets registry tokens for a wallet with some of its roles, which logs in as often as it has to.
func (c *Client) OfWallet(signer chain.Signer, roles []string) *Tokens {
	return &Tokens{client: c, now: time.Now, login: func(ctx context.Context) (string, time.Time, error) {
		issued, err := c.Login(ctx, signer, roles)
		return issued.Secret, issued.Token.Expires, err
	}}
}

// RegistryToken implements client.TokenSource. A login that the gateway does not know any more is made anew, once.
func (t *Tokens) RegistryToken(ctx context.Context, service string, scopes []string) (string, time.Time, error) {
	query := url.Values{"service": {service}, "scope": scopes}
	var out gateway.RegistryToken
	err := t.call(ctx, http.MethodGet, "/registry/token?"+query.Encode(), &out)
	return out.Token, t.now().Add(time.Duration(out.ExpiresIn) * time.Second), err
}

// call asks the gateway, if need be after another login.
func (t *Tokens) call(ctx context.Context, method, path string, out any) error {
	for again := false; ; again = true {
		secret, err := t.current(ctx, again)
		if err != nil {
			return err
		}
		err = t.client.Call(ctx, secret, method, path, nil, out)
		var refused *Error
		if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && !again {
			continue
		}
		return err
	}
}

// current returns a token of the gateway that has half of its life before it.
func (t *Tokens) current(ctx context.Context, fresh bool) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secret != "" && !fresh && (t.renew.IsZero() || t.now().Before(t.renew)) {
		return t.secret, nil
	}
	secret, expires, err := t.login(ctx)
	if err != nil {
		return "", err
	}
	t.secret, t.renew = secret, time.Time{}
	if !expires.IsZero() {
		now := t.now()
		t.renew = now.Add(expires.Sub(now) / 2)
	}
	return secret, nil
}
