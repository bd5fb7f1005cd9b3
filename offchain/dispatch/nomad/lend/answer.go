package lend

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/foggrid/fogd/offchain/secrets/envelope"
)

const (
	// patience is how often the gateway may say that there is no such secret before that is believed: its owner may be about to set it.
	patience          = 5
	retryMin, maxWait = time.Second, 30 * time.Second
	askTime           = 30 * time.Second
	maxAnswer         = 4 << 20
	// Path is the gateway's route.
	Path = "/v1/nomad/secrets"
)

// Request is what the gateway is shown: a token of Nomad's, and for whom what it lends is to be sealed.
type Request struct {
	Identity  string `json:"identity"`
	Recipient string `json:"recipient"`
}

// Lent is the gateway's answer, as far as it is needed here.
type Lent struct {
	Owner string `json:"owner"`
	Loan  Loan   `json:"loan"`
}

// Loan is what is lent: wrapped by Vault, one for each path, or sealed already.
type Loan struct {
	Vault     string    `json:"vault"`
	CA        string    `json:"ca"`
	Namespace string    `json:"namespace"`
	Wrapped   []string  `json:"wrapped"`
	Sealed    []byte    `json:"sealed"`
	Expires   time.Time `json:"expires"`
}

// Helper answers those who ask in a folder.
type Helper struct {
	// Shared is the folder of the allocation, Identity the file with Nomad's token, which Nomad replaces.
	Shared, Identity string
	Attempt          string
	Terms            Terms
	Log              *slog.Logger

	client *http.Client
	tries  map[string]*try
}

// try is what has been tried for one who asks.
type try struct {
	next    time.Time
	pause   time.Duration
	missing int
}

// Run answers until ctx ends, whose error comes back.
func (h *Helper) Run(ctx context.Context) error {
	var err error
	if h.client, err = webClient(h.Terms.Gateway, h.Terms.CA); err != nil {
		return fmt.Errorf("the gateway: %w", err)
	}
	h.tries = map[string]*try{}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		asks, err := filepath.Glob(filepath.Join(h.Shared, folder, "*"+endAsk))
		if err != nil {
			return err
		}
		for _, ask := range asks {
			h.answer(ctx, strings.TrimSuffix(ask, endAsk))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// answer tries to answer one who asks, if that has not been done and it is time.
func (h *Helper) answer(ctx context.Context, name string) {
	for _, end := range []string{endSealed, endRefused} {
		if _, err := os.Lstat(name + end); err == nil {
			return
		}
	}
	t := h.tries[name]
	if t == nil {
		t = &try{pause: retryMin}
		h.tries[name] = t
	}
	if time.Now().Before(t.next) {
		return
	}
	recipient, err := os.ReadFile(name + endAsk)
	if errors.Is(err, fs.ErrNotExist) {
		return // who asked has gone
	}
	var sealed []byte
	if err == nil {
		sealed, err = h.borrow(ctx, strings.TrimSpace(string(recipient)))
	}
	var answer *refusal
	switch {
	case err == nil:
		err = leave(name+endSealed, sealed)
	case errors.As(err, &answer) && answer.final():
		if t.missing++; t.missing >= patience {
			err = errors.Join(err, leave(name+endRefused, []byte(answer.Error())))
		}
	}
	if err != nil && ctx.Err() == nil {
		h.Log.Warn("no secrets yet", "attempt", h.Attempt, "error", err)
		t.next, t.pause = time.Now().Add(t.pause), min(2*t.pause, maxWait)
	}
}

// refusal is an answer of the gateway that is no loan.
type refusal struct {
	status       int
	code, detail string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %.300s", r.status, r.code, r.detail) }

// final tells what does not change by waiting: there is no such secret, or nobody keeps any.
func (r *refusal) final() bool { return r.code == "no_secret" || r.code == "no_secret_store" }

// borrow gets what the gateway lends, sealed for a recipient.
func (h *Helper) borrow(ctx context.Context, recipient string) ([]byte, error) {
	to, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, fmt.Errorf("who asks leaves no recipient: %w", err)
	}
	token, err := os.ReadFile(h.Identity)
	if err != nil {
		return nil, fmt.Errorf("the workload identity: %w", err)
	}
	var lent Lent
	in := Request{Identity: strings.TrimSpace(string(token)), Recipient: recipient}
	if err := post(ctx, h.client, strings.TrimSuffix(h.Terms.Gateway, "/")+Path, nil, in, &lent); err != nil {
		return nil, err
	}
	if lent.Owner != h.Terms.Owner {
		return nil, fmt.Errorf("the gateway lends secrets of %.100s, not of %.100s", lent.Owner, h.Terms.Owner)
	}
	if len(lent.Loan.Sealed) > 0 {
		return lent.Loan.Sealed, nil
	}
	values, err := unwrap(ctx, lent.Loan, h.Terms.Owner, h.Terms.Paths)
	if err != nil {
		return nil, err
	}
	return envelope.Seal(envelope.Content{Attempt: h.Attempt, Owner: h.Terms.Owner, Expires: lent.Loan.Expires, Values: values}, to)
}

// webClient is a client of an https URL, or of one on this machine, that follows no redirect.
func webClient(at, ca string) (*http.Client, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("%.200q is no https URL; secrets would go in the clear", at)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("its authority is no certificate in PEM")
		}
	}
	return &http.Client{
		Timeout: askTime, Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func isLoopback(host string) bool {
	at, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && at.Unmap().IsLoopback()
}

// post sends JSON and reads JSON.
func post(ctx context.Context, c *http.Client, target string, header http.Header, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var said struct {
			Error struct{ Code, Detail string }
		}
		if json.Unmarshal(body, &said) != nil { // a proxy's, or Vault's
			said.Error.Detail = "an answer of another kind"
		}
		return &refusal{resp.StatusCode, said.Error.Code, said.Error.Detail}
	}
	if err := json.Unmarshal(body, out); err != nil {
		return errors.New("an answer that cannot be read")
	}
	return nil
}
