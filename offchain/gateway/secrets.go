package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/secrets"
)

// SecretPaths are what an owner keeps; what they hold is never answered.
type SecretPaths struct {
	Paths []string `json:"paths"`
}

// NewSecret is the value of a secret, base64 in JSON.
type NewSecret struct {
	Value []byte `json:"value"`
}

// Lent is a loan of an attempt's secrets, and whose they are.
type Lent struct {
	Owner string       `json:"owner"`
	Loan  secrets.Loan `json:"loan"`
}

var errNoStore = refuse(http.StatusNotImplemented, codeNoStore, "this gateway keeps no secrets of jobs; its operator starts it with --job-secrets")

const (
	codeNoStore  = "no_secret_store"
	codeNoSecret = "no_secret"
)

// keeper is where the secrets of jobs are, if anywhere.
func (s *Server) keeper() (secrets.JobLender, error) {
	if s.cfg.Secrets == nil {
		return nil, errNoStore
	}
	return s.cfg.Secrets, nil
}

func (s *Server) serveSecrets(w http.ResponseWriter, req *http.Request, who caller) error {
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	paths, err := keeper.JobSecrets(req.Context(), who.subject.Address)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, SecretPaths{paths})
}

func (s *Server) servePutSecret(w http.ResponseWriter, req *http.Request, who caller) error {
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	var in NewSecret
	if err := decode(req, &in); err != nil {
		return err
	}
	if len(in.Value) == 0 || len(in.Value) > secrets.MaxJobValue {
		return badRequest("value: %d bytes; give 1 to %d", len(in.Value), secrets.MaxJobValue)
	}
	if wait := s.issues.take(who.key); wait > 0 { // sealing costs more than asking for it
		return tooMany(wait)
	}
	path := secrets.JobPath(req.PathValue("name"))
	if err := keeper.PutJobSecret(req.Context(), who.subject.Address, path, in.Value); err != nil {
		return err
	}
	return answer(w, http.StatusOK, SecretPaths{[]string{path}})
}

func (s *Server) serveRemoveSecret(w http.ResponseWriter, req *http.Request, who caller) error {
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	path := secrets.JobPath(req.PathValue("name"))
	if err := keeper.RemoveJobSecret(req.Context(), who.subject.Address, path); err != nil {
		return err
	}
	return answer(w, http.StatusOK, SecretPaths{[]string{path}})
}

// attemptOf reads the attempt that a path names.
func attemptOf(req *http.Request) (place, error) {
	slice, err1 := strconv.ParseUint(req.PathValue("slice"), 10, 32)
	attempt, err2 := strconv.ParseUint(req.PathValue("attempt"), 10, 32)
	if err1 != nil || err2 != nil {
		return place{}, badRequest("slice and attempt are numbers")
	}
	return place{job: req.PathValue("job"), slice: uint32(slice), attempt: uint32(attempt)}, nil
}

// attemptAssigned tells whether the node that asks runs the attempt now.
func attemptAssigned(s *Server, req *http.Request, who caller) (bool, error) {
	p, err := attemptOf(req)
	if err != nil || who.subject.Node == "" {
		return false, err
	}
	_, assigned, err := s.facts.attempt(req.Context(), who.subject, p)
	return assigned, err
}

// serveLoan lends a node the secrets that the spec of its slice names, the owner's own, while it runs the slice. The spec is what the chain
// names; the node's word counts for nothing.
func (s *Server) serveLoan(w http.ResponseWriter, req *http.Request, who caller) error {
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	ctx := req.Context()
	p, err := attemptOf(req)
	if err != nil {
		return err
	}
	slice, assigned, err := s.facts.attempt(ctx, who.subject, p)
	if err != nil {
		return err
	}
	if !assigned || who.subject.Node == "" {
		return refuse(http.StatusForbidden, "forbidden", "this attempt does not run on your node any more")
	}
	job, err := s.facts.jobs.Job(ctx, p.job)
	if err != nil {
		return err
	}
	node, err := s.facts.node(ctx, who.subject.Node)
	if err != nil {
		return err
	}
	spec, err := s.facts.spec(ctx, job.Owner, handover.Revised(job, slice).SpecDigest)
	if err != nil {
		return err
	}
	paths := spec.SecretPaths()
	if wait := s.issues.take(handover.ID(slice).String()); wait > 0 {
		return tooMany(wait)
	}
	to := secrets.Borrower{Attempt: handover.ID(slice).String(), Key: node.AgentKey, Until: dueOf(slice)}
	loan, err := keeper.LendJobSecrets(ctx, to, job.Owner, paths)
	if err != nil {
		return err
	}
	if s.cfg.VaultURL != "" && loan.Vault != "" {
		loan.Vault = s.cfg.VaultURL
	}
	before, had := s.loans.put(to.Attempt, lent{loan, who, p})
	if had { // of an attempt, the newest loan is the only one
		if err := keeper.RecallLoan(ctx, before.loan); err != nil {
			s.cfg.Log.Warn("a loan that was replaced cannot be recalled; it ends by itself", "attempt", to.Attempt, "error", err)
		}
	}
	made := event{verb: "LEND", path: req.URL.Path, allowed: true, detail: fmt.Sprintf("secrets %q of %s until %s", paths, job.Owner, loan.Expires.Format(time.RFC3339))}
	if err := s.record(who, made, true); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return answer(w, http.StatusOK, Lent{job.Owner, loan})
}

// lent is a loan that may not have been opened yet.
type lent struct {
	loan secrets.Loan
	who  caller
	p    place
}

// loans are the open ones, by attempt. A restart forgets them; they end by themselves within secrets.MaxLoan.
type loans struct {
	mu   sync.Mutex
	open map[string]lent
}

func (l *loans) put(attempt string, entry lent) (before lent, had bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, had = l.open[attempt]
	l.open[attempt] = entry
	return before, had
}

// take removes the loans for which over is true, and returns them.
func (l *loans) take(over func(lent) bool) (taken []lent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for attempt, entry := range l.open {
		if over(entry) {
			taken = append(taken, entry)
			delete(l.open, attempt)
		}
	}
	return taken
}

func (l *loans) list() map[string]lent {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]lent, len(l.open))
	for attempt, entry := range l.open {
		all[attempt] = entry
	}
	return all
}

// recallLoans recalls what was lent for attempts that do not run any more.
func (s *Server) recallLoans(ctx context.Context) {
	if s.cfg.Secrets == nil {
		return
	}
	now := s.cfg.Now()
	s.loans.take(func(l lent) bool { return now.After(l.loan.Expires) })
	for attempt, entry := range s.loans.list() { // by allocation, those on Nomad
		_, assigned, err := s.facts.attempt(ctx, entry.who.subject, entry.p)
		if err != nil {
			s.cfg.Log.Warn("the chain does not say whether an attempt runs; what was lent for it ends by itself", "attempt", attempt, "error", err)
			return
		}
		if assigned {
			continue
		}
		s.recall(ctx, entry)
	}
}

// recall ends the loan of an attempt: the newest, which may have taken the place of the entry since.
func (s *Server) recall(ctx context.Context, entry lent) {
	for _, l := range s.loans.take(func(l lent) bool { return l.p == entry.p }) {
		if err := s.cfg.Secrets.RecallLoan(ctx, l.loan); err != nil {
			s.cfg.Log.Warn("a loan cannot be recalled; it ends by itself", "job", l.p.job, "slice", l.p.slice, "attempt", l.p.attempt, "error", err)
		}
	}
}
