package vaulttest

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"path"
	"strings"
	"time"
)

// token is a service token; a zero expiry is the root's.
type token struct {
	policies []string
	period   time.Duration
	expires  time.Time
}

// sweep forgets what has run out.
func (s *Server) sweep() {
	for id, t := range s.tokens {
		if !t.expires.IsZero() && time.Now().After(t.expires) {
			s.forget(id)
		}
	}
}

// forget ends a token and what was lent with it.
func (s *Server) forget(id string) {
	delete(s.tokens, id)
	for lease, l := range s.leases {
		if l.token == id {
			delete(s.leases, lease)
		}
	}
}

func (s *Server) tokenSelf(r *request, rest string) (map[string]any, error) {
	t := s.tokens[r.token]
	switch rest {
	case "revoke-accessor":
		return s.revokeAccessor(r)
	case "lookup-self":
		return map[string]any{"data": map[string]any{"id": r.token, "policies": t.policies}}, nil
	case "renew-self":
		t.expires = time.Now().Add(t.period)
		return authAnswer(r.token, t), nil
	case "revoke-self":
		s.forget(r.token)
		return nil, nil
	}
	return nil, fail(http.StatusNotFound, "unsupported path")
}

func authAnswer(id string, t *token) map[string]any {
	return map[string]any{"auth": map[string]any{
		"client_token": id, "renewable": true, "lease_duration": int(t.period / time.Second), "policies": t.policies, "token_type": "service",
	}}
}

// grant makes the token of a role.
func (s *Server) grant(role map[string]any) map[string]any {
	t := &token{policies: texts(role["token_policies"]), period: time.Duration(seconds(role["token_period"])) * time.Second}
	t.expires = time.Now().Add(t.period)
	id := s.fresh("token")
	s.tokens[id] = t
	s.logins++
	return authAnswer(id, t)
}

func texts(v any) (all []string) {
	items, _ := v.([]any)
	for _, item := range items {
		text, _ := item.(string)
		all = append(all, text)
	}
	return all
}

// auth is the methods: logins, and the objects that they are set up with.
func (s *Server) auth(r *request) (map[string]any, error) {
	at := strings.Split(r.path, "/")[1]
	method := s.auths[at]
	if method == nil {
		return nil, fail(http.StatusNotFound, "no handler for route %q", r.path)
	}
	roles := "auth/" + at + "/role/"
	if strings.HasSuffix(r.path, "/login") {
		switch method.kind {
		case "approle":
			return s.loginAppRole(r, roles)
		case "jwt":
			return s.loginJWT(r, roles)
		case "cert":
			return s.loginCert(r, "auth/"+at+"/certs/")
		}
	}
	role, isRoleID := strings.CutSuffix(r.path, "/role-id")
	if isRoleID {
		if s.objects[role] == nil {
			return nil, errNotFound
		}
		return map[string]any{"data": map[string]any{"role_id": "id-of-" + path.Base(role)}}, nil
	}
	if role, ok := strings.CutSuffix(r.path, "/secret-id"); ok {
		if s.objects[role] == nil {
			return nil, errNotFound
		}
		id := s.fresh("secret")
		s.secrets[id] = path.Base(role)
		return map[string]any{"data": map[string]any{"secret_id": id}}, nil
	}
	return s.object(r)
}

func (s *Server) loginAppRole(r *request, roles string) (map[string]any, error) {
	secret, _ := r.data["secret_id"].(string)
	name, ok := s.secrets[secret]
	if !ok || r.data["role_id"] != "id-of-"+name {
		return nil, fail(http.StatusBadRequest, "invalid role or secret ID")
	}
	role := s.objects[roles+name]
	if uses, _ := role["secret_id_num_uses"].(float64); uses == 1 {
		delete(s.secrets, secret)
	}
	return s.grant(role), nil
}

func (s *Server) loginJWT(r *request, roles string) (map[string]any, error) {
	jwt, _ := r.data["jwt"].(string)
	name, _ := r.data["role"].(string)
	role, claims := s.objects[roles+name], s.jwts[jwt]
	if role == nil || claims == nil {
		return nil, fail(http.StatusBadRequest, "error validating token")
	}
	bound, _ := role["bound_claims"].(map[string]any)
	for claim, want := range bound {
		if claims[claim] != want {
			return nil, fail(http.StatusBadRequest, "error validating claims: claim %q does not match", claim)
		}
	}
	return s.grant(role), nil
}

func (s *Server) loginCert(r *request, certs string) (map[string]any, error) {
	if r.tls == nil || len(r.tls.PeerCertificates) == 0 {
		return nil, fail(http.StatusBadRequest, "client certificate must be supplied")
	}
	name, _ := r.data["name"].(string)
	role := s.objects[certs+name]
	if role == nil {
		return nil, fail(http.StatusBadRequest, "no such role")
	}
	text, _ := role["certificate"].(string)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(text))
	leaf := r.tls.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, fail(http.StatusBadRequest, "invalid certificate: %v", err)
	}
	for _, uri := range leaf.URIs {
		for _, want := range texts(role["allowed_uri_sans"]) {
			if uri.String() == want {
				return s.grant(role), nil
			}
		}
	}
	return nil, fail(http.StatusBadRequest, "no URI of the certificate is allowed")
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
