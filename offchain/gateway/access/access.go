// Package access decides who may do what at the gateway. Rules are policies in Cedar (https://www.cedarpolicy.com), evaluated by
// cedar-go; what they can speak of is in schema.cedarschema, and what holds out of the box in default.cedar.
//
// Nothing is permitted that no policy permits. A policy is checked against the schema when it is written, so that a misspelt role of an
// attribute is an error then and not a silent denial later. A policy that fails while it is evaluated permits nothing, and if it
// forbids, the request is denied. Decisions are pure functions of policies and request: the same are made offline.
package access

import (
	_ "embed" // the schema and the policies out of the box
	"errors"
	"fmt"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/foggrid/fogd/offchain/artifact"
)

// Roles out of the box. Developer and provider are anybody's who logs in, oracle is the chain's to give, the others an operator's.
const (
	Developer = "developer"
	Provider  = "provider"
	Auditor   = "auditor"
	Operator  = "operator"
	Oracle    = "oracle"
)

// Kind is what a request is about.
type Kind string

// The kinds of resources, as the schema names them.
const (
	Node       Kind = "Node"
	Job        Kind = "Job"
	Result     Kind = "Result"
	Log        Kind = "Log"
	Token      Kind = "Token"
	Grant      Kind = "Grant"
	Policy     Kind = "Policy"
	Audit      Kind = "Audit"
	Repository Kind = "Repository"
	Secret     Kind = "Secret"
	Loan       Kind = "Loan"
	Ticket     Kind = "Ticket"
)

// Kinds lists all kinds.
func Kinds() []Kind {
	return []Kind{Node, Job, Result, Log, Token, Grant, Policy, Audit, Repository, Secret, Loan, Ticket}
}

// Verbs that are not methods of HTTP: what a registry token allows.
const (
	Pull   = "PULL"
	Push   = "PUSH"
	Remove = "REMOVE"
)

// Credential is by what a subject is known.
type Credential string

// The kinds of credentials.
const (
	None    Credential = "none"
	Session Credential = "session"
	Machine Credential = "machine"
	Key     Credential = "key"
	Agent   Credential = "node"
	// Attempt is the ticket of one attempt of the node.
	Attempt Credential = "attempt"
	// Workload is the identity of a task on Nomad, by its cluster.
	Workload Credential = "workload"
)

// Subject is who asks; the zero value is a stranger. Exactly one of Address and Node is set for others, with Owner for a node.
type Subject struct {
	Address    string
	Node       string
	Owner      string
	Roles      []string
	Credential Credential
}

// Stranger tells a subject without a token.
func (s Subject) Stranger() bool { return s.Address == "" && s.Node == "" }

// Request is one question.
type Request struct {
	Subject Subject
	// Verb is a method of HTTP, or Pull, Push or Remove.
	Verb string
	// Path of the request, or the repository's name.
	Path string
	Kind Kind
	// Owner of the resource, empty for none.
	Owner string
	// Assigned: see the schema.
	Assigned bool
}

// Decision is an answer.
type Decision struct {
	Allowed bool `json:"allowed"`
	// Policies that decided; none if nothing permits.
	Policies []string `json:"policies"`
	// Errors of policies that could not be evaluated.
	Errors []string `json:"errors,omitempty"`
	// Digest of the policies.
	Digest string `json:"policy_digest"`
}

// MaxPolicyBytes is the most that Compile takes.
const MaxPolicyBytes = 256 << 10

// ErrInvalid is wrapped by the errors of Compile.
var ErrInvalid = errors.New("invalid policy")

//go:embed schema.cedarschema
var schemaText []byte

//go:embed default.cedar
var defaultText []byte

// DefaultText is the policy out of the box.
func DefaultText() []byte { return slices.Clone(defaultText) }

// SchemaText is what policies are checked against.
func SchemaText() []byte { return slices.Clone(schemaText) }

// Policies are compiled and valid. They are safe for concurrent use.
type Policies struct {
	set    *cedar.PolicySet
	digest artifact.Digest
}

// Compile reads policies and checks them against the schema. Each must have an @id of its own, which decisions and the audit log name.
func Compile(text []byte) (*Policies, error) {
	if len(text) > MaxPolicyBytes {
		return nil, fmt.Errorf("%w: %d bytes; use at most %d", ErrInvalid, len(text), MaxPolicyBytes)
	}
	validator, err := newValidator()
	if err != nil {
		return nil, err
	}
	list, err := cedar.NewPolicyListFromBytes("policy.cedar", text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	p := &Policies{set: cedar.NewPolicySet(), digest: artifact.DigestOf(text)}
	var problems []error
	for i, policy := range list {
		id := string(policy.Annotations()["id"])
		if id == "" {
			problems = append(problems, fmt.Errorf("policy %d has no @id(\"…\")", i+1))
			continue
		}
		if p.set.Get(cedar.PolicyID(id)) != nil {
			problems = append(problems, fmt.Errorf("two policies have the @id %q", id))
			continue
		}
		if err := validator.Policy(id, (*ast.Policy)(policy.AST())); err != nil {
			problems = append(problems, fmt.Errorf("policy %q: %w", id, err))
		}
		p.set.Add(cedar.PolicyID(id), policy)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return p, nil
}

func newValidator() (*validate.Validator, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar(schemaText); err != nil {
		return nil, fmt.Errorf("the schema of policies: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("the schema of policies: %w", err)
	}
	return validate.New(resolved), nil
}

// Digest of the text that was compiled.
func (p *Policies) Digest() string { return p.digest.String() }

// Decide answers a request. A verb or a kind that the schema does not know is denied.
func (p *Policies) Decide(r Request) Decision {
	out := Decision{Policies: []string{}, Digest: p.Digest()}
	action, ok := Action(r.Kind, r.Verb)
	if !ok {
		return out
	}
	request, entities := r.cedar(action)
	decision, why := cedar.Authorize(p.set, entities, request)
	out.Allowed = decision == cedar.Allow
	for _, reason := range why.Reasons {
		out.Policies = append(out.Policies, string(reason.PolicyID))
	}
	for _, e := range why.Errors {
		out.Errors = append(out.Errors, string(e.PolicyID)+": "+e.Message)
		// Cedar skips a policy that fails. A prohibition that fails must not become a permission.
		if failed := p.set.Get(e.PolicyID); failed != nil && failed.Effect() == cedar.Forbid {
			out.Allowed = false
		}
	}
	slices.Sort(out.Policies)
	return out
}

// Action is the schema's name of a verb on a kind of resource.
func Action(kind Kind, verb string) (string, bool) {
	if !slices.Contains(Kinds(), kind) {
		return "", false
	}
	verbs := map[string]string{"GET": "read", "HEAD": "read", "POST": "write", "PUT": "write", "DELETE": "delete"}
	if kind == Repository {
		verbs = map[string]string{Pull: "pull", Push: "push", Remove: "remove"}
	}
	action, ok := verbs[verb]
	return action, ok
}

func (r Request) cedar(action string) (cedar.Request, cedar.EntityMap) {
	who := cedar.Entity{UID: cedar.NewEntityUID("Stranger", "stranger")}
	switch s := r.Subject; {
	case s.Address != "":
		who.UID = cedar.NewEntityUID("Account", cedar.String(s.Address))
		who.Attributes = cedar.NewRecord(cedar.RecordMap{"address": cedar.String(s.Address)})
		roles := make([]cedar.EntityUID, len(s.Roles))
		for i, role := range s.Roles {
			roles[i] = cedar.NewEntityUID("Role", cedar.String(role))
		}
		who.Parents = cedar.NewEntityUIDSet(roles...)
	case s.Node != "":
		who.UID = cedar.NewEntityUID("Agent", cedar.String(s.Node))
		who.Attributes = cedar.NewRecord(cedar.RecordMap{"node": cedar.String(s.Node), "owner": cedar.String(s.Owner)})
	}
	credential := r.Subject.Credential
	if credential == "" {
		credential = None
	}
	what := cedar.Entity{
		UID:        cedar.NewEntityUID(cedar.EntityType(r.Kind), cedar.String(r.Path)),
		Attributes: cedar.NewRecord(cedar.RecordMap{"owner": cedar.String(r.Owner)}),
	}
	return cedar.Request{
		Principal: who.UID, Action: cedar.NewEntityUID("Action", cedar.String(action)), Resource: what.UID,
		Context: cedar.NewRecord(cedar.RecordMap{
			"path": cedar.String(r.Path), "verb": cedar.String(r.Verb), "credential": cedar.String(credential), "assigned": cedar.Boolean(r.Assigned),
		}),
	}, cedar.EntityMap{who.UID: who, what.UID: what}
}

// CheckRole refuses a name that no role can have.
func CheckRole(role string) error {
	if role == "" || len(role) > 64 || strings.Trim(role, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return fmt.Errorf("role %.80q; use up to 64 lower-case letters, digits, '-', '_' and '.'", role)
	}
	return nil
}
