package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/foggrid/fogd/offchain/gateway"
	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/audit"
	"github.com/foggrid/fogd/offchain/gateway/credential"
	"github.com/foggrid/fogd/offchain/gateway/store"
)

// aclFlags of `fog acl check`.
type aclFlags struct {
	kept                               gatewayStore
	policy, token, address, node, kind string
	roles                              []string
	verb, path, owner                  string
	assigned                           bool
}

const aclCheckHelp = `Ask the policies about one request, without sending it. It works offline, on the folder of a gateway that is stopped (--data), or on a file of
policies (--policy), which needs no gateway at all; of a gateway that runs it asks the gateway, if this home is logged in there.

Who: --token, the id or the text of a token; or --address with --role, or --node. What: --verb is a method of HTTP with a --path of the API, or
PULL, PUSH or REMOVE with the name of a repository. Whose: --owner, where the path does not say; offline nobody asks the chain, so what the
chain would say of nodes is told with --assigned.

The exit code is 0 if it is allowed, and 1 if not.`

func newACLCmd(a *app) *cobra.Command {
	var f aclFlags
	check := &cobra.Command{
		Use: "check", Short: "Tell whether the policies allow a request, and which policy decides", Long: aclCheckHelp, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.checkACL(cmd.Context(), f) },
	}
	fs := check.Flags()
	f.kept.add(fs, "the gateway's folder (default: gateway in the home)")
	fs.StringVar(&f.policy, "policy", "", "file of policies, in place of the gateway's")
	fs.StringVar(&f.token, "token", "", "id or text of a token")
	fs.StringVar(&f.address, "address", "", "address, in place of a token")
	fs.StringVar(&f.node, "node", "", "node, in place of a token")
	fs.StringSliceVar(&f.roles, "role", nil, "role of the address; may be repeated")
	fs.StringVar(&f.kind, "kind", string(access.Session), "kind of credential of the address: session, machine or key")
	fs.StringVar(&f.verb, "verb", "", "GET, POST, PUT, DELETE, PULL, PUSH or REMOVE")
	fs.StringVar(&f.path, "path", "", "path of the API, or name of a repository")
	fs.StringVar(&f.owner, "owner", "", "address that owns the resource")
	fs.BoolVar(&f.assigned, "assigned", false, "the chain has assigned it to the node or oracle")
	return group("acl", "Try out the gateway's policies", check)
}

func (a *app) checkACL(ctx context.Context, f aclFlags) error {
	r, err := gateway.Classify(f.verb, f.path)
	if err != nil {
		return usagef("%w", err)
	}
	if f.owner != "" {
		r.Owner = f.owner
	}
	r.Assigned = f.assigned
	given := 0
	for _, who := range []string{f.token, f.address, f.node} {
		if who != "" {
			given++
		}
	}
	if given > 1 {
		return usagef("give one of --token, --address and --node")
	}
	d, err := a.decide(ctx, f, r)
	if err != nil {
		return err
	}
	if err := a.print(d, func(w io.Writer) error {
		word := "denied"
		if d.Allowed {
			word = "allowed"
		}
		by := "no policy permits it"
		if len(d.Policies) > 0 {
			by = "by " + strings.Join(d.Policies, ", ")
		}
		_, err := fmt.Fprintf(w, "%s: %s (policies %s)\n", word, by, d.Digest)
		return err
	}); err != nil {
		return err
	}
	if !d.Allowed {
		return errSilent
	}
	return nil
}

// decide finds the policies and the subject, and asks.
func (a *app) decide(ctx context.Context, f aclFlags, r access.Request) (d access.Decision, err error) {
	r.Subject = access.Subject{Address: f.address, Node: f.node, Owner: f.owner, Roles: f.roles, Credential: access.Credential(f.kind)}
	if f.node != "" {
		r.Subject.Credential = access.Agent
	}
	if f.policy != "" {
		if f.token != "" {
			return d, usagef("tokens are the gateway's: with --policy give --address and --role, or --node")
		}
		text, err := os.ReadFile(f.policy)
		if err != nil {
			return d, err
		}
		p, err := access.Compile(text)
		if err != nil {
			return d, err
		}
		return p.Decide(r), nil
	}
	err = f.kept.with(ctx, a, false, func(s store.Store) error {
		rules, err := gateway.OpenRules(ctx, gateway.PoliciesDir(a.gatewayDir(f.kept.data)), s, time.Now)
		if err != nil {
			return err
		}
		if f.token != "" {
			if r.Subject, err = subjectOf(ctx, s, f.token); err != nil {
				return err
			}
		}
		policies, _ := rules.Current()
		d = policies.Decide(r)
		return nil
	})
	if errors.Is(err, store.ErrInUse) && a.profile.Gateway != "" && f.address == "" && f.node == "" {
		return a.askACL(ctx, f)
	}
	return d, err
}

// subjectOf is who a token stands for. Roles that were granted and taken away since are not known to be gone without the gateway's flags, so
// the token's own are used; the gateway itself checks them at each request.
func subjectOf(ctx context.Context, s store.Store, token string) (access.Subject, error) {
	book := credential.NewBook(s, time.Now)
	if !strings.Contains(token, "_") {
		t, err := book.ByID(ctx, token)
		return t.Subject(), err
	}
	t, err := book.Check(ctx, token)
	return t.Subject(), err
}

// askACL asks the gateway that runs.
func (a *app) askACL(ctx context.Context, f aclFlags) (access.Decision, error) {
	q := url.Values{"verb": {f.verb}, "path": {f.path}}
	if f.owner != "" {
		q.Set("owner", f.owner)
	}
	if f.token != "" {
		id := f.token
		if strings.Contains(id, "_") {
			var err error
			if id, err = credential.ParseID(id); err != nil {
				return access.Decision{}, err
			}
		}
		q.Set("token", id)
	}
	var d access.Decision
	err := a.call(ctx, http.MethodGet, "/v1/check?"+q.Encode(), nil, &d)
	return d, err
}

func newAuditCmd(a *app) *cobra.Command {
	var data, anchor string
	verify := &cobra.Command{
		Use: "verify [FILE]", Short: "Check that an audit log is what the gateway wrote", Args: cobra.MaximumNArgs(1),
		Long: `Check the chain of hashes of an audit log: a record that was changed, removed, added or moved is found. That records are missing at the end, or
that the whole log was written anew, is found with --anchor alone: a head (number and hash) that was noted before, elsewhere.`,
		RunE: func(_ *cobra.Command, args []string) error {
			path := gateway.AuditPath(a.gatewayDir(data))
			if len(args) > 0 {
				path = args[0]
			}
			return a.verifyAudit(path, anchor)
		},
	}
	verify.Flags().StringVar(&data, "data", "", "the gateway's folder (default: gateway in the home)")
	verify.Flags().StringVar(&anchor, "anchor", "", "NUMBER:HASH of a record that must be in the log")
	head := &cobra.Command{
		Use: "head", Short: "Show number and hash of the newest record of the gateway's audit log, to be noted elsewhere", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var h audit.Head
			if err := a.call(cmd.Context(), http.MethodGet, "/v1/audit/head", nil, &h); err != nil {
				return err
			}
			return a.print(h, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%d:%s\n", h.Seq, h.Hash)
				return err
			})
		},
	}
	return group("audit", "Check the gateway's audit log", verify, head)
}

func (a *app) verifyAudit(path, noted string) (err error) {
	var anchor *audit.Head
	if noted != "" {
		number, hash, _ := strings.Cut(noted, ":")
		seq, err := strconv.ParseUint(number, 10, 64)
		if err != nil || len(hash) != 64 {
			return usagef("--anchor is %q; write it as `fog audit head` does, NUMBER:HASH", noted)
		}
		anchor = &audit.Head{Seq: seq, Hash: hash}
	}
	f, err := os.Open(path)
	if err != nil {
		return hint(err, "name the file, or the gateway's folder with --data")
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	report, err := audit.Verify(f, anchor)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return a.print(report, func(w io.Writer) error {
		torn := ""
		if report.Torn > 0 {
			torn = fmt.Sprintf("%d bytes at the end are of a record that is being written, or was when the machine stopped", report.Torn)
		}
		return fields(w, slices.Concat([]string{"records", strconv.FormatUint(report.Records, 10)},
			[]string{"head", fmt.Sprintf("%d:%s", report.Head.Seq, report.Head.Hash)},
			[]string{"last", report.Last.Local().Format(time.DateTime)}, []string{"unfinished", torn})...)
	})
}
