// Command storage is a small object store over HTTP that keeps its objects on a volume, named by what they hold.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s, err := open("/data")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: ":" + os.Getenv("FOG_PORT_WEB"), Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Print("storing on ", server.Addr)
	select {
	case err := <-ended:
		log.Fatal(err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(patience); err != nil { // what is being written is finished
		log.Fatal(err)
	}
}

const maxObject = 16 << 20

var nameExpr = regexp.MustCompile(`^[0-9a-f]{64}$`)

// store is a folder of objects.
type store struct{ dir string }

// open clears away what was half written when the store ended.
func open(dir string) (*store, error) {
	half, err := filepath.Glob(filepath.Join(dir, ".new-*"))
	if err != nil {
		return nil, err
	}
	for _, name := range half {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	_, err = os.ReadDir(dir)
	return &store{dir}, err
}

// put writes an object beside its place and moves it there, so that a reader sees all of it or nothing.
func (s *store) put(r io.Reader) (name string, err error) {
	f, err := os.CreateTemp(s.dir, ".new-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, sum), r)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	name = hex.EncodeToString(sum.Sum(nil))
	return name, os.Rename(f.Name(), filepath.Join(s.dir, name))
}

func (s *store) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		entries, err := os.ReadDir(s.dir)
		if err != nil {
			fail(w, err)
			return
		}
		fmt.Fprintln(w, "objects:", len(entries))
	})
	mux.HandleFunc("POST /objects", func(w http.ResponseWriter, r *http.Request) {
		name, err := s.put(http.MaxBytesReader(w, r.Body, maxObject))
		if err != nil {
			fail(w, err)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintln(w, name)
	})
	mux.HandleFunc("GET /objects/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if !nameExpr.MatchString(name) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"`+name+`"`)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeFile(w, r, filepath.Join(s.dir, name)) //nolint:gosec // nameExpr lets digests through and nothing else
	})
	mux.HandleFunc("DELETE /objects/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		if !nameExpr.MatchString(name) {
			http.NotFound(w, r)
			return
		}
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil { //nolint:gosec // nameExpr lets digests through and nothing else
			fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// fail tells a full volume from other errors.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		status = http.StatusNotFound
	case errors.Is(err, syscall.ENOSPC):
		status = http.StatusInsufficientStorage
	case errors.As(err, new(*http.MaxBytesError)):
		status = http.StatusRequestEntityTooLarge
	}
	log.Print(err)
	http.Error(w, http.StatusText(status), status)
}
