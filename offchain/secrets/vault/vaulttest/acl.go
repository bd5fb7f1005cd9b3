package vaulttest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// defaultPolicy is what the programs of fog use of Vault's own "default".
const defaultPolicy = `
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/leases/renew"       { capabilities = ["update"] }
`

var (
	comment  = regexp.MustCompile(`(?m)#.*$`)
	pathRule = regexp.MustCompile(`path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]([^}]*)`)
	quoted   = regexp.MustCompile(`"([^"]+)"`)
)

// allowed refuses what no policy of the token has.
func (s *Server) allowed(r *request) error {
	t := s.tokens[r.token]
	if t == nil {
		return fail(http.StatusForbidden, "permission denied: invalid token")
	}
	if slices.Contains(t.policies, Root) {
		return nil
	}
	need := s.capability(r)
	texts := []string{defaultPolicy}
	for _, name := range t.policies {
		texts = append(texts, s.policies[name])
	}
	best, granted, wraps := -1, []string(nil), false
	for _, text := range texts {
		for _, rule := range pathRule.FindAllStringSubmatch(comment.ReplaceAllString(text, ""), -1) {
			// Lists are of folders, whose names end with a slash, and are known without it too.
			if !matches(rule[1], r.path) && (r.method != "LIST" || !matches(rule[1], r.path+"/")) {
				continue
			}
			weight := strings.IndexAny(rule[1], "+*")
			if weight < 0 {
				weight = len(rule[1]) + 1
			}
			if weight > best {
				best, granted, wraps = weight, nil, false
			}
			if weight == best {
				wraps = wraps || strings.Contains(rule[3], "min_wrapping_ttl")
				for _, c := range quoted.FindAllStringSubmatch(rule[2], -1) {
					granted = append(granted, c[1])
				}
			}
		}
	}
	if wraps && r.wrapTTL == "" || !slices.Contains(granted, need) || slices.Contains(granted, "deny") {
		return fail(http.StatusForbidden, "permission denied")
	}
	return nil
}

// capability is what a request needs. Only some paths tell creation from change.
func (s *Server) capability(r *request) string {
	switch r.method {
	case http.MethodGet:
		return "read"
	case http.MethodPut:
		for at, e := range s.engines {
			rest, ok := strings.CutPrefix(r.path, at+"/data/")
			if ok && e.kind == "kv" && s.kv[at+"/"+rest] == nil {
				return "create"
			}
		}
		return "update"
	case http.MethodDelete:
		return "delete"
	}
	return strings.ToLower(r.method)
}

// matches knows + for one segment and * at the end.
func matches(pattern, path string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	want, have := strings.Split(prefix, "/"), strings.Split(path, "/")
	if len(have) < len(want) || !open && len(have) > len(want) {
		return false
	}
	for i, segment := range want {
		last := open && i == len(want)-1
		if segment != "+" && segment != have[i] && (!last || !strings.HasPrefix(strings.Join(have[i:], "/"), segment)) {
			return false
		}
	}
	return true
}
