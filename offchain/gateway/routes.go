package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

type handler func(w http.ResponseWriter, req *http.Request, who caller) error

// route is one entry of the API. A route without a kind is open to whoever calls, or with known, to whoever shows a good token.
type route struct {
	method, pattern string
	kind            access.Kind
	known           bool
	// owner of the resource; nil: it belongs to nobody.
	owner func(s *Server, req *http.Request, who caller) (string, error)
	// assigned tells whether the chain has given the caller what the request is about; nil: it gives nothing of the kind.
	assigned func(s *Server, req *http.Request, who caller) (bool, error)
	serve    func(s *Server) handler
}

// tokenPath is where registries send their clients.
const tokenPath = "/registry/token"

// routes are all but those of the registry; openapi.json describes them.
func routes() []route {
	return []route{
		{method: "GET", pattern: "/healthz", serve: func(s *Server) handler { return s.serveHealth }},
		{method: "GET", pattern: "/v1/openapi.json", serve: func(s *Server) handler { return s.serveOpenAPI }},
		{method: "POST", pattern: "/v1/login/challenge", serve: func(s *Server) handler { return s.serveChallenge }},
		{method: "POST", pattern: "/v1/login", serve: func(s *Server) handler { return s.serveLogin }},
		{method: "POST", pattern: "/v1/enrol", serve: func(s *Server) handler { return s.serveEnrol }},
		{method: "GET", pattern: "/v1/trust", serve: func(s *Server) handler { return s.serveTrust }},
		{method: "GET", pattern: tokenPath, serve: func(s *Server) handler { return s.serveRegistryToken }},
		{method: "GET", pattern: "/v1/whoami", known: true, serve: func(s *Server) handler { return s.serveWhoami }},
		{method: "GET", pattern: "/v1/check", known: true, serve: func(s *Server) handler { return s.serveCheck }},
		{method: "GET", pattern: "/v1/nodes", kind: access.Node, serve: func(s *Server) handler { return s.serveNodes }},
		{method: "GET", pattern: "/v1/nodes/{node}", kind: access.Node, owner: nodeOwner, serve: func(s *Server) handler { return s.serveNode }},
		{method: "GET", pattern: "/v1/jobs", kind: access.Job, owner: askedOwner, serve: func(s *Server) handler { return s.serveJobs }},
		{method: "GET", pattern: "/v1/jobs/{job}", kind: access.Job, owner: jobOwner, serve: func(s *Server) handler { return s.serveJob }},
		{method: "GET", pattern: "/v1/jobs/{job}/results", kind: access.Result, owner: jobOwner, serve: func(s *Server) handler { return s.serveResults }},
		{method: "GET", pattern: "/v1/jobs/{job}/tasks/{task}/result", kind: access.Result, owner: jobOwner, serve: func(s *Server) handler { return s.serveResult }},
		{method: "GET", pattern: "/v1/jobs/{job}/tasks/{task}/log", kind: access.Log, owner: jobOwner, serve: func(s *Server) handler { return s.serveLog }},
		{
			method: "POST", pattern: "/v1/jobs/{job}/slices/{slice}/attempts/{attempt}/secrets", kind: access.Loan, owner: jobOwner, assigned: attemptAssigned,
			serve: func(s *Server) handler { return s.serveLoan },
		},
		{
			method: "POST", pattern: "/v1/jobs/{job}/slices/{slice}/attempts/{attempt}/ticket", kind: access.Ticket, owner: jobOwner, assigned: ticketAssigned,
			serve: func(s *Server) handler { return s.serveTicket },
		},
		{method: "GET", pattern: "/v1/jobs/{job}/slices/{slice}/attempts/{attempt}/content/{kind}/{digest}", serve: func(s *Server) handler { return s.serveContent }},
		{method: "POST", pattern: "/v1/nomad/secrets", serve: func(s *Server) handler { return s.serveWorkloadLoan }},
		{method: "GET", pattern: "/v1/secrets", kind: access.Secret, owner: callerOwner, serve: func(s *Server) handler { return s.serveSecrets }},
		{method: "PUT", pattern: "/v1/secrets/{name}", kind: access.Secret, owner: callerOwner, serve: func(s *Server) handler { return s.servePutSecret }},
		{method: "DELETE", pattern: "/v1/secrets/{name}", kind: access.Secret, owner: callerOwner, serve: func(s *Server) handler { return s.serveRemoveSecret }},
		{method: "GET", pattern: "/v1/tokens", kind: access.Token, owner: askedOwner, serve: func(s *Server) handler { return s.serveTokens }},
		{method: "POST", pattern: "/v1/tokens", kind: access.Token, owner: callerOwner, serve: func(s *Server) handler { return s.serveNewToken }},
		{method: "DELETE", pattern: "/v1/tokens/{id}", kind: access.Token, owner: tokenOwner, serve: func(s *Server) handler { return s.serveRevoke }},
		{method: "GET", pattern: "/v1/grants/{address}", kind: access.Grant, owner: pathAddress, serve: func(s *Server) handler { return s.serveGrants }},
		{method: "PUT", pattern: "/v1/grants/{address}", kind: access.Grant, owner: pathAddress, serve: func(s *Server) handler { return s.serveSetGrants }},
		{method: "GET", pattern: "/v1/policy", kind: access.Policy, serve: func(s *Server) handler { return s.servePolicy }},
		{method: "PUT", pattern: "/v1/policy", kind: access.Policy, serve: func(s *Server) handler { return s.serveSetPolicy }},
		{method: "GET", pattern: "/v1/policy/versions", kind: access.Policy, serve: func(s *Server) handler { return s.servePolicyVersions }},
		{method: "GET", pattern: "/v1/audit", kind: access.Audit, serve: func(s *Server) handler { return s.serveAudit }},
		{method: "GET", pattern: "/v1/audit/head", kind: access.Audit, serve: func(s *Server) handler { return s.serveAuditHead }},
	}
}

func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes() {
		serve := rt.serve(s)
		mux.HandleFunc(rt.method+" "+rt.pattern, func(w http.ResponseWriter, req *http.Request) {
			if err := s.handle(w, req, rt, serve); err != nil {
				s.fail(w, req, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		s.fail(w, req, refuse(http.StatusNotFound, "no_route", "no such path or method; see /v1/openapi.json"))
	})
	return mux
}

func (s *Server) handle(w http.ResponseWriter, req *http.Request, rt route, serve handler) error {
	who, ok := req.Context().Value(callerKey{}).(caller)
	if !ok {
		return errors.New("a request without a caller")
	}
	if rt.kind == "" && !rt.known {
		return serve(w, req, who)
	}
	who, err := s.authenticate(req, who)
	if err != nil {
		return err
	}
	if rt.known {
		if who.subject.Stranger() {
			return forbidden(access.Request{Verb: req.Method})
		}
		return serve(w, req, who)
	}
	r := access.Request{Verb: req.Method, Path: req.URL.Path, Kind: rt.kind}
	// A stranger is not worth a question to the chain, unless some policy speaks of strangers; then it finds nobody's resources.
	if rt.owner != nil && !who.subject.Stranger() {
		if r.Owner, err = rt.owner(s, req, who); err != nil {
			return err
		}
	}
	if rt.assigned != nil && !who.subject.Stranger() {
		if r.Assigned, err = rt.assigned(s, req, who); err != nil {
			return err
		}
	}
	if err := s.permit(who, r); err != nil {
		return err
	}
	return serve(w, req, who)
}

func callerOwner(_ *Server, _ *http.Request, who caller) (string, error) {
	return who.subject.Address, nil
}

// askedOwner is the owner in the query: the caller without one, nobody for "all".
func askedOwner(_ *Server, req *http.Request, who caller) (string, error) {
	switch asked := req.URL.Query().Get("owner"); asked {
	case "":
		return who.subject.Address, nil
	case "all":
		return "", nil
	default:
		return asked, nil
	}
}

func pathAddress(_ *Server, req *http.Request, _ caller) (string, error) {
	return req.PathValue("address"), nil
}

func jobOwner(s *Server, req *http.Request, _ caller) (string, error) {
	return s.facts.jobOwner(req.Context(), req.PathValue("job"))
}

// nodeOwner is "" for a node that there is not.
func nodeOwner(s *Server, req *http.Request, _ caller) (string, error) {
	node, err := s.facts.node(req.Context(), req.PathValue("node"))
	if err != nil && (explain(err) == nil || explain(err).status >= http.StatusInternalServerError) {
		return "", err
	}
	return node.Owner, nil
}

func tokenOwner(s *Server, req *http.Request, _ caller) (string, error) {
	t, err := s.book.ByID(req.Context(), req.PathValue("id"))
	if errors.Is(err, credential.ErrNotFound) {
		return "", nil
	}
	if t.Node != "" {
		return t.Owner, err
	}
	return t.Address, err
}

// Classify says what kind of resource a verb on a path is about, and whose it is as far as the path shows: what `fog acl check` asks the
// policies about. A path of the API must be one of its routes; PULL, PUSH and REMOVE take the name of a repository.
func Classify(verb, path string) (access.Request, error) {
	r := access.Request{Verb: verb, Path: path}
	switch verb {
	case access.Pull, access.Push, access.Remove:
		if err := ref.CheckRepo(path); err != nil {
			return r, err
		}
		r.Kind, r.Owner = access.Repository, parsePlace(path).owner
		return r, nil
	}
	for _, rt := range routes() {
		if rt.kind != "" && rt.method == verb && matches(rt.pattern, path) {
			r.Kind = rt.kind
			return r, nil
		}
	}
	return r, badRequest("no policy is asked for %s %s; see `fog gateway openapi` for what there is", verb, path)
}

// matches tells whether a path is one of a pattern, whose variables are whole segments.
func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if variable := strings.HasPrefix(want[i], "{"); !variable && want[i] != got[i] || variable && got[i] == "" {
			return false
		}
	}
	return true
}

// check answers Classify's question for a subject.
func (s *Server) check(ctx context.Context, subject access.Subject, verb, path, owner string) (access.Decision, error) {
	r, err := Classify(verb, path)
	if err != nil {
		return access.Decision{}, err
	}
	if owner != "" {
		r.Owner = owner
	}
	if subject.Roles, err = s.still(ctx, subject); err != nil {
		return access.Decision{}, err
	}
	r.Subject = subject
	policies, _ := s.rules.Current()
	return policies.Decide(r), nil
}
