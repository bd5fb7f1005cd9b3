package vaulttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

type kvEntry struct {
	version int
	data    any
}

func (s *Server) kvCall(r *request, at, rest string) (map[string]any, error) {
	if name, ok := strings.CutPrefix(rest, "metadata/"); ok {
		return s.kvAbout(r, at+"/"+name)
	}
	name, ok := strings.CutPrefix(rest, "data/")
	if !ok {
		return nil, fail(http.StatusNotFound, "unsupported path")
	}
	entry := s.kv[at+"/"+name]
	if r.method == http.MethodGet {
		if entry == nil {
			return nil, errNotFound
		}
		return map[string]any{"data": map[string]any{"data": entry.data, "metadata": kvMetadata(entry)}}, nil
	}
	if entry == nil {
		entry = &kvEntry{}
	}
	options, _ := r.data["options"].(map[string]any)
	if cas, ok := options["cas"].(float64); ok && int(cas) != entry.version {
		return nil, fail(http.StatusBadRequest, "check-and-set parameter did not match the current version")
	}
	entry = &kvEntry{version: entry.version + 1, data: r.data["data"]}
	s.kv[at+"/"+name] = entry
	return map[string]any{"data": kvMetadata(entry)}, nil
}

// kvAbout lists a folder and forgets an entry; the settings of one are taken and not heeded.
func (s *Server) kvAbout(r *request, at string) (map[string]any, error) {
	switch r.method {
	case http.MethodPut:
		return nil, nil
	case http.MethodDelete:
		delete(s.kv, at)
		return nil, nil
	case "LIST":
		var keys []string
		for key := range s.kv {
			if name, ok := strings.CutPrefix(key, strings.TrimSuffix(at, "/")+"/"); ok && !strings.Contains(name, "/") {
				keys = append(keys, name)
			}
		}
		if len(keys) == 0 {
			return nil, errNotFound
		}
		return map[string]any{"data": map[string]any{"keys": keys}}, nil
	}
	return nil, fail(http.StatusNotFound, "unsupported path")
}

func kvMetadata(e *kvEntry) map[string]any {
	return map[string]any{
		"version": e.version, "created_time": time.Now().UTC().Format(time.RFC3339Nano), "deletion_time": "", "destroyed": false,
	}
}

type transitKey struct {
	key  *ecdsa.PrivateKey
	kind any
}

func (s *Server) transitCall(r *request, at, rest string) (map[string]any, error) {
	if name, ok := strings.CutPrefix(rest, "keys/"); ok && !strings.Contains(name, "/") {
		k := s.transit[at+"/"+name]
		if r.method == http.MethodPut {
			if k != nil {
				return nil, nil
			}
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return nil, err
			}
			s.transit[at+"/"+name] = &transitKey{key, r.data["type"]}
			return nil, nil
		}
		if k == nil {
			return nil, errNotFound
		}
		der, err := x509.MarshalPKIXPublicKey(&k.key.PublicKey)
		if err != nil {
			return nil, err
		}
		versions := map[string]any{"1": map[string]any{"public_key": pemText("PUBLIC KEY", der)}}
		return map[string]any{"data": map[string]any{"type": k.kind, "keys": versions}}, nil
	}
	name, ok := strings.CutPrefix(rest, "sign/")
	k := s.transit[at+"/"+name]
	if !ok || k == nil {
		return nil, fail(http.StatusBadRequest, "signing key not found")
	}
	input, _ := r.data["input"].(string)
	msg, err := base64.StdEncoding.DecodeString(input)
	if err != nil || r.data["marshaling_algorithm"] != "jws" || r.data["hash_algorithm"] != "sha2-256" {
		return nil, fail(http.StatusBadRequest, "the stand-in signs base64 with sha2-256 as jws")
	}
	digest := sha256.Sum256(msg)
	rr, ss, err := ecdsa.Sign(rand.Reader, k.key, digest[:])
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 64)
	rr.FillBytes(raw[:32])
	ss.FillBytes(raw[32:])
	return map[string]any{"data": map[string]any{"signature": "vault:v1:" + base64.RawURLEncoding.EncodeToString(raw)}}, nil
}

// lease is a credential on loan.
type lease struct {
	token   string
	life    time.Duration
	expires time.Time
}

// lendCall is every engine that lends: its set-up is objects, and creds/ROLE gives fields of the engine's kind.
func (s *Server) lendCall(r *request, kind, rest string) (map[string]any, error) {
	role, ok := strings.CutPrefix(rest, "creds/")
	if !ok {
		return s.object(r)
	}
	at := strings.TrimSuffix(r.path, "creds/"+role)
	life := seconds(s.objects[at+"config/lease"]["ttl"])
	data := map[string]any{"accessor_id": s.fresh("accessor"), "secret_id": s.fresh("nomad")}
	known := s.objects[at+"role/"+role]
	if kind == "database" {
		known = s.objects[at+"roles/"+role]
		life = seconds(known["default_ttl"])
		data = map[string]any{"username": s.fresh("user"), "password": s.fresh("password")}
	}
	if known == nil {
		return nil, fail(http.StatusBadRequest, "unknown role: %s", role)
	}
	id := r.path + "/" + s.fresh("lease")
	l := &lease{token: r.token, life: time.Duration(life) * time.Second}
	l.expires = time.Now().Add(l.life)
	s.leases[id] = l
	return map[string]any{"lease_id": id, "lease_duration": life, "renewable": true, "data": data}, nil
}

func (s *Server) renewLease(r *request) (map[string]any, error) {
	id, _ := r.data["lease_id"].(string)
	l := s.leases[id]
	if l == nil || time.Now().After(l.expires) {
		return nil, fail(http.StatusBadRequest, "lease not found")
	}
	l.expires = time.Now().Add(l.life)
	return map[string]any{"lease_id": id, "lease_duration": int(l.life / time.Second), "renewable": true}, nil
}
