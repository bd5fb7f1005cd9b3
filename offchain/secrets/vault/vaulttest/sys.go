package vaulttest

import (
	"net/http"
	"strings"
	"time"
)

func (s *Server) sys(r *request, rest string) (map[string]any, error) {
	switch {
	case rest == "mounts":
		return list(s.engines), nil
	case rest == "auth":
		return list(s.auths), nil
	case strings.HasPrefix(rest, "mounts/auth/"):
		return mount(s.auths, r, strings.TrimPrefix(rest, "mounts/auth/"))
	case strings.HasPrefix(rest, "mounts/"):
		return mount(s.engines, r, strings.TrimPrefix(rest, "mounts/"))
	case strings.HasPrefix(rest, "auth/"):
		return mount(s.auths, r, strings.TrimPrefix(rest, "auth/"))
	case strings.HasPrefix(rest, "policies/acl/"):
		return s.policy(r, strings.TrimPrefix(rest, "policies/acl/"))
	case rest == "wrapping/unwrap":
		return s.unwrap(r)
	case rest == "wrapping/lookup":
		return s.lookupWrapping(r)
	case rest == "leases/renew":
		return s.renewLease(r)
	case rest == "leases/revoke":
		id, _ := r.data["lease_id"].(string)
		delete(s.leases, id)
		return nil, nil
	}
	return nil, fail(http.StatusNotFound, "unsupported path")
}

func list(engines map[string]*engine) map[string]any {
	all := map[string]any{}
	for at, e := range engines {
		all[at+"/"] = map[string]any{
			"type": e.kind, "description": e.description, "options": e.options, "config": map[string]any{"max_lease_ttl": e.maxLease},
		}
	}
	return map[string]any{"data": all}
}

func mount(engines map[string]*engine, r *request, at string) (map[string]any, error) {
	at, tune := strings.CutSuffix(at, "/tune")
	e := engines[at]
	if tune && e == nil || !tune && e != nil {
		return nil, fail(http.StatusBadRequest, "path is already in use or not there at %s", at)
	}
	config := r.data
	if !tune {
		e = &engine{options: map[string]string{}}
		e.kind, _ = r.data["type"].(string)
		options, _ := r.data["options"].(map[string]any)
		for k, v := range options {
			e.options[k], _ = v.(string)
		}
		engines[at] = e
		config, _ = r.data["config"].(map[string]any)
	}
	if d, ok := r.data["description"].(string); ok {
		e.description = d
	}
	if ttl, ok := config["max_lease_ttl"].(string); ok && ttl != "" {
		e.maxLease = seconds(ttl)
	}
	return nil, nil
}

func seconds(v any) int {
	switch v := v.(type) {
	case string:
		d, err := time.ParseDuration(v)
		if err != nil {
			return 0
		}
		return int(d / time.Second)
	case float64:
		return int(v)
	}
	return 0
}

func (s *Server) policy(r *request, name string) (map[string]any, error) {
	if r.method == http.MethodGet {
		text, ok := s.policies[name]
		if !ok {
			return nil, errNotFound
		}
		return map[string]any{"data": map[string]any{"name": name, "policy": text}}, nil
	}
	s.policies[name], _ = r.data["policy"].(string)
	return nil, nil
}
