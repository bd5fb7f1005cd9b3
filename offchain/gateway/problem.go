package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/foggrid/fogd/offchain/chain"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/gateway/store"
	"github.com/foggrid/fogd/offchain/jobclient"
	"github.com/foggrid/fogd/offchain/registry/client"
	"github.com/foggrid/fogd/offchain/secrets"
)

// problem is an answer that is no success; everything else that a handler returns is explained by explain.
type problem struct {
	status int
	code   string
	detail string
	// wait is for Retry-After.
	wait time.Duration
}

func (p *problem) Error() string { return p.detail }

func refuse(status int, code, format string, args ...any) error {
	return &problem{status: status, code: code, detail: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "bad_request", format, args...)
}

// unauthorized is the answer to a stranger.
func unauthorized(detail string) error {
	return refuse(http.StatusUnauthorized, "unauthorized", "%s", detail)
}

// forbidden says what is missing, out of what the caller knows anyway: it is the same for what is another's and for what is not there.
func forbidden(r access.Request) error {
	if r.Subject.Stranger() {
		return unauthorized("log in first: `fog gateway login`, or send a token as \"Authorization: Bearer …\"")
	}
	action, _ := access.Action(r.Kind, r.Verb)
	who := "this token"
	switch {
	case r.Subject.Node != "":
		who = "node " + r.Subject.Node
	case r.Subject.Address != "":
		who = fmt.Sprintf("this %s token of %s with the roles %q", r.Subject.Credential, r.Subject.Address, r.Subject.Roles)
	}
	return refuse(http.StatusForbidden, "forbidden",
		"%s may not %s this: no policy gives it the right to %s a %s here; it takes a token of the owner, or a role that an operator grants", who, action, action, r.Kind)
}

// CodeNoSecrets is of a gateway whose store of secrets cannot be reached now.
const CodeNoSecrets = "no_secrets"

func tooMany(wait time.Duration) error {
	return &problem{status: http.StatusTooManyRequests, code: "too_many_requests", detail: "too many requests; wait and try again", wait: wait}
}

// explain turns errors of the packages below into answers. Whoever gets here may know whether the thing is there.
func explain(err error) *problem {
	var p *problem
	var query *chain.QueryError
	for _, c := range []struct {
		when   error
		status int
		code   string
	}{
		{jobclient.ErrNoSuchJob, http.StatusNotFound, "not_found"}, {jobclient.ErrNoSuchTask, http.StatusNotFound, "not_found"},
		{jobclient.ErrNotFinished, http.StatusConflict, "not_finished"}, {jobclient.ErrNoResult, http.StatusNotFound, "not_found"},
		{chain.ErrNotFound, http.StatusNotFound, "not_found"}, {client.ErrNotFound, http.StatusNotFound, "not_found"},
		{credential.ErrNotFound, http.StatusNotFound, "not_found"}, {access.ErrInvalid, http.StatusBadRequest, "invalid_policy"},
		{secrets.ErrNotFound, http.StatusNotFound, codeNoSecret}, {secrets.ErrJobPath, http.StatusBadRequest, "bad_request"},
		{secrets.ErrTooMany, http.StatusConflict, "too_many_secrets"}, {secrets.ErrNoLoan, http.StatusConflict, "ended"},
		{secrets.ErrUnavailable, http.StatusServiceUnavailable, CodeNoSecrets},
		{client.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large"}, {chain.ErrUnavailable, http.StatusServiceUnavailable, "no_chain"},
		{store.ErrUnavailable, http.StatusServiceUnavailable, "no_database"},
	} {
		if errors.Is(err, c.when) {
			p = &problem{status: c.status, code: c.code, detail: err.Error()}
			break
		}
	}
	var mismatch *jobclient.MismatchError
	switch {
	case errors.As(err, &p):
	case p != nil && p.code == "no_database": // nothing of where it is
		p.detail = "the gateway's database does not answer; try again later"
	case p != nil && p.code == CodeNoSecrets:
		p.detail = "the gateway's store of secrets does not answer; try again later"
	case p != nil && errors.As(err, &query): // no names of methods
		p.detail = map[string]string{"not_found": "there is no such thing on this chain", "no_chain": "the chain does not answer; try again later"}[p.code]
	case p != nil:
	case errors.As(err, &mismatch):
		p = &problem{status: http.StatusBadGateway, code: "mismatch", detail: err.Error()}
	}
	return p
}

// answer writes a value as JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(append(body, '\n'))
	return err
}

// fail answers an error; what is internal goes to the log and not to the client.
func (s *Server) fail(w http.ResponseWriter, req *http.Request, err error) {
	p := explain(err)
	if p == nil {
		if req.Context().Err() != nil {
			return
		}
		s.cfg.Log.Error("request failed", "method", req.Method, "path", req.URL.Path, "error", err)
		p = &problem{status: http.StatusInternalServerError, code: "internal", detail: "the gateway failed; its operator finds more in its log"}
	}
	if errors.Is(err, store.ErrUnavailable) {
		s.cfg.Log.Error("the database does not answer", "error", err)
	}
	if p.wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(p.wait/time.Second)+1, 10))
	}
	if p.status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="fog gateway"`)
	}
	body := struct {
		Error struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
		} `json:"error"`
	}{}
	body.Error.Code, body.Error.Detail = p.code, p.detail
	if err := answer(w, p.status, body); err != nil {
		s.cfg.Log.Debug("client went away", "path", req.URL.Path, "error", err)
	}
}
