package nomadtest

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/hashicorp/nomad/api"
)

// stream is one open event stream.
type stream struct {
	lines chan []byte
	once  sync.Once
	done  chan struct{}
}

func (s *stream) close() { s.once.Do(func() { close(s.done) }) }

// publish sends an allocation to all streams. Its buffer holds nothing for those who come later. The caller holds mu.
func (s *Server) publish(a *allocation) {
	if s.muted {
		return
	}
	raw, err := json.Marshal(api.Events{Index: s.index, Events: []api.Event{{
		Topic: api.TopicAllocation, Type: "AllocationUpdated", Key: a.stub.ID, FilterKeys: []string{a.key.id}, Index: s.index,
		Payload: map[string]any{"Allocation": a.stub},
	}}})
	if err != nil {
		panic(err) // a structure of the API that is no JSON
	}
	raw = append(raw, '\n')
	for st := range s.streams {
		select {
		case st.lines <- raw:
		default: // a slow reader loses events, as with the real one
		}
	}
}

func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	st := &stream{lines: make(chan []byte, 256), done: make(chan struct{})}
	s.mu.Lock()
	s.streams[st] = true
	s.connections++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.streams, st)
		s.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	flush := http.NewResponseController(w)
	for line := []byte("{}\n"); ; {
		if _, err := w.Write(line); err != nil {
			return
		}
		if err := flush.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.base.Done():
			return
		case <-st.done:
			return
		case line = <-st.lines:
		}
	}
}
