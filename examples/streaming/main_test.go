package main

import (
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func get(t *testing.T, s *streamer, path, byteRange string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, r)
	return w
}

func TestStreamer(t *testing.T) {
	s := &streamer{media: os.DirFS("media")}
	want, err := os.ReadFile("media/chord.wav")
	require.NoError(t, err)
	whole := get(t, s, "/media/chord.wav", "")
	require.Equal(t, 200, whole.Code)
	require.Equal(t, "audio/wav", whole.Header().Get("Content-Type"))
	require.Equal(t, "bytes", whole.Header().Get("Accept-Ranges"))
	require.Equal(t, want, whole.Body.Bytes())

	part := get(t, s, "/media/chord.wav", "bytes=1000-1999")
	require.Equal(t, 206, part.Code)
	require.Equal(t, want[1000:2000], part.Body.Bytes())
	tail := get(t, s, "/media/chord.wav", "bytes=-5")
	require.Equal(t, want[len(want)-5:], tail.Body.Bytes())
	require.Equal(t, 416, get(t, s, "/media/chord.wav", "bytes=99999999-").Code)

	for _, path := range []string{"/media/no.wav", "/media/..%2fmain.go", "/media/main.go", "/media/"} {
		require.Equal(t, 404, get(t, s, path, "").Code, path)
	}
	require.Contains(t, get(t, s, "/", "").Body.String(), "/media/chord.wav")
	require.Equal(t, "streams: 0\n", get(t, s, "/health", "").Body.String())
	require.Equal(t, 500, get(t, &streamer{media: os.DirFS("nothing")}, "/health", "").Code)
}
