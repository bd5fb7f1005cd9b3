// Command streaming serves audio and video from /in over HTTP, with ranges, so that players can seek.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"mime"
	"net/http"
	"os"
	"os/signal"
	"path"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	s := &streamer{media: os.DirFS("/in/media")}
	server := &http.Server{Addr: ":" + os.Getenv("FOG_PORT_WEB"), Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Print("streaming on ", server.Addr)
	select {
	case err := <-ended:
		log.Fatal(err)
	case <-ctx.Done():
		log.Print(errors.Join(server.Close(), <-ended)) // streams are long; players come back with a range
	}
}

// types are those that an image from scratch has no table for.
var types = map[string]string{
	".wav": "audio/wav", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".mp4": "video/mp4", ".webm": "video/webm", ".m3u8": "application/vnd.apple.mpegurl",
}

type streamer struct {
	media fs.FS
	open  atomic.Int64 // streams
}

func (s *streamer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := fs.ReadDir(s.media, "."); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "streams:", s.open.Load())
	})
	mux.HandleFunc("GET /{$}", s.list)
	mux.HandleFunc("GET /media/{name}", s.stream)
	return mux
}

// list is a page with a player for each file.
func (s *streamer) list(w http.ResponseWriter, _ *http.Request) {
	entries, err := fs.ReadDir(s.media, ".")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for _, e := range entries {
		fmt.Fprintf(w, "<p>%[1]s<br><audio controls preload=none src=\"/media/%[1]s\"></audio></p>\n", e.Name())
	}
}

// stream answers ranges, and requests that name what they have already, as http.ServeContent does.
func (s *streamer) stream(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	kind, known := types[path.Ext(name)]
	if !known || !fs.ValidPath(name) {
		http.NotFound(w, r)
		return
	}
	s.open.Add(1)
	defer s.open.Add(-1)
	w.Header().Set("Content-Type", mime.FormatMediaType(kind, nil))
	http.ServeFileFS(w, r, s.media, name) //nolint:gosec // fs.ValidPath has checked it, and the file system is that of the media alone
}
