package access

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	alice = "fog1alice"
	bob   = "fog1bob"
)

func account(credential Credential, roles ...string) Subject {
	return Subject{Address: alice, Roles: roles, Credential: credential}
}

func defaults(t testing.TB) *Policies {
	t.Helper()
	p, err := Compile(DefaultText())
	require.NoError(t, err)
	return p
}

func TestDefaultPolicies(t *testing.T) {
	p := defaults(t)
	developer, node := account(Session, Developer), Subject{Node: "node1x", Owner: bob, Credential: Agent}
	for _, c := range []struct {
		name string
		req  Request
		want bool
	}{
		{"stranger reads nodes", Request{Verb: "GET", Kind: Node, Path: "/v1/nodes"}, false},
		{"stranger pulls", Request{Verb: Pull, Kind: Repository, Path: "dev/" + alice + "/app", Owner: alice}, false},
		{"developer reads nodes", Request{Subject: developer, Verb: "GET", Kind: Node, Owner: bob}, true},
		{"no role reads nodes", Request{Subject: account(Session), Verb: "GET", Kind: Node}, false},
		{"own job", Request{Subject: developer, Verb: "GET", Kind: Job, Owner: alice}, true},
		{"own log by key", Request{Subject: account(Key, Developer), Verb: "GET", Kind: Log, Owner: alice}, true},
		{"other's job", Request{Subject: developer, Verb: "GET", Kind: Job, Owner: bob}, false},
		{"nobody's job", Request{Subject: developer, Verb: "GET", Kind: Job}, false},
		{"other's result", Request{Subject: developer, Verb: "GET", Kind: Result, Owner: bob}, false},
		{"writes a job", Request{Subject: developer, Verb: "POST", Kind: Job, Owner: alice}, false},
		{"unknown verb", Request{Subject: developer, Verb: "PATCH", Kind: Job, Owner: alice}, false},
		{"unknown kind", Request{Subject: developer, Verb: "GET", Kind: "Wallet", Owner: alice}, false},
		{"pushes to own", Request{Subject: developer, Verb: Push, Kind: Repository, Path: "dev/" + alice + "/app", Owner: alice}, true},
		{"pushes to other's", Request{Subject: developer, Verb: Push, Kind: Repository, Path: "dev/" + bob + "/app", Owner: bob}, false},
		{"pushes own result", Request{Subject: developer, Verb: Push, Kind: Repository, Path: "results/job1x/s0-a1", Owner: alice}, false},
		{"pulls own result", Request{Subject: developer, Verb: Pull, Kind: Repository, Path: "results/job1x/s0-a1", Owner: alice}, true},
		{"removes own", Request{Subject: developer, Verb: Remove, Kind: Repository, Path: "dev/" + alice + "/app", Owner: alice}, false},
		{"node pulls what it runs", Request{Subject: node, Verb: Pull, Kind: Repository, Path: "dev/x/images/y", Owner: alice, Assigned: true}, true},
		{"node pulls other", Request{Subject: node, Verb: Pull, Kind: Repository, Path: "dev/x/images/y", Owner: alice}, false},
		{"node of the owner pulls its repositories", Request{Subject: Subject{Node: "node1x", Owner: alice, Credential: Agent}, Verb: Pull, Kind: Repository, Path: "dev/x/images/y", Owner: alice}, false},
		{"node reads its owner's job", Request{Subject: node, Verb: "GET", Kind: Job, Owner: bob}, false},
		{"oracle pulls", Request{Subject: account(Machine, Oracle), Verb: Pull, Kind: Repository, Path: "results/job1x/s0-a1", Owner: bob}, true},
		{"oracle pushes", Request{Subject: account(Machine, Oracle), Verb: Push, Kind: Repository, Path: "results/job1x/s0-a1", Owner: bob}, false},
		{"oracle pushes what runs", Request{Subject: account(Machine, Oracle), Verb: Push, Kind: Repository, Path: "results/job1x/s0-a1", Owner: bob, Assigned: true}, true},
		{"oracle pushes an image", Request{Subject: account(Machine, Oracle), Verb: Push, Kind: Repository, Path: "dev/x/images/y", Owner: bob, Assigned: true}, false},
		{"operator grants", Request{Subject: account(Session, Operator), Verb: "PUT", Kind: Grant, Owner: bob}, true},
		{"operator grants by a key of CI", Request{Subject: account(Key, Operator), Verb: "PUT", Kind: Grant, Owner: bob}, false},
		{"operator writes policies by a machine's token", Request{Subject: account(Machine, Operator), Verb: "PUT", Kind: Policy}, false},
		{"key makes a token", Request{Subject: account(Key, Developer), Verb: "POST", Kind: Token, Owner: alice}, false},
		{"session makes a token", Request{Subject: developer, Verb: "POST", Kind: Token, Owner: alice}, true},
		{"session makes another's token", Request{Subject: developer, Verb: "POST", Kind: Token, Owner: bob}, false},
		{"operator makes another's token", Request{Subject: account(Session, Operator), Verb: "POST", Kind: Token, Owner: bob}, false},
		{"operator revokes another's token", Request{Subject: account(Session, Operator), Verb: "DELETE", Kind: Token, Owner: bob}, true},
		{"operator's key revokes", Request{Subject: account(Key, Operator), Verb: "DELETE", Kind: Token, Owner: bob}, false},
		{"operator writes policy", Request{Subject: account(Session, Operator), Verb: "PUT", Kind: Policy}, true},
		{"operator reads results", Request{Subject: account(Session, Operator), Verb: "GET", Kind: Result, Owner: bob}, false},
		{"auditor reads audit", Request{Subject: account(Key, Auditor), Verb: "GET", Kind: Audit}, true},
		{"auditor reads logs", Request{Subject: account(Session, Auditor), Verb: "GET", Kind: Log, Owner: bob}, false},
		{"auditor grants", Request{Subject: account(Session, Auditor), Verb: "PUT", Kind: Grant, Owner: alice}, false},
		{"developer reads audit", Request{Subject: developer, Verb: "GET", Kind: Audit}, false},
		{"provider pushes", Request{Subject: account(Session, Provider), Verb: Push, Kind: Repository, Path: "dev/" + alice + "/app", Owner: alice}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := p.Decide(c.req)
			require.Empty(t, got.Errors)
			require.Equal(t, c.want, got.Allowed, "decided by %v", got.Policies)
			require.Equal(t, c.want, len(got.Policies) > 0)
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"syntax":            {`permit (principal, action, resource`, "invalid policy"},
		"no id":             {`permit (principal, action, resource);`, "has no @id"},
		"same id":           {`@id("a") permit (principal, action, resource); @id("a") forbid (principal, action, resource);`, `two policies have the @id "a"`},
		"unknown attribute": {`@id("a") permit (principal, action, resource is Job) when { resource.color == "red" };`, "color"},
		"unknown entity":    {`@id("a") permit (principal is Person, action, resource);`, "Person"},
		"unknown action":    {`@id("a") permit (principal, action == Action::"fly", resource);`, "fly"},
		"type":              {`@id("a") permit (principal, action, resource) when { context.path > 3 };`, "policy \"a\""},
		"too large":         {"//" + strings.Repeat("x", MaxPolicyBytes), "use at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Compile([]byte(c.text))
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A role of one's own, bound to a path and a verb, and a prohibition over everything.
func TestOwnPolicies(t *testing.T) {
	p, err := Compile([]byte(`
		@id("ci") permit (principal is Account in Role::"ci", action == Action::"read", resource is Job)
		when { context.path like "/v1/jobs/job1abc*" && context.verb == "GET" };
		@id("closed") forbid (principal == Account::"fog1bob", action, resource);`))
	require.NoError(t, err)
	req := Request{Subject: account(Key, "ci"), Verb: "GET", Kind: Job, Path: "/v1/jobs/job1abcd"}
	require.Equal(t, []string{"ci"}, p.Decide(req).Policies)
	req.Verb = "HEAD"
	require.False(t, p.Decide(req).Allowed)
	req.Verb, req.Path = "GET", "/v1/jobs/job1x"
	require.False(t, p.Decide(req).Allowed)
	req.Path, req.Subject.Address = "/v1/jobs/job1abcd", bob
	require.Equal(t, []string{"closed"}, p.Decide(req).Policies)
	require.False(t, p.Decide(req).Allowed)
}

func TestEmptyPolicyPermitsNothing(t *testing.T) {
	p, err := Compile(nil)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		if d := p.Decide(drawRequest(t)); d.Allowed {
			t.Fatalf("allowed by %v", d.Policies)
		}
	})
}

// Whatever is asked, nobody but an owner, an auditor of jobs, or someone to whom the chain assigned it comes at what has an owner.
func TestNobodyReachesWhatIsOthers(t *testing.T) {
	p := defaults(t)
	rapid.Check(t, func(t *rapid.T) {
		r := drawRequest(t)
		if r.Subject.Address != "" && r.Subject.Address == r.Owner {
			r.Owner = bob + "x"
		}
		if d := p.Decide(r); d.Allowed && (r.Kind == Result || r.Kind == Log || r.Kind == Repository && !r.Assigned && !oracle(r)) {
			t.Fatalf("%+v is allowed by %v", r, d.Policies)
		}
	})
}

func oracle(r Request) bool {
	for _, role := range r.Subject.Roles {
		if role == Oracle {
			return true
		}
	}
	return false
}

func drawRequest(t *rapid.T) Request {
	var s Subject
	switch rapid.IntRange(0, 2).Draw(t, "subject") {
	case 0:
		s = Subject{
			Address:    rapid.SampledFrom([]string{alice, bob}).Draw(t, "address"),
			Roles:      rapid.SliceOf(rapid.SampledFrom([]string{Developer, Provider, Auditor, Operator, Oracle, "ci"})).Draw(t, "roles"),
			Credential: rapid.SampledFrom([]Credential{Session, Machine, Key}).Draw(t, "credential"),
		}
	case 1:
		s = Subject{Node: "node1x", Owner: rapid.SampledFrom([]string{alice, bob}).Draw(t, "node owner"), Credential: Agent}
	}
	return Request{
		Subject: s, Verb: rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", Pull, Push, Remove, ""}).Draw(t, "verb"),
		Path:     rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"dev/fog1alice/app", "results/job1x/s0-a1", "/v1/jobs"})).Draw(t, "path"),
		Kind:     rapid.SampledFrom(append(Kinds(), "Other")).Draw(t, "kind"),
		Owner:    rapid.SampledFrom([]string{"", alice, bob}).Draw(t, "owner"),
		Assigned: rapid.Bool().Draw(t, "assigned"),
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(string(DefaultText()))
	f.Add(`@id("a") permit (principal, action, resource) when { context.path like "*" };`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Compile([]byte(text))
		if err != nil {
			return
		}
		p.Decide(Request{Subject: account(Key, Developer), Verb: "GET", Kind: Job, Path: "/v1/jobs/x", Owner: bob})
	})
}

func BenchmarkDecide(b *testing.B) {
	p := defaults(b)
	r := Request{Subject: account(Session, Developer, Provider), Verb: "GET", Kind: Job, Path: "/v1/jobs/job1x", Owner: alice}
	for b.Loop() {
		if !p.Decide(r).Allowed {
			b.Fatal("denied")
		}
	}
}

// A prohibition that cannot be evaluated prohibits, whatever is permitted besides; a permission that cannot be permits nothing.
func TestPoliciesThatFail(t *testing.T) {
	const overflow = `9223372036854775807 + (if context.assigned then 1 else 0) > 0`
	request := Request{Subject: account(Session, Developer), Verb: "GET", Kind: Job, Owner: alice}
	p, err := Compile([]byte(`@id("open") permit (principal, action, resource); @id("closed") forbid (principal, action, resource) when { !(` + overflow + `) };`))
	require.NoError(t, err)
	require.True(t, p.Decide(request).Allowed, "without an overflow")
	request.Assigned = true
	d := p.Decide(request)
	require.NotEmpty(t, d.Errors)
	require.False(t, d.Allowed)
	p, err = Compile([]byte(`@id("open") permit (principal, action, resource) when { ` + overflow + ` };`))
	require.NoError(t, err)
	d = p.Decide(request)
	require.NotEmpty(t, d.Errors)
	require.False(t, d.Allowed)
}
