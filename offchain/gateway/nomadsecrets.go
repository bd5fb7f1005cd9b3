package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"filippo.io/age"

	"github.com/foggrid/fogd/offchain/dispatch/nomad"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/gateway/workload"
	"github.com/foggrid/fogd/offchain/handover"
	"github.com/foggrid/fogd/offchain/secrets"
	jobstypes "github.com/foggrid/fogd/x/jobs/types"
)

// WorkloadRequest asks for the secrets of a task on Nomad, by a token of its cluster's.
type WorkloadRequest struct {
	Identity string `json:"identity"`
	// Recipient, in age's X25519 form, is for whom secrets are sealed that are not wrapped by Vault.
	Recipient string `json:"recipient"`
}

var errNoRegions = refuse(http.StatusNotImplemented, "no_nomad", "this gateway knows no keys of Nomad; its operator starts it with --nomad-jwks")

// errNotRunning is the answer to a good token of what the chain does not have there now.
var errNotRunning = refuse(http.StatusForbidden, "forbidden", "no attempt runs now in this task of this Nomad cluster, or its job does not let its secrets go to Nomad")

// nomadJob is the form of the ids of attempts' jobs, as nomad.JobID makes them.
var nomadJob = regexp.MustCompile(`^fog-(job1[a-z0-9]{1,90})-s(0|[1-9][0-9]{0,9})-a(0|[1-9][0-9]{0,9})-[0-9a-f]{8}$`)

// parseNomadJob reads the attempt out of the id of a Nomad job. The node in it is for the chain to say.
func parseNomadJob(id string) (place, bool) {
	m := nomadJob.FindStringSubmatch(id)
	if m == nil {
		return place{}, false
	}
	slice, err1 := strconv.ParseUint(m[2], 10, 32)
	attempt, err2 := strconv.ParseUint(m[3], 10, 32)
	return place{job: m[1], slice: uint32(slice), attempt: uint32(attempt)}, err1 == nil && err2 == nil
}

// workloadRuns tells whether a task that shows an identity is the one that brings secrets to an attempt that runs now, where the chain has it.
func (s *Server) workloadRuns(ctx context.Context, id workload.Identity, p place) (jobstypes.Slice, access.Subject, bool, error) {
	slice, subject, served, err := s.onNomad(ctx, p)
	if err != nil || !served {
		return slice, subject, false, err
	}
	node, err := s.facts.node(ctx, slice.NodeId)
	if err != nil {
		return slice, subject, false, err
	}
	at, served := handover.NomadPlace(node)
	namespace := at.Namespace
	if namespace == "" {
		namespace = nomad.DefaultNamespace
	}
	return slice, subject, served && at.Region == id.Region && namespace == id.Namespace && id.Task == nomad.LendTask &&
		id.Job == nomad.JobID(p.attemptID(), slice.NodeId), nil
}

// serveWorkloadLoan lends a task on Nomad the secrets that the spec of its slice names. What the task says of itself counts only as far as its cluster has
// signed it and the chain has the same.
func (s *Server) serveWorkloadLoan(w http.ResponseWriter, req *http.Request, who caller) error {
	ctx := req.Context()
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	if s.cfg.Workloads == nil {
		return errNoRegions
	}
	var in WorkloadRequest
	if err := decode(req, &in); err != nil {
		return err
	}
	if _, err := age.ParseX25519Recipient(in.Recipient); err != nil {
		return badRequest("recipient: it is none of age's")
	}
	id, err := s.cfg.Workloads.Verify(ctx, in.Identity)
	switch {
	case errors.Is(err, workload.ErrUnavailable):
		s.cfg.Log.Warn("a workload identity cannot be checked", "error", err)
		return refuse(http.StatusServiceUnavailable, "no_nomad_keys", "%v", workload.ErrUnavailable)
	case err != nil:
		return s.proofFailed(who, event{verb: verbBorrow, path: req.URL.Path}, err)
	}
	who.token = credential.Token{ID: "nomad:" + id.Region + "/" + id.Allocation, Kind: access.Workload}
	p, ok := parseNomadJob(id.Job)
	runs := false
	var slice jobstypes.Slice
	if ok {
		if slice, who.subject, runs, err = s.workloadRuns(ctx, id, p); err != nil {
			return err
		}
	}
	if !runs {
		detail := fmt.Sprintf("task %.60q of job %.200q in region %.60q, namespace %.60q: nothing of the kind runs", id.Task, id.Job, id.Region, id.Namespace)
		if err := s.record(who, event{verb: verbBorrow, path: req.URL.Path, detail: detail}, false); err != nil {
			return err
		}
		return errNotRunning
	}
	who.subject.Credential = access.Workload
	return s.lendWorkload(w, req, who, keeper, workloadLoan{p, slice, id, in.Recipient})
}

// verbBorrow is that of the audit log for tasks that show a workload identity.
const verbBorrow = "BORROW"

// workloadLoan is what a task is about to be lent.
type workloadLoan struct {
	place     place
	slice     jobstypes.Slice
	id        workload.Identity
	recipient string
}

// lendWorkload lends what the chain's spec names, if that lets it go to Nomad.
func (s *Server) lendWorkload(w http.ResponseWriter, req *http.Request, who caller, keeper secrets.JobLender, l workloadLoan) error {
	ctx := req.Context()
	job, err := s.facts.jobs.Job(ctx, l.place.job)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("/v1/jobs/%s/slices/%d/attempts/%d/secrets", l.place.job, l.place.slice, l.place.attempt)
	if err := s.permit(who, access.Request{Verb: http.MethodPost, Path: path, Kind: access.Loan, Owner: job.Owner, Assigned: true}); err != nil {
		return err
	}
	spec, err := s.facts.spec(ctx, job.Owner, handover.Revised(job, l.slice).SpecDigest)
	if err != nil {
		return err
	}
	if !spec.SecretsOnNomad {
		return errNotRunning
	}
	paths, key := spec.SecretPaths(), handover.ID(l.slice).String()+"/"+l.id.Allocation
	if wait := s.issues.take(key); wait > 0 {
		return tooMany(wait)
	}
	to := secrets.Borrower{Attempt: handover.ID(l.slice).String(), Recipient: l.recipient, Until: dueOf(l.slice)}
	loan, err := keeper.LendJobSecrets(ctx, to, job.Owner, paths)
	if err != nil {
		return err
	}
	if s.cfg.VaultURL != "" && loan.Vault != "" {
		loan.Vault = s.cfg.VaultURL
	}
	// Each allocation of a slice has a loan of its own, of which the newest is the only one.
	if before, had := s.loans.put(key, lent{loan, who, l.place}); had {
		if err := keeper.RecallLoan(ctx, before.loan); err != nil {
			s.cfg.Log.Warn("a loan that was replaced cannot be recalled; it ends by itself", "attempt", key, "error", err)
		}
	}
	made := event{verb: "LEND", path: path, allowed: true, detail: fmt.Sprintf("secrets %q of %s to allocation %s until %s",
		paths, job.Owner, l.id.Allocation, loan.Expires.Format(time.RFC3339))}
	if err := s.record(who, made, true); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return answer(w, http.StatusOK, Lent{job.Owner, loan})
}
