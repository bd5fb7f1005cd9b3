// Command webapp is a service over HTTP: a list of notes in memory, and whether it is well.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// run serves until it is asked to end, and then lets requests finish.
func run(ctx context.Context) error {
	server := &http.Server{Addr: ":" + os.Getenv("FOG_PORT_WEB"), Handler: newBoard().handler(), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Print("serving on ", server.Addr)
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	log.Print("ending")
	return server.Shutdown(patience)
}

const (
	maxNotes = 1000
	maxText  = 280
)

type note struct {
	Author string `json:"author"`
	Text   string `json:"text"`
}

func (n note) validate() error {
	if n.Author == "" || n.Text == "" || len(n.Author) > maxText || len(n.Text) > maxText {
		return fmt.Errorf("a note has an author and a text, of at most %d bytes each", maxText)
	}
	return nil
}

// board keeps the newest notes.
type board struct {
	started time.Time

	mu    sync.Mutex
	notes []note
	taken uint64
}

func newBoard() *board { return &board{started: time.Now(), notes: []note{}} }

func (b *board) add(n note) error {
	if err := n.validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken++
	if b.notes = append(b.notes, n); len(b.notes) > maxNotes {
		b.notes = b.notes[1:]
	}
	return nil
}

func (b *board) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock() // one that hangs here is not well
		taken := b.taken
		b.mu.Unlock()
		answer(w, map[string]any{"replica": os.Getenv("FOG_TASK_INDEX"), "up_s": int(time.Since(b.started).Seconds()), "taken": taken})
	})
	mux.HandleFunc("GET /notes", func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock()
		notes := append([]note{}, b.notes...)
		b.mu.Unlock()
		answer(w, notes)
	})
	mux.HandleFunc("POST /notes", func(w http.ResponseWriter, r *http.Request) {
		var n note
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&n)
		if err == nil {
			err = b.add(n)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Print("answer: ", err)
	}
}
