package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/auth"
	"github.com/foggrid/fogd/offchain/registry/client"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// RegistryToken is what clients of registries expect of a token service; both names of the token are in use.
type RegistryToken struct {
	Token       string    `json:"token"`
	AccessToken string    `json:"access_token"`
	ExpiresIn   int64     `json:"expires_in"`
	IssuedAt    time.Time `json:"issued_at"`
}

// verbOf is what policies call an action on a repository.
var verbOf = map[string]string{
	registry.ActionPull: access.Pull, registry.ActionPush: access.Push, registry.ActionDelete: access.Remove,
}

// serveRegistryToken answers with a token for that part of what was asked for that is permitted, as the specification wants: the registry
// refuses the rest. It works without the rest of the API's words, because its clients are docker, crane and oras.
func (s *Server) serveRegistryToken(w http.ResponseWriter, req *http.Request, who caller) error {
	w.Header().Set("Cache-Control", "no-store")
	who, err := s.authenticatePuller(req, who)
	if err == nil && who.subject.Stranger() {
		err = unauthorized("log in first: a token of the gateway is the password, the user is its address or node")
	}
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="fog gateway"`)
		return err
	}
	query := req.URL.Query()
	if service := query.Get("service"); service != s.cfg.RegistryService {
		return badRequest("service is %.200q; this gateway issues tokens for %q", service, s.cfg.RegistryService)
	}
	wanted, err := auth.ParseScopes(query["scope"])
	if err != nil {
		return badRequest("%v", err)
	}
	for range len(wanted) - 1 { // each is decided and recorded by itself
		if wait := max(s.tokens.take(who.token.ID), s.addresses.take(who.key)); wait > 0 {
			return tooMany(wait)
		}
	}
	granted, end, chain := []auth.Access{}, who.token.Expires, s.facts.view()
	for _, want := range wanted {
		actions, until, err := s.grant(req.Context(), chain, who, want)
		if err != nil {
			return err
		}
		if len(actions) == 0 {
			continue
		}
		granted = append(granted, auth.Access{Type: want.Type, Name: want.Name, Actions: actions})
		if !until.IsZero() && until.Before(end) {
			end = until
		}
	}
	subject := who.subject.Address
	if who.subject.Node != "" {
		subject = who.subject.Node
	}
	text, claims, err := s.issuer.Issue(subject, granted, who.subject.Node != "", end)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, RegistryToken{text, text, claims.Expires - claims.Issued, time.Unix(claims.Issued, 0).UTC()})
}

// grant returns the permitted actions, and when the chain's assignment of them ends. What a node may only pull it is not offered to push.
func (s *Server) grant(ctx context.Context, chain *view, who caller, want auth.Access) ([]string, time.Time, error) {
	p := parsePlace(want.Name)
	owner, err := s.facts.ownerOf(ctx, p)
	if err != nil {
		return nil, time.Time{}, err
	}
	asksChain := who.subject.Node != "" || slices.Contains(who.subject.Roles, access.Oracle)
	var actions []string
	var end time.Time
	for _, action := range want.Actions {
		r := access.Request{Verb: verbOf[action], Path: want.Name, Kind: access.Repository, Owner: owner}
		var until time.Time
		switch {
		case who.ticket != nil:
			if r.Assigned, until, err = s.opens(ctx, who.ticket, want.Name, action); err != nil {
				return nil, time.Time{}, err
			}
		case asksChain:
			if r.Assigned, until, err = chain.assigned(ctx, who.subject, p, action); err != nil {
				return nil, time.Time{}, err
			}
		}
		err := s.permitPuller(who, r)
		var denied *problem
		if errors.As(err, &denied) {
			continue
		}
		if err != nil {
			return nil, time.Time{}, err
		}
		actions = append(actions, action)
		if !until.IsZero() && (end.IsZero() || until.Before(end)) {
			end = until
		}
	}
	return actions, end, nil
}

// CollectGarbage removes from the embedded registry what no open job needs and nobody has touched for the age that is configured. It
// judges only repositories whose name says what they hold; those that developers named themselves are theirs. If the chain cannot say
// what is open, nothing is removed.
func (s *Server) CollectGarbage(ctx context.Context) (registry.GCReport, error) {
	if s.registry == nil {
		return registry.GCReport{}, errors.New("the registry is another process; collect its garbage there")
	}
	needed, err := s.needed(ctx)
	if err != nil {
		return registry.GCReport{}, err
	}
	return s.registry.GC(ctx, registry.GCOptions{MinAge: s.cfg.GCAge, Fate: func(repo string) registry.Fate {
		p := parsePlace(repo)
		switch {
		case needed[repo], p.job != "" && needed[client.ResultRepo(p.job)]:
			return registry.FateKeep
		case p.job != "", isContentKind(p.kind):
			return registry.FateDead
		}
		return registry.FateUsual
	}})
}

func isContentKind(kind string) bool {
	return kind == client.RepoModules || kind == client.RepoSpecs || kind == client.RepoInputs || kind == client.RepoImages
}

// needed are the repositories of open jobs and of periodic ones, which run again.
func (s *Server) needed(ctx context.Context) (map[string]bool, error) {
	needed := map[string]bool{client.RepoRunner: true}
	open, err := s.facts.jobs.Jobs(ctx, "", jobstypes.JOB_STATUS_OPEN)
	if err != nil {
		return nil, err
	}
	for _, job := range open {
		needed[client.ResultRepo(job.Id)] = true
		if err := s.need(ctx, needed, job.Owner, job.SpecDigest, job.ImageDigest); err != nil {
			return nil, err
		}
		// A service under update runs revisions that are not the job's newest.
		if !job.IsService() {
			continue
		}
		runs, err := s.facts.jobs.Slices(ctx, job.Id)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			if run.Serving == nil {
				continue
			}
			if err := s.need(ctx, needed, job.Owner, run.Serving.Revision.SpecDigest, run.Serving.Revision.ImageDigest); err != nil {
				return nil, err
			}
		}
	}
	periodic, err := s.facts.jobs.PeriodicJobs(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, job := range periodic {
		if err := s.need(ctx, needed, job.Owner, job.Submission.SpecDigest, job.Submission.ImageDigest); err != nil {
			return nil, err
		}
	}
	return needed, nil
}

func (s *Server) need(ctx context.Context, needed map[string]bool, owner, spec, program string) error {
	prefix := client.OwnerPrefix(owner) + "/"
	_, specHex, _ := strings.Cut(spec, ":")
	_, programHex, _ := strings.Cut(program, ":")
	needed[prefix+client.RepoSpecs+"/"+specHex] = true
	needed[prefix+client.RepoModules+"/"+programHex] = true
	needed[prefix+client.RepoImages+"/"+programHex] = true
	inputs, err := s.facts.inputsOf(ctx, owner, spec)
	if err != nil {
		return err
	}
	if !inputs.IsZero() {
		needed[prefix+client.RepoInputs+"/"+inputs.Hex()] = true
	}
	return nil
}
