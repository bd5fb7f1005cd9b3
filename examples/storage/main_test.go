package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStore(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".new-half"), []byte("half"), 0o600))
	s, err := open(dir)
	require.NoError(t, err)
	do := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w
	}
	require.Equal(t, "objects: 0\n", do("GET", "/health", "").Body.String())
	put := do("POST", "/objects", "content")
	sum := sha256.Sum256([]byte("content"))
	name := hex.EncodeToString(sum[:])
	require.Equal(t, http.StatusCreated, put.Code)
	require.Equal(t, name+"\n", put.Body.String())
	require.Equal(t, http.StatusCreated, do("POST", "/objects", "content").Code, "the same again")

	s, err = open(dir) // another run
	require.NoError(t, err)
	require.Equal(t, "content", do("GET", "/objects/"+name, "").Body.String())
	require.Equal(t, http.StatusRequestEntityTooLarge, do("POST", "/objects", strings.Repeat("x", maxObject+1)).Code)
	require.Equal(t, "objects: 1\n", do("GET", "/health", "").Body.String(), "nothing of it is left")

	for _, path := range []string{"/objects/..%2fmain.go", "/objects/" + strings.Repeat("0", 64), "/objects/x"} {
		require.Equal(t, http.StatusNotFound, do("GET", path, "").Code, path)
		require.Equal(t, http.StatusNotFound, do("DELETE", path, "").Code, path)
	}
	require.Equal(t, http.StatusNoContent, do("DELETE", "/objects/"+name, "").Code)
	require.Equal(t, http.StatusNotFound, do("GET", "/objects/"+name, "").Code)
	_, err = open(filepath.Join(dir, "nothing"))
	require.Error(t, err)
}
