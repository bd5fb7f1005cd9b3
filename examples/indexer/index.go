package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// eventPrefix is that of the chain's own events, among those of the SDK.
const eventPrefix = "fog."

// event is something that the chain said.
type event struct {
	ID     uint64            `json:"id"`
	Height int64             `json:"height"`
	Type   string            `json:"type"`
	Fields map[string]string `json:"fields"`
}

// chosen takes the chain's own events. Fields of typed events are JSON: strings lose their quotes here.
func chosen(height int64, all []rpcEvent) (events []event) {
	for _, e := range all {
		if !strings.HasPrefix(e.Type, eventPrefix) {
			continue
		}
		out := event{Height: height, Type: e.Type, Fields: map[string]string{}}
		for _, a := range e.Attributes {
			value := a.Value
			var text string
			if json.Unmarshal([]byte(value), &text) == nil {
				value = text
			}
			out.Fields[a.Key] = value
		}
		events = append(events, out)
	}
	return events
}

// index holds the newest events.
type index struct {
	most int

	mu     sync.Mutex
	events []event // by id
	next   uint64
	height int64
}

func newIndex(most int) *index { return &index{most: most, next: 1} }

func (ix *index) add(height int64, events []event) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for _, e := range events {
		e.ID = ix.next
		ix.next++
		ix.events = append(ix.events, e)
	}
	if over := len(ix.events) - ix.most; over > 0 {
		ix.events = append([]event(nil), ix.events[over:]...)
	}
	ix.height = height
}

// find returns at most limit events after an id, of a type if one is given, in which some field has the value if one is given.
func (ix *index) find(after uint64, kind, value string, limit int) []event {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	found := []event{}
	for _, e := range ix.events {
		if e.ID > after && (kind == "" || e.Type == kind) && (value == "" || e.names(value)) {
			if found = append(found, e); len(found) == limit {
				break
			}
		}
	}
	return found
}

func (e event) names(value string) bool {
	for _, v := range e.Fields {
		if v == value {
			return true
		}
	}
	return false
}

const mostAnswered = 100

func (ix *index) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		ix.mu.Lock()
		height, events := ix.height, len(ix.events)
		ix.mu.Unlock()
		if height == 0 {
			http.Error(w, "no block yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "height: %d\nevents: %d\n", height, events)
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
		if err != nil && r.FormValue("after") != "" {
			http.Error(w, "after is the id of an event", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(ix.find(after, r.FormValue("type"), r.FormValue("value"), mostAnswered)); err != nil {
			log.Print("answer: ", err)
		}
	})
	return mux
}
