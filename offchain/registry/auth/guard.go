package auth

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/foggrid/fogd/offchain/registry"
)

// Guard is a registry.Guard by tokens.
type Guard struct {
	verifier *Verifier
	realm    string
}

var _ registry.Guard = (*Guard)(nil)

// NewGuard sends clients without a token to the realm, the URL of the token service.
func NewGuard(v *Verifier, realm string) *Guard { return &Guard{v, realm} }

// Check implements registry.Guard.
func (g *Guard) Check(req *http.Request, needs []registry.Need) error {
	kind, text, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if text == "" || !strings.EqualFold(kind, "Bearer") {
		return g.challenge("", "log in: this registry takes tokens of "+g.realm, needs)
	}
	claims, err := g.verifier.Verify(strings.TrimSpace(text))
	if err != nil {
		return g.challenge("invalid_token", err.Error(), needs)
	}
	for _, n := range needs {
		if !claims.allows(n) {
			return g.challenge("insufficient_scope", fmt.Sprintf("the token does not allow to %s %s", n.Action, n.Repo), needs)
		}
		if claims.DigestOnly && n.ByTag {
			return &registry.Refusal{Message: "this token finds content by digest only; name it by its digest"}
		}
	}
	return nil
}

func (c Claims) allows(n registry.Need) bool {
	return slices.ContainsFunc(c.Access, func(a Access) bool {
		return a.Type == TypeRepository && a.Name == n.Repo && slices.Contains(a.Actions, n.Action)
	})
}

func (g *Guard) challenge(code, message string, needs []registry.Need) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Bearer realm=%q,service=%q", g.realm, g.verifier.service)
	for _, n := range needs {
		fmt.Fprintf(&b, ",scope=%q", scope(n))
	}
	if code != "" {
		fmt.Fprintf(&b, ",error=%q", code)
	}
	return &registry.Refusal{Challenge: b.String(), Message: message}
}
