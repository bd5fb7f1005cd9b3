// Package auth is token authentication as registries of the Distribution project do it: who wants to pull or push asks a token service for
// a signed token (JWT, ES256) that names repositories and actions, and shows it to the registry, which checks the signature and lives
// off the token alone. Issuer is the service's half, Verifier and Guard the registry's. Tokens of Issuer are taken by Distribution's own
// registry too (docker-registry of Debian): they carry the certificate of their key (x5c), which that registry has in its rootcertbundle.
package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/foggrid/fogd/offchain/registry"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

// Access is what a token allows on one repository.
type Access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// TypeRepository is the one type of Access that is known.
const TypeRepository = "repository"

// maxScopes is over what docker asks for: the repository itself and those that it mounts layers from.
const maxScopes = 32

// ParseScopes reads scopes as clients ask for them, "repository:NAME:ACTION,ACTION", several in one text divided by spaces. Types and
// actions that are not known are left out, as the specification wants; names must be those of repositories.
func ParseScopes(texts []string) ([]Access, error) {
	var out []Access
	for _, text := range texts {
		for _, scope := range strings.Fields(text) {
			parts := strings.Split(scope, ":")
			if len(parts) != 3 {
				return nil, fmt.Errorf("scope %.200q; write repository:NAME:pull,push", scope)
			}
			kind, name, actions := parts[0], parts[1], parts[2]
			if kind != TypeRepository {
				continue
			}
			if err := ref.CheckRepo(name); err != nil {
				return nil, fmt.Errorf("scope: %w", err)
			}
			if out = add(out, name, strings.Split(actions, ",")); len(out) > maxScopes {
				return nil, fmt.Errorf("over %d repositories in the scopes; ask for fewer at a time", maxScopes)
			}
		}
	}
	return out, nil
}

func add(all []Access, name string, actions []string) []Access {
	i := slices.IndexFunc(all, func(a Access) bool { return a.Name == name })
	if i < 0 {
		i = len(all)
		all = append(all, Access{Type: TypeRepository, Name: name, Actions: []string{}})
	}
	for _, action := range actions {
		switch action {
		case registry.ActionPull, registry.ActionPush, registry.ActionDelete:
			if !slices.Contains(all[i].Actions, action) {
				all[i].Actions = append(all[i].Actions, action)
			}
		}
	}
	return all
}

// scope is how a client asks for an access.
func scope(n registry.Need) string {
	actions := n.Action
	if actions == registry.ActionPush {
		actions = registry.ActionPull + "," + actions
	}
	return TypeRepository + ":" + n.Repo + ":" + actions
}
