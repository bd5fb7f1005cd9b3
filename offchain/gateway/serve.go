package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/audit"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/secrets"
)

const (
	// readHeader is how long a client may take to say what it wants, bodyTime to send a body of the API, answerTime to take the answer.
	readHeader = 10 * time.Second
	bodyTime   = 15 * time.Second
	answerTime = 10 * time.Minute
	// stall is how long a push may rest between two pieces, and pullTime how long a pull may take.
	stall    = time.Minute
	pullTime = 6 * time.Hour
	idle     = 2 * time.Minute

	maxBody      = 512 << 10
	maxHeader    = 64 << 10
	flushEvery   = 10 * time.Second
	sweepEvery   = time.Hour
	recallEvery  = 5 * time.Second
	shutdownTime = 5 * time.Second
)

// patience is how long slow clients are waited for.
type patience struct{ header, body, stall time.Duration }

// Serve answers on a listener, and does what is due now and then, until the context ends.
func (s *Server) Serve(ctx context.Context, lis net.Listener) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: s.patience.header, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	served := make(chan error, 1)
	if s.cfg.Certificate == nil {
		go func() { served <- server.Serve(s.listener(lis, perAddress, s.nearby)) }()
	} else {
		server.Handler, server.TLSConfig = http.HandlerFunc(s.serveSecurely), mtls.Server(s.cfg.Certificate)
		server.ErrorLog = slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug) // handshakes that fail
		go func() { served <- server.ServeTLS(s.listener(lis, perAddress, anybody), "", "") }()
	}
	flush, sweep, recall := time.NewTicker(flushEvery), time.NewTicker(sweepEvery), time.NewTicker(recallEvery)
	defer flush.Stop()
	defer recall.Stop()
	defer sweep.Stop()
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	if s.registry != nil {
		beside.Go(func() { s.registry.Keep(ctx, s.cfg.ScrubInterval, s.cfg.Scrub) })
	}
	if s.certificates != nil {
		beside.Go(func() { s.certificates.run(ctx) })
	}
	var collect <-chan time.Time
	if s.registry != nil && s.cfg.GCInterval > 0 {
		ticker := time.NewTicker(s.cfg.GCInterval)
		defer ticker.Stop()
		collect = ticker.C
	}
	for {
		select {
		case err := <-served:
			return err
		case <-flush.C:
			if err := s.book.Flush(ctx); err != nil {
				s.cfg.Log.Warn("the last uses of tokens cannot be noted", "error", err)
			}
		case <-recall.C:
			s.recallLoans(ctx)
		case <-sweep.C:
			if _, err := s.book.Sweep(ctx); err != nil {
				s.cfg.Log.Warn("old tokens cannot be forgotten", "error", err)
			}
		case <-collect:
			if report, err := s.CollectGarbage(ctx); err != nil {
				s.cfg.Log.Warn("the registry's garbage is not collected", "error", err)
			} else {
				s.cfg.Log.Info("collected the registry's garbage", "blobs", report.Blobs, "manifests", report.Manifests, "freed_bytes", report.FreedBytes)
			}
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
			defer cancel()
			if err := server.Shutdown(end); err != nil { // someone holds on to a request
				return errors.Join(ctx.Err(), server.Close())
			}
			return ctx.Err()
		}
	}
}

// serveSecurely tells browsers never to come without TLS.
func (s *Server) serveSecurely(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	s.ServeHTTP(w, req)
}

// caller is who sent a request.
type caller struct {
	subject access.Subject
	token   credential.Token
	from    string
	// key of limits by address.
	key string
	// machine is whom the certificate of the connection names, "" without one.
	machine string
	// ticket is what the caller shows, if it is a Nomad client that pulls for an attempt.
	ticket *ticketed
}

// ServeHTTP answers the API, and the registry if it is embedded.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at := clientAddress(req, s.cfg.TrustedProxies)
	who := caller{from: at.String(), key: limitKey(at)}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if wait := s.addresses.take(who.key); wait > 0 {
		s.fail(w, req, tooMany(wait))
		return
	}
	if s.registry != nil && (req.URL.Path == "/v2" || strings.HasPrefix(req.URL.Path, "/v2/")) {
		s.serveRegistry(w, req)
		return
	}
	deadlines(w, s.patience.body, answerTime)
	if req.TLS != nil {
		who.machine = machineOf(req)
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxBody)
	s.routes.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), callerKey{}, who)))
}

type callerKey struct{}

// deadlines set how long the rest of a request may take; a writer that has none (in tests) does without.
func deadlines(w http.ResponseWriter, read, write time.Duration) {
	c, now := http.NewResponseController(w), time.Now()
	for _, err := range []error{c.SetReadDeadline(now.Add(read)), c.SetWriteDeadline(now.Add(write))} {
		if err != nil && !errors.Is(err, http.ErrNotSupported) {
			return // the connection is gone, which the next read tells
		}
	}
}

// serveRegistry lets pushes take as long as they move.
func (s *Server) serveRegistry(w http.ResponseWriter, req *http.Request) {
	deadlines(w, s.patience.stall, pullTime)
	req.Body = &moving{ReadCloser: req.Body, w: w, stall: s.patience.stall}
	s.registry.ServeHTTP(w, req)
}

type moving struct {
	io.ReadCloser
	w     http.ResponseWriter
	stall time.Duration
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if n > 0 {
		deadlines(m.w, m.stall, pullTime)
	}
	return n, err
}

// authenticate finds out who calls. A token that is not good is an error; none is a stranger.
func (s *Server) authenticate(req *http.Request, who caller) (caller, error) {
	text, shown, err := shownToken(req)
	if err != nil || !shown {
		return who, err
	}
	token, err := s.book.Check(req.Context(), text)
	switch {
	case errors.Is(err, credential.ErrUnknown), errors.Is(err, credential.ErrExpired), errors.Is(err, credential.ErrRevoked):
		// Wrong tokens are slow, and cannot fill the audit log. Those who show a good one from the same address are not held up.
		if wait := s.wrong.take(who.key); wait > 0 {
			return who, tooMany(wait)
		}
		if err := s.record(who, event{verb: req.Method, path: req.URL.Path, detail: err.Error()}, false); err != nil {
			return who, err
		}
		return who, unauthorized(err.Error())
	case err != nil:
		return who, err
	}
	if wait := s.tokens.take(token.ID); wait > 0 {
		return who, tooMany(wait)
	}
	if token.Node != "" && who.machine != "" && who.machine != secrets.NodeIdentity(token.Node) {
		return who, unauthorized(fmt.Sprintf("the token is that of node %s, the certificate that of %s; a node shows its own", token.Node, who.machine))
	}
	who.token, who.subject = token, token.Subject()
	if who.subject.Roles, err = s.still(req.Context(), who.subject); err != nil {
		return who, err
	}
	s.book.Used(token.ID, who.from)
	return who, nil
}

// shownToken is the token of a request: as bearer, or as the password of basic authentication, as clients of registries send it.
func shownToken(req *http.Request) (text string, shown bool, err error) {
	header := req.Header.Get("Authorization")
	if header == "" {
		return "", false, nil
	}
	if _, password, ok := req.BasicAuth(); ok {
		return password, true, nil
	}
	kind, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(kind, "Bearer") {
		return "", false, unauthorized(`the Authorization header must be "Bearer …" or basic authentication with a token as the password`)
	}
	return strings.TrimSpace(text), true, nil
}

// event is what is recorded, beside who did it.
type event struct {
	verb, path string
	allowed    bool
	decision   access.Decision
	detail     string
}

// maxRecorded bounds what of a path goes into the log.
const maxRecorded = 1024

// record writes to the audit log. If that fails, the request fails: nothing is done unseen.
func (s *Server) record(who caller, e event, lasting bool) error {
	actor := who.subject.Address
	switch {
	case who.subject.Node != "":
		actor = who.subject.Node
	case actor == "":
		actor = "stranger"
	}
	if len(e.path) > maxRecorded {
		e.path = strings.ToValidUTF8(e.path[:maxRecorded], "") + "…"
	}
	return s.audit.Append(audit.Event{
		Actor: actor, Token: who.token.ID, From: who.from, Verb: e.verb, Path: e.path,
		Allowed: e.allowed, Policies: e.decision.Policies, PolicyDigest: e.decision.Digest, Detail: e.detail,
	}, lasting)
}

// permit asks the policies, records the answer, and returns an error if it is no.
func (s *Server) permit(who caller, r access.Request) error {
	r.Subject = who.subject
	policies, _ := s.rules.Current()
	d := policies.Decide(r)
	if !d.Allowed && who.subject.Stranger() {
		// Like wrong tokens: a stranger's denials are told apart by nothing, and must not fill the log.
		if wait := s.wrong.take(who.key); wait > 0 {
			return tooMany(wait)
		}
	}
	if len(d.Errors) > 0 {
		s.cfg.Log.Error("a policy cannot be evaluated", "errors", d.Errors)
	}
	// What changes something is on disk before it is done; of reading, a crash of the machine may lose the last moments.
	reads := r.Verb == http.MethodGet || r.Verb == http.MethodHead || r.Verb == access.Pull
	if err := s.record(who, event{verb: r.Verb, path: r.Path, allowed: d.Allowed, decision: d}, d.Allowed && !reads); err != nil {
		return err
	}
	if !d.Allowed {
		return forbidden(r)
	}
	return nil
}

// decode reads a small JSON body strictly.
func decode(req *http.Request, v any) error {
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "unsupported", "send the body as application/json")
	}
	raw, err := readBody(req)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badRequest("the body: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body: something follows the JSON value")
	}
	return nil
}

func readBody(req *http.Request) ([]byte, error) {
	raw, err := io.ReadAll(req.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, refuse(http.StatusRequestEntityTooLarge, "too_large", "the body is larger than %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return nil, badRequest("the body ended early")
	}
	return raw, nil
}
