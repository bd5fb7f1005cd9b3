package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/audit"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/gateway/workload"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/mtls"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/auth"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/registry/copies"
	"github.com/foggrid/fogd/offchain/secrets"
)

// Config of a gateway.
type Config struct {
	// Dir holds what the gateway must not forget: see the names below.
	Dir string
	// URL is where clients reach it, such as https://grid.example; the host is the domain of its challenges.
	URL string
	// Operators are addresses with the role operator; DefaultRoles is what every wallet has.
	Operators    []string
	DefaultRoles []string
	Chain        jobclient.Chain
	// Store keeps tokens, grants and the versions of policies; it is closed by who opened it, after the gateway. Nil: a file in Dir.
	Store store.Store
	// RegistryURL is a registry that takes this gateway's tokens for RegistryService. Empty: the gateway serves one itself below /v2/, with
	// its content in RegistryDir and QuotaBytes for each developer (0: no limit).
	RegistryURL     string
	RegistryService string
	RegistryDir     string
	QuotaBytes      int64
	// GCInterval is how often the registry's garbage is collected (0: never), GCAge how long content stays that no open job needs.
	GCInterval, GCAge time.Duration
	// Copies keep what the embedded registry holds; all of it is read and compared each ScrubInterval (0: never).
	Copies        []copies.Store
	ScrubInterval time.Duration
	Scrub         registry.ScrubOptions
	// Secrets keeps the secrets of jobs; nil: none are kept. VaultURL is where nodes reach its Vault, if not by the address that it has itself.
	Secrets  secrets.JobLender
	VaultURL string
	// Workloads knows tasks on Nomad, which borrow secrets by the word of their cluster; nil: none do.
	Workloads *workload.Verifier
	// SessionLife is how long a login lasts, one hour by default.
	SessionLife time.Duration
	// PerToken, PerAddress, PerWrong and PerIssue limit requests: of one token, and from one address: all, those with wrong tokens or logins,
	// and those that make tokens.
	PerToken, PerAddress, PerWrong, PerIssue Rate
	// Authority gives nodes their certificates, which are taken away when Blocks say that a node is jailed, refused or retired. Without one,
	// there are none.
	Authority secrets.Issuer
	Blocks    Blocks
	// Machines is the door that demands such certificates; without a URL there is none.
	Machines Machines
	// Certificate has the door for people end TLS itself, with what it returns for each connection. Without one it speaks plain HTTP, and with nobody but this machine
	// and TrustedProxies.
	Certificate func() (*tls.Certificate, error)
	// TrustedProxies may say in X-Forwarded-For where a request comes from.
	TrustedProxies []netip.Prefix
	Log            *slog.Logger
	Now            func() time.Time
}

// Machines is a door of the gateway for those who have a certificate of its authority.
type Machines struct {
	// URL is where they reach it, such as https://grid.example:8443, Identity what its own certificate names, such as fog://gateway/main.
	URL, Identity string
}

// Names below Config.Dir. The audit log may lie elsewhere by a symbolic link.
const (
	fileStore   = "gateway.db"
	fileAudit   = "audit.jsonl"
	dirPolicies = "policies"
)

// StorePath is the file of tokens, grants and the versions of policies in a gateway's folder.
func StorePath(dir string) string { return filepath.Join(dir, fileStore) }

// AuditPath is the file of the audit log.
func AuditPath(dir string) string { return filepath.Join(dir, fileAudit) }

// PoliciesDir is the folder of the versions of the policies.
func PoliciesDir(dir string) string { return filepath.Join(dir, dirPolicies) }

// KeepContent is how long inputs and results stay by default when no open job needs them.
const KeepContent = 30 * 24 * time.Hour

func (c *Config) setDefaults() {
	if c.SessionLife <= 0 {
		c.SessionLife = time.Hour
	}
	for _, d := range []struct {
		rate *Rate
		to   Rate
	}{
		{&c.PerToken, Rate{50, 200}}, {&c.PerAddress, Rate{200, 1000}}, {&c.PerWrong, Rate{0.2, 20}}, {&c.PerIssue, Rate{1, 120}},
	} {
		if d.rate.PerSecond <= 0 || d.rate.Burst <= 0 {
			*d.rate = d.to
		}
	}
	if c.DefaultRoles == nil {
		c.DefaultRoles = []string{access.Developer, access.Provider}
	}
	if c.GCAge <= 0 {
		c.GCAge = KeepContent
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Server is a gateway; New opens it, Close ends it.
type Server struct {
	cfg        Config
	store      store.Store
	file       *store.Bolt // the store, if New opened it
	audit      *audit.Log
	book       *credential.Book
	rules      *Rules
	challenges *challenges
	issuer     *auth.Issuer
	facts      *facts
	loans      loans
	ticketKey  []byte
	routes     http.Handler
	// certificates of nodes, nil without an authority; verifier knows whom the machines' door lets in.
	certificates *certificates
	verifier     *mtls.Verifier

	// registry is the embedded one, nil if there is another; inner serves it to this process.
	registry *registry.Registry
	inner    *http.Server

	tokens, addresses, wrong, issues *limiter
	patience                         patience
}

// IssuerName is who signs registry tokens.
const IssuerName = "fog-gateway"

// New opens the folder of a gateway, which it makes if there is none. Nothing is asked of the chain yet.
func New(ctx context.Context, cfg Config) (_ *Server, err error) {
	cfg.setDefaults()
	base, err := url.Parse(cfg.URL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("the gateway's URL is %q; write https://host or http://host:port", cfg.URL)
	}
	if cfg.RegistryService == "" {
		cfg.RegistryService = base.Host
	}
	if err := os.MkdirAll(PoliciesDir(cfg.Dir), 0o700); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, tokens: newLimiter(cfg.PerToken, cfg.Now), addresses: newLimiter(cfg.PerAddress, cfg.Now), wrong: newLimiter(cfg.PerWrong, cfg.Now),
		issues: newLimiter(cfg.PerIssue, cfg.Now), patience: patience{readHeader, bodyTime, stall}, loans: loans{open: map[string]lent{}},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	db := cfg.Store
	if db == nil {
		file, err := store.Open(StorePath(cfg.Dir), false)
		if err != nil {
			return nil, err
		}
		s.file, db = file, file
	}
	s.store, s.book = db, credential.NewBook(db, cfg.Now)
	if s.audit, err = audit.Open(AuditPath(cfg.Dir), cfg.Now); err != nil {
		return nil, err
	}
	if s.rules, err = OpenRules(ctx, PoliciesDir(cfg.Dir), db, cfg.Now); err != nil {
		return nil, err
	}
	domains, err := cfg.domains(base)
	if err != nil {
		return nil, err
	}
	if s.challenges, err = newChallenges(cfg.Now, domains...); err != nil {
		return nil, err
	}
	if s.issuer, err = auth.OpenIssuer(cfg.Dir, IssuerName, cfg.RegistryService, cfg.Now); err != nil {
		return nil, err
	}
	if s.ticketKey, err = ticketKey(cfg.Dir); err != nil {
		return nil, err
	}
	content, err := s.openRegistry()
	if err != nil {
		return nil, err
	}
	s.facts = newFacts(cfg.Chain, content, cfg.Now)
	if s.verifier = mtls.NewVerifier(cfg.Now); cfg.Authority != nil {
		s.certificates = &certificates{
			authority: cfg.Authority, store: db, blocks: cfg.Blocks, node: s.facts.node, verifier: s.verifier, now: cfg.Now, log: cfg.Log,
		}
		if err := s.certificates.refresh(ctx); err != nil {
			return nil, fmt.Errorf("the authority: %w", err)
		}
	}
	s.routes = s.mux()
	_, version := s.rules.Current()
	return s, s.audit.Append(audit.Event{
		Actor: "gateway", Verb: "START", Path: "gateway", Allowed: true, PolicyDigest: version.Digest, Detail: fmt.Sprintf("policies of version %d", version.Version),
	}, true)
}

// domains are the hosts at which the gateway is called: everybody's, and that of machines if they have one.
func (c *Config) domains(base *url.URL) ([]string, error) {
	if (c.Authority == nil) != (c.Blocks == nil) {
		return nil, errNoBlocks
	}
	if c.Machines.URL == "" {
		return []string{base.Host}, nil
	}
	u, err := url.Parse(c.Machines.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || c.Authority == nil {
		return nil, fmt.Errorf("the URL for machines is %q; write https://host:port, and give an authority for their certificates", c.Machines.URL)
	}
	return []string{base.Host, u.Host}, nil
}

// openRegistry opens the embedded registry, if that is the one, and returns this process's client of the registry.
func (s *Server) openRegistry() (*client.Client, error) {
	options := []client.Option{client.WithOwnedRepos(), client.WithTokens(selfTokens{s.issuer})}
	if s.cfg.RegistryURL != "" {
		return client.New(s.cfg.RegistryURL, options...)
	}
	verifier, err := auth.NewVerifier(s.issuer.Certificate(), IssuerName, s.cfg.RegistryService, s.cfg.Now)
	if err != nil {
		return nil, err
	}
	s.registry, err = registry.Open(s.cfg.RegistryDir, registry.Options{
		Logger: s.cfg.Log, Guard: auth.NewGuard(verifier, s.cfg.URL+tokenPath), Quota: s.quota, Now: s.cfg.Now, MaxUploads: uploadsAll, MaxUploadsEach: uploadsEach,
		Copies: s.cfg.Copies, KeepFree: keepFree,
	})
	if err != nil {
		return nil, err
	}
	// This process reads results and specs as any client does, at an address of its own: TLS and proxies are for others.
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.inner = &http.Server{Handler: s.registry, ReadHeaderTimeout: readHeader}
	go func() {
		if err := s.inner.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			s.cfg.Log.Error("the embedded registry is not served any more", "error", err)
		}
	}()
	return client.New("http://"+lis.Addr().String(), options...)
}

// What one owner may have open at a time, and all together.
const (
	uploadsEach = 32
	uploadsAll  = 2048
	// keepFree is what pushes leave of the disk, where the audit log may be too: without it nothing is done.
	keepFree = 1 << 30
)

// quota is a developer's for what they push, and for a result what its tasks may write by the job.
func (s *Server) quota(repo string) (registry.Quota, bool, error) {
	p := parsePlace(repo)
	switch {
	case p.job != "":
		ctx, cancel := context.WithTimeout(context.Background(), bodyTime)
		defer cancel()
		bytes, err := s.facts.resultBytes(ctx, p)
		return registry.Quota{Below: repo, Bytes: bytes, Apart: true}, true, err
	case p.owner != "" && s.cfg.QuotaBytes > 0:
		return registry.Quota{Below: client.OwnerPrefix(p.owner), Bytes: s.cfg.QuotaBytes}, true, nil
	}
	return registry.Quota{}, false, nil
}

// selfTokens lets this process pull what it needs to decide and to serve.
type selfTokens struct{ issuer *auth.Issuer }

// RegistryToken implements client.TokenSource.
func (t selfTokens) RegistryToken(_ context.Context, _ string, scopes []string) (string, time.Time, error) {
	wanted, err := auth.ParseScopes(scopes)
	if err != nil {
		return "", time.Time{}, err
	}
	for i := range wanted {
		wanted[i].Actions = []string{registry.ActionPull}
	}
	text, claims, err := t.issuer.Issue(IssuerName, wanted, false, time.Time{})
	return text, time.Unix(claims.Expires, 0), err
}

// Registry is the embedded one, nil if there is another.
func (s *Server) Registry() *registry.Registry { return s.registry }

// TokenCertificate is the file that an external registry needs to know this gateway's tokens.
func (s *Server) TokenCertificate() string { return auth.CertPath(s.cfg.Dir) }

// Close ends what New opened; requests that are still running fail.
func (s *Server) Close() error {
	var errs []error
	if s.inner != nil {
		errs = append(errs, s.inner.Close())
	}
	if s.registry != nil {
		errs = append(errs, s.registry.Close())
	}
	if s.book != nil {
		errs = append(errs, s.book.Flush(context.Background()))
	}
	if s.audit != nil {
		errs = append(errs, s.audit.Close())
	}
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}
