package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/gateway/store"
)

const tableGrants = "grants"

// maxRoles bounds what is granted to an address.
const maxRoles = 32

// ReadGrants returns the roles that an operator granted to an address.
func ReadGrants(ctx context.Context, s store.Store, address string) ([]string, error) {
	raw, err := s.Get(ctx, tableGrants, address)
	if errors.Is(err, store.ErrNotFound) {
		return []string{}, nil
	}
	if err != nil {
		return nil, err
	}
	roles := []string{}
	if err := json.Unmarshal(raw, &roles); err != nil {
		return nil, fmt.Errorf("grants of %s in the store: %w", address, err)
	}
	return roles, nil
}

// writeGrants replaces the roles of an address, once noted says that the log has them. The role oracle is the chain's to give.
func (s *Server) writeGrants(ctx context.Context, address string, roles []string, noted func([]string) error) ([]string, error) {
	codec := s.cfg.Chain.Codec().Accounts()
	raw, err := codec.StringToBytes(address)
	if err != nil {
		return nil, badRequest("address: %v", err)
	}
	// bech32 has an upper-case form too; roles are kept under the one that logins have.
	if canonical, err := codec.BytesToString(raw); err != nil || canonical != address {
		return nil, badRequest("address: write it in lower case")
	}
	if len(roles) > maxRoles {
		return nil, badRequest("%d roles; grant at most %d", len(roles), maxRoles)
	}
	for _, role := range roles {
		if err := access.CheckRole(role); err != nil {
			return nil, badRequest("%v", err)
		}
		if role == access.Oracle {
			return nil, badRequest("the role %q is the chain's to give: admit the oracle there", role)
		}
	}
	roles = slices.Compact(slices.Sorted(slices.Values(roles)))
	if roles == nil {
		roles = []string{}
	}
	value, err := json.Marshal(roles)
	if err != nil {
		return nil, err
	}
	if err := noted(roles); err != nil {
		return nil, err
	}
	return roles, s.store.Put(ctx, tableGrants, map[string][]byte{address: value})
}

// rolesOf are all that an address has now. The chain is asked only if oracle is true.
func (s *Server) rolesOf(ctx context.Context, address string, oracle bool) ([]string, error) {
	granted, err := ReadGrants(ctx, s.store, address)
	if err != nil {
		return nil, err
	}
	roles := slices.Concat(s.cfg.DefaultRoles, granted)
	if slices.Contains(s.cfg.Operators, address) {
		roles = append(roles, access.Operator)
	}
	if oracle {
		is, err := s.facts.isOracle(ctx, address)
		if err != nil {
			return nil, err
		}
		if is {
			roles = append(roles, access.Oracle)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(roles))), nil
}

// rolesFor are those that a new token gets: all of its address but the chain's, or those that were asked for.
func (s *Server) rolesFor(ctx context.Context, address string, asked []string) ([]string, error) {
	roles, err := s.rolesOf(ctx, address, slices.Contains(asked, access.Oracle))
	if err != nil || len(asked) == 0 {
		return roles, err
	}
	for _, role := range asked {
		if !slices.Contains(roles, role) {
			return nil, refuse(403, "forbidden", "%s does not have the role %.80q; it has %q", address, role, roles)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(asked))), nil
}

// still are the roles of a token that its address has yet.
func (s *Server) still(ctx context.Context, subject access.Subject) ([]string, error) {
	if subject.Address == "" || len(subject.Roles) == 0 {
		return []string{}, nil
	}
	now, err := s.rolesOf(ctx, subject.Address, slices.Contains(subject.Roles, access.Oracle))
	if err != nil {
		return nil, err
	}
	roles := []string{}
	for _, role := range subject.Roles {
		if slices.Contains(now, role) {
			roles = append(roles, role)
		}
	}
	return roles, nil
}
