package vaulttest

import (
	"net/http"
	"time"
)

// wrapping is an answer that waits to be opened, once.
type wrapping struct {
	answer   map[string]any
	accessor string
	path     string
	made     time.Time
	ttl      int
}

// wrap keeps an answer and returns what opens it.
func (s *Server) wrap(r *request, answer map[string]any) map[string]any {
	w := &wrapping{answer: answer, accessor: s.fresh("accessor"), path: r.path, made: time.Now().UTC(), ttl: seconds(r.wrapTTL)}
	id := s.fresh("wrap")
	s.wrapped[id] = w
	return map[string]any{"wrap_info": map[string]any{
		"token": id, "accessor": w.accessor, "ttl": w.ttl, "creation_time": w.made.Format(time.RFC3339), "creation_path": w.path,
	}}
}

func (s *Server) findWrapping(id string) (*wrapping, error) {
	w, ok := s.wrapped[id]
	if !ok || time.Now().After(w.made.Add(time.Duration(w.ttl)*time.Second)) {
		return nil, fail(http.StatusBadRequest, "wrapping token is not valid or does not exist")
	}
	return w, nil
}

func (s *Server) lookupWrapping(r *request) (map[string]any, error) {
	id, _ := r.data["token"].(string)
	w, err := s.findWrapping(id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"data": map[string]any{"creation_path": w.path, "creation_time": w.made.Format(time.RFC3339), "creation_ttl": w.ttl}}, nil
}

func (s *Server) unwrap(r *request) (map[string]any, error) {
	w, err := s.findWrapping(r.token)
	if err != nil {
		return nil, err
	}
	delete(s.wrapped, r.token)
	return w.answer, nil
}

// revokeAccessor ends what was wrapped; tokens of programs are not known by their accessors here.
func (s *Server) revokeAccessor(r *request) (map[string]any, error) {
	accessor, _ := r.data["accessor"].(string)
	for id, w := range s.wrapped {
		if w.accessor == accessor {
			delete(s.wrapped, id)
			return nil, nil
		}
	}
	return nil, fail(http.StatusBadRequest, "invalid accessor")
}
