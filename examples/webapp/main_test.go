package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBoard(t *testing.T) {
	b := newBoard()
	do := func(method, path, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		b.handler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w
	}
	require.JSONEq(t, "[]", do("GET", "/notes", "").Body.String())
	require.Equal(t, http.StatusCreated, do("POST", "/notes", `{"author":"ada","text":"hello"}`).Code)
	require.JSONEq(t, `[{"author":"ada","text":"hello"}]`, do("GET", "/notes", "").Body.String())
	for _, bad := range []string{"", "{}", `{"author":"a"}`, `{"author":"a","text":"` + strings.Repeat("x", 281) + `"}`, strings.Repeat(" ", 8<<10)} {
		require.Equal(t, http.StatusBadRequest, do("POST", "/notes", bad).Code, "%.40q", bad)
	}
	require.Equal(t, http.StatusMethodNotAllowed, do("DELETE", "/notes", "").Code)
	var health struct{ Taken uint64 }
	require.NoError(t, json.Unmarshal(do("GET", "/health", "").Body.Bytes(), &health))
	require.EqualValues(t, 1, health.Taken)

	for range maxNotes + 5 {
		require.NoError(t, b.add(note{"a", "b"}))
	}
	require.Len(t, b.notes, maxNotes)
}
