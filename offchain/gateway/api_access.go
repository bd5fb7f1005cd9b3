package gateway

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/audit"
	"github.com/foggrid/fogd/offchain/gateway/credential"
)

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request, _ caller) error {
	return answer(w, http.StatusOK, struct {
		Status string `json:"status"`
	}{"ok"})
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request, _ caller) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(OpenAPI())
	return err
}

// Who is what the gateway knows of a caller, and what it is for its registry.
type Who struct {
	Token           credential.Token `json:"token"`
	Roles           []string         `json:"roles"`
	RegistryService string           `json:"registry_service"`
	RegistryURL     string           `json:"registry_url"`
}

func (s *Server) serveWhoami(w http.ResponseWriter, _ *http.Request, who caller) error {
	url := s.cfg.RegistryURL
	if url == "" {
		url = s.cfg.URL
	}
	return answer(w, http.StatusOK, Who{who.token, who.subject.Roles, s.cfg.RegistryService, url})
}

// serveCheck answers what a token may; the caller's own, or with the right to read all tokens, any.
func (s *Server) serveCheck(w http.ResponseWriter, req *http.Request, who caller) error {
	q, subject := req.URL.Query(), who.subject
	if id := q.Get("token"); id != "" && id != who.token.ID {
		owner, err := s.book.ByID(req.Context(), id)
		if err != nil && !errors.Is(err, credential.ErrNotFound) {
			return err
		}
		if err := s.permit(who, access.Request{Verb: http.MethodGet, Path: "/v1/tokens/" + id, Kind: access.Token, Owner: owner.Address + owner.Owner}); err != nil {
			return err
		}
		if err != nil {
			return err
		}
		subject = owner.Subject()
	}
	d, err := s.check(req.Context(), subject, q.Get("verb"), q.Get("path"), q.Get("owner"))
	if err != nil {
		return badRequest("%v", err)
	}
	return answer(w, http.StatusOK, d)
}

func (s *Server) serveTokens(w http.ResponseWriter, req *http.Request, who caller) error {
	owner, err := askedOwner(s, req, who)
	if err != nil {
		return err
	}
	tokens, err := s.book.List(req.Context(), owner)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Tokens []credential.Token `json:"tokens"`
	}{tokens})
}

// NewToken asks for a token for a machine or for CI.
type NewToken struct {
	Kind access.Credential `json:"kind"`
	// Roles of the caller's; none means all that the caller's own token has.
	Roles []string `json:"roles,omitempty"`
	Note  string   `json:"note,omitempty"`
	// Life in seconds.
	Life int64 `json:"life_seconds"`
}

// maxLife of the kinds that are made by request.
var maxLife = map[access.Credential]time.Duration{access.Machine: 90 * 24 * time.Hour, access.Key: 365 * 24 * time.Hour}

const maxNote = 200

// maxTokens is how many such tokens an address may have at a time.
const maxTokens = 100

func (s *Server) serveNewToken(w http.ResponseWriter, req *http.Request, who caller) error {
	var in NewToken
	if err := decode(req, &in); err != nil {
		return err
	}
	most, ok := maxLife[in.Kind]
	switch {
	case !ok:
		return badRequest("kind is %.40q; use %s or %s", in.Kind, access.Machine, access.Key)
	case in.Life <= 0 || in.Life > int64(most/time.Second):
		return badRequest("life_seconds is %d; a %s lives up to %s", in.Life, in.Kind, most)
	case len(in.Note) > maxNote || strings.ToValidUTF8(in.Note, "") != in.Note:
		return badRequest("note: use up to %d bytes of text", maxNote)
	}
	roles := in.Roles
	if len(roles) == 0 {
		roles = who.subject.Roles
	}
	// A token never has what the one that made it has not.
	for _, role := range roles {
		if !slices.Contains(who.subject.Roles, role) {
			return refuse(http.StatusForbidden, "forbidden", "your token does not have the role %.80q; it has %q", role, who.subject.Roles)
		}
	}
	tokens, err := s.book.List(req.Context(), who.subject.Address)
	if err != nil {
		return err
	}
	live := 0
	for _, t := range tokens {
		if t.Kind == access.Key || t.Kind == access.Machine {
			if t.Revoked.IsZero() && s.cfg.Now().Before(t.Expires) {
				live++
			}
		}
	}
	if live >= maxTokens {
		return refuse(http.StatusConflict, "too_many_tokens", "you have %d tokens; revoke those that nothing uses", live)
	}
	if wait := s.issues.take(who.key); wait > 0 {
		return tooMany(wait)
	}
	return s.issue(w, req, who, credential.Token{
		Kind: in.Kind, Address: who.subject.Address, Roles: slices.Compact(slices.Sorted(slices.Values(roles))), Note: in.Note,
		Expires: s.cfg.Now().Add(time.Duration(in.Life) * time.Second),
	})
}

func (s *Server) serveRevoke(w http.ResponseWriter, req *http.Request, _ caller) error {
	t, err := s.book.Revoke(req.Context(), req.PathValue("id"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, t)
}

// Grants are the roles of an address beside those that every wallet has.
type Grants struct {
	Roles []string `json:"roles"`
}

func (s *Server) serveGrants(w http.ResponseWriter, req *http.Request, _ caller) error {
	roles, err := ReadGrants(req.Context(), s.store, req.PathValue("address"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, Grants{roles})
}

func (s *Server) serveSetGrants(w http.ResponseWriter, req *http.Request, who caller) error {
	var in Grants
	if err := decode(req, &in); err != nil {
		return err
	}
	address := req.PathValue("address")
	roles, err := s.writeGrants(req.Context(), address, in.Roles, func(roles []string) error {
		return s.record(who, event{verb: "GRANT", path: address, allowed: true, detail: strings.Join(roles, ",")}, true)
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, Grants{roles})
}

// PolicyText is a version of the policies with its text.
type PolicyText struct {
	PolicyVersion
	Text string `json:"text"`
}

func (s *Server) servePolicy(w http.ResponseWriter, _ *http.Request, _ caller) error {
	text, version, err := s.rules.Text()
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, PolicyText{version, string(text)})
}

func (s *Server) serveSetPolicy(w http.ResponseWriter, req *http.Request, who caller) error {
	text, err := readBody(req)
	if err != nil {
		return err
	}
	if err := s.rules.Write(req.Context(), text, who.subject.Address); err != nil {
		return err
	}
	_, version := s.rules.Current()
	if err := s.record(who, event{verb: "POLICY", path: version.Digest, allowed: true}, true); err != nil {
		return err
	}
	return answer(w, http.StatusOK, version)
}

func (s *Server) servePolicyVersions(w http.ResponseWriter, req *http.Request, _ caller) error {
	versions, err := s.rules.Versions(req.Context())
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Versions []PolicyVersion `json:"versions"`
	}{versions})
}

// maxRecords of the audit log in one answer.
const maxRecords = 1000

func (s *Server) serveAudit(w http.ResponseWriter, req *http.Request, _ caller) error {
	q := req.URL.Query()
	from, err := number(q.Get("from"), 1, 1<<32-1)
	if err != nil {
		return badRequest("from: %v", err)
	}
	limit, err := number(q.Get("limit"), 100, maxRecords)
	if err != nil {
		return badRequest("limit: %v", err)
	}
	records, err := s.audit.Read(from, int(limit)) //nolint:gosec // at most maxRecords
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Records []audit.Record `json:"records"`
	}{records})
}

func (s *Server) serveAuditHead(w http.ResponseWriter, _ *http.Request, _ caller) error {
	return answer(w, http.StatusOK, s.audit.Head())
}
