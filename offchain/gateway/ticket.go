package gateway

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/dispatch"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/auth"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// Ticket is with what a Nomad client pulls what one attempt runs, for as long as it runs (ADR 0027).
type Ticket struct {
	// User and Password are for the token service of the registry, and for Downloads.
	User     string `json:"user"`
	Password string `json:"password"`
	// Downloads is the URL below which blobs are at KIND/DIGEST, for programs that know nothing of the tokens of registries.
	Downloads string `json:"downloads"`
	// Gateway is this gateway's URL, Registry that of the registry: both as clients reach them, who have no certificates.
	Gateway  string `json:"gateway"`
	Registry string `json:"registry"`
}

const (
	// ticketPrefix lets people and secret scanners know the password of a ticket.
	ticketPrefix = "foga_"
	// ticketDomain goes before what the key of tickets authenticates.
	ticketDomain = "fog/ticket/v1\x00"
	// fileTicketKey, below Config.Dir, holds that key. Nothing else is kept of tickets.
	fileTicketKey = "ticket-key"
)

// ticketKey reads the key of tickets, and makes one if there is none.
func ticketKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, fileTicketKey)
	raw, err := os.ReadFile(path) //nolint:gosec // a name of the gateway, below its folder
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, sha256.Size)
		if _, err := rand.Read(key); err != nil {
			return nil, err
		}
		return key, writeFile(path, []byte(hex.EncodeToString(key)+"\n"))
	}
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("%s holds no key of %d bytes in hex; remove it: what services on Nomad hold is void then, until they are placed anew", path, sha256.Size)
	}
	return key, nil
}

// ticketPassword is the same each time: whichever oracle registers an attempt, the Nomad job is the same.
func ticketPassword(key []byte, user string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(ticketDomain + user))
	return ticketPrefix + hex.EncodeToString(mac.Sum(nil))
}

var ticketUser = regexp.MustCompile(`^(job1[a-z0-9]{1,90})/s(0|[1-9][0-9]{0,9})/a(0|[1-9][0-9]{0,9})$`)

// parseTicketUser reads the attempt that the user of a ticket names, in the one form that an attempt is written in.
func parseTicketUser(user string) (place, bool) {
	m := ticketUser.FindStringSubmatch(user)
	if m == nil {
		return place{}, false
	}
	slice, err1 := strconv.ParseUint(m[2], 10, 32)
	attempt, err2 := strconv.ParseUint(m[3], 10, 32)
	return place{job: m[1], slice: uint32(slice), attempt: uint32(attempt)}, err1 == nil && err2 == nil
}

func (p place) attemptID() dispatch.AttemptID {
	return dispatch.AttemptID{Job: p.job, Slice: p.slice, Attempt: p.attempt}
}

// ticketed is what a ticket opens: the content of a slice that runs now.
type ticketed struct {
	place place
	job   jobstypes.Job // as the slice runs it
	slice jobstypes.Slice
}

// onNomad finds an attempt that runs now on a node that is served by Nomad, and whose node it is.
func (s *Server) onNomad(ctx context.Context, p place) (jobstypes.Slice, access.Subject, bool, error) {
	slice, runs, err := s.facts.attempt(ctx, access.Subject{}, p)
	if err != nil || !runs {
		return slice, access.Subject{}, false, err
	}
	node, err := s.facts.node(ctx, slice.NodeId)
	if err != nil {
		return slice, access.Subject{}, false, err
	}
	_, served := handover.NomadPlace(node)
	return slice, access.Subject{Node: node.Id, Owner: node.Owner, Credential: access.Attempt}, served, nil
}

// ticketAssigned tells whether an attempt runs on a node that is served by Nomad, for an oracle that asks for its ticket.
func ticketAssigned(s *Server, req *http.Request, _ caller) (bool, error) {
	p, err := attemptOf(req)
	if err != nil {
		return false, err
	}
	_, _, served, err := s.onNomad(req.Context(), p)
	return served, err
}

func (s *Server) serveTicket(w http.ResponseWriter, req *http.Request, _ caller) error {
	p, err := attemptOf(req)
	if err != nil {
		return err
	}
	user := p.attemptID().String()
	w.Header().Set("Cache-Control", "no-store")
	return answer(w, http.StatusOK, Ticket{
		User: user, Password: ticketPassword(s.ticketKey, user), Downloads: strings.TrimSuffix(s.cfg.URL, "/") + contentPath(p), Gateway: s.cfg.URL, Registry: cmp.Or(s.cfg.RegistryURL, s.cfg.URL),
	})
}

func contentPath(p place) string {
	return fmt.Sprintf("/v1/jobs/%s/slices/%d/attempts/%d/content", p.job, p.slice, p.attempt)
}

// authenticatePuller is authenticate for what pulls: tickets are good there, and nowhere else.
func (s *Server) authenticatePuller(req *http.Request, who caller) (caller, error) {
	user, password, basic := req.BasicAuth()
	if !basic || !strings.HasPrefix(password, ticketPrefix) {
		return s.authenticate(req, who)
	}
	p, ok := parseTicketUser(user)
	if !ok || !hmac.Equal([]byte(password), []byte(ticketPassword(s.ticketKey, user))) {
		return who, s.ticketFailed(req, who, "the ticket is not one of this gateway")
	}
	// There is no rate of a ticket: all tasks of a slice download at once, and Nomad does not try again.
	slice, subject, served, err := s.onNomad(req.Context(), p)
	if err != nil {
		return who, err
	}
	who.token = credential.Token{ID: user, Kind: access.Attempt, Expires: s.cfg.Now().Add(auth.Life)}
	if !served {
		const over = "the attempt that this ticket is for does not run on Nomad, or not any more"
		if err := s.record(who, event{verb: req.Method, path: req.URL.Path, detail: over}, false); err != nil {
			return who, err
		}
		return who, unauthorized(over)
	}
	job, err := s.facts.jobs.Job(req.Context(), p.job)
	if err != nil {
		return who, err
	}
	who.subject, who.ticket = subject, &ticketed{p, handover.Revised(job, slice), slice}
	return who, nil
}

// ticketFailed notes a ticket that is none, and slows down who tries on.
func (s *Server) ticketFailed(req *http.Request, who caller, why string) error {
	if wait := s.wrong.take(who.key); wait > 0 {
		return tooMany(wait)
	}
	if err := s.record(who, event{verb: req.Method, path: req.URL.Path, detail: why}, false); err != nil {
		return err
	}
	return unauthorized(why)
}

// opens tells whether a ticket opens a repository for an action, and until when: the content of its slice, and what runs it.
func (s *Server) opens(ctx context.Context, t *ticketed, repo, action string) (bool, time.Time, error) {
	p := parsePlace(repo)
	if action != registry.ActionPull || repo != client.RepoRunner && (p.kind == "" || p.owner != t.job.Owner) {
		return false, time.Time{}, nil
	}
	if repo == client.RepoRunner {
		return true, dueOf(t.slice), nil
	}
	has, err := s.facts.contains(ctx, t.job, p)
	return has, dueOf(t.slice), err
}

// permitPuller is permit, and of a ticket permits nothing but what its attempt has, whatever policies say of its node.
func (s *Server) permitPuller(who caller, r access.Request) error {
	if who.ticket == nil || r.Assigned {
		return s.permit(who, r)
	}
	r.Subject = who.subject
	e := event{verb: r.Verb, path: r.Path, detail: "the attempt that the ticket is for has nothing of the kind"}
	if err := s.record(who, e, false); err != nil {
		return err
	}
	return forbidden(r)
}

// serveContent answers with a blob of a slice's content to who shows the ticket of its attempt: what downloads for Nomad cannot ask for tokens.
func (s *Server) serveContent(w http.ResponseWriter, req *http.Request, who caller) error {
	w.Header().Set("Cache-Control", "no-store")
	who, err := s.authenticatePuller(req, who)
	if err == nil && who.ticket == nil {
		err = unauthorized("this takes the ticket of the attempt; others pull from the registry")
	}
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="fog gateway"`)
		return err
	}
	p, err := attemptOf(req)
	if err != nil {
		return err
	}
	digest, err := artifact.ParseDigest(req.PathValue("digest"))
	if err != nil {
		return badRequest("digest: %v", err)
	}
	repo := client.OwnedRepo(who.ticket.job.Owner, req.PathValue("kind"), digest)
	r := access.Request{Verb: access.Pull, Path: repo, Kind: access.Repository, Owner: who.ticket.job.Owner}
	if p == who.ticket.place {
		if r.Assigned, _, err = s.opens(req.Context(), who.ticket, repo, registry.ActionPull); err != nil {
			return err
		}
	}
	if err := s.permitPuller(who, r); err != nil {
		return err
	}
	blob, err := s.facts.jobs.Registry.StatBlob(req.Context(), repo, digest)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(blob.Size, 10))
	if req.Method == http.MethodHead {
		return nil
	}
	deadlines(w, s.patience.body, pullTime)
	if err := s.facts.jobs.Registry.PullBlob(req.Context(), repo, blob, w); err != nil {
		s.cfg.Log.Warn("a download of Nomad's broke off", "repository", repo, "error", err)
		panic(http.ErrAbortHandler) // the answer has begun; the other side must notice
	}
	return nil
}
