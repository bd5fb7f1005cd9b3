package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stand is what this binary writes in the place of govulncheck, and exit how it ends.
const stand, exit = "FOG_TEST_VULNCHECK_OUTPUT", "FOG_TEST_VULNCHECK_EXIT"

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(stand); ok {
		fmt.Print(text)
		if os.Getenv(exit) != "" {
			fmt.Fprintln(os.Stderr, "no such package")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	config  = `{"config":{"go_version":"go1.26.8","db_last_modified":"2026-08-21T00:00:00Z"}}` + "\n" + `{"progress":{"message":"…"}}` + "\n"
	summary = `{"osv":{"id":"GO-2026-0001","summary":"it panics"}}` + "\n"
	module  = `{"finding":{"osv":"GO-2026-0001","fixed_version":"v1.2.4","trace":[{"module":"example.org/m","version":"v1.2.3"}]}}` + "\n"
	call    = `{"finding":{"osv":"GO-2026-0001","fixed_version":"v1.2.4","trace":[{"module":"example.org/m","version":"v1.2.3","package":"example.org/m/p",` +
		`"function":"Do","receiver":"*T"},{"module":"x","package":"x","function":"main","position":{"filename":"main.go","line":7}}]}}` + "\n"
)

var today = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func TestVerdicts(t *testing.T) {
	const until = "GO-2026-0001 %s the input is ours alone"
	for name, c := range map[string]struct{ found, accepted, want, fails string }{
		"nothing":            {config, "", "nothing is called", ""},
		"there":              {config + summary + module, "", "GO-2026-0001 (it panics): example.org/m@v1.2.3, fixed in v1.2.4\n    not called\n", ""},
		"called":             {config + summary + module + call, "", "example.org/m/p *T.Do, by way of main.go:7\n    FOUND\n", "called: GO-2026-0001"},
		"called, other way":  {config + summary + call + module, "", "FOUND", "called: GO-2026-0001"},
		"accepted":           {config + call, fmt.Sprintf(until, "2026-11-27"), "accepted until 2026-11-27, the input is ours alone", ""},
		"accepted today":     {config + call, fmt.Sprintf(until, "2026-11-26"), "accepted until 2026-11-26", ""},
		"accepted till once": {config + call, fmt.Sprintf(until, "2026-11-25"), "NO LONGER ACCEPTED since 2026-11-25", "called: GO-2026-0001"},
		"another accepted":   {config + call, "GO-2026-0002 2027-01-01 a reason for it", "FOUND", "called: GO-2026-0001"},
		"accepted in vain":   {config + module, fmt.Sprintf(until, "2027-01-01"), "nothing calls it any more: remove it", ""},
		"silence":            {"", "", "", "does not say what it searched"},
		"no JSON":            {config + "x", "", "", "no stream of JSON"},
		"cut off":            {config + call[:50], "", "", "no stream of JSON"},
		"empty finding":      {config + `{"finding":{}}`, "", "", "no id or no trace"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := runWith(t, "file:///nowhere", c.accepted, c.found)
			require.Contains(t, out, c.want)
			if c.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.fails)
			}
		})
	}
}

// runWith runs the check with this binary in the place of govulncheck.
func runWith(t *testing.T, database, accepted, found string) (string, error) {
	t.Helper()
	t.Setenv(stand, found)
	file := filepath.Join(t.TempDir(), "accepted")
	require.NoError(t, os.WriteFile(file, []byte(accepted), 0o600))
	var out bytes.Buffer
	err := check{program: os.Args[0], database: database, accepted: file, packages: []string{"./..."}, today: today, out: &out}.run(t.Context())
	return out.String(), err
}

func TestWhatFails(t *testing.T) {
	t.Setenv(exit, "1")
	_, err := runWith(t, "file:///nowhere", "", config)
	require.ErrorContains(t, err, "no such package")
	_, err = runWith(t, "file:///nowhere", "GO-1", config)
	require.ErrorContains(t, err, "line 1")
	require.Error(t, check{accepted: filepath.Join(t.TempDir(), "missing"), out: io.Discard}.run(t.Context()))
}

// A database that does not answer skips the check, loudly; one that answers does not.
func TestUnreachableDatabase(t *testing.T) {
	answers := map[string]string{"/good/index/db.json": `{"modified":"2026-08-21T00:00:00Z"}`, "/page/index/db.json": "<html>", "/other/index/db.json": "{}"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, ok := answers[r.URL.Path]; ok {
			_, err := io.WriteString(w, text)
			require.NoError(t, err)
			return
		}
		http.NotFound(w, r)
	}))
	for _, path := range []string{"/page", "/other", "/missing"} {
		out, err := runWith(t, server.URL+path, "", config+call)
		require.NoError(t, err)
		require.Contains(t, out, "*** SKIPPED", path)
		require.NotContains(t, out, "nothing is called")
	}
	_, err := runWith(t, server.URL+"/good/", "", config+call)
	require.ErrorContains(t, err, "GO-2026-0001")
	server.Close()
	out, err := runWith(t, server.URL+"/good", "", config+call)
	require.NoError(t, err)
	require.Contains(t, out, "*** SKIPPED")
}

func TestParseAccepted(t *testing.T) {
	list, err := parseAccepted("# why\n\n  GO-2026-0001  2027-01-31   the input is ours  \nGO-2023-12345 2027-02-01 nobody can reach it\n")
	require.NoError(t, err)
	require.Equal(t, map[string]acceptance{
		"GO-2026-0001":  {time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC), "the input is ours"},
		"GO-2023-12345": {time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC), "nobody can reach it"},
	}, list)
	for text, want := range map[string]string{
		"CVE-2026-1 2027-01-31 the input is ours":                                              "no id",
		"GO-2026-0001 soon the input is ours":                                                  "no day",
		"GO-2026-0001 2027-02-31 the input is ours":                                            "no day",
		"GO-2026-0001 2027-01-31":                                                              "in a sentence",
		"GO-2026-0001 2027-01-31 fine":                                                         "in a sentence",
		"#\nGO-2026-0001 2027-01-31 the input is ours\nGO-2026-0001 2028-01-31 it still is so": "line 3: GO-2026-0001 was accepted before",
	} {
		_, err := parseAccepted(text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParseAccepted(f *testing.F) {
	f.Add("GO-2026-0001 2027-01-31 the input is ours\n# x\n")
	f.Add("GO-2026-0001\t2027-01-31 x")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseAccepted(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for id, a := range list {
			fmt.Fprintf(&again, "%s %s %s\n", id, a.until.Format(day), a.reason)
		}
		back, err := parseAccepted(again.String())
		require.NoError(t, err)
		require.Equal(t, list, back)
	})
}

func FuzzReadReport(f *testing.F) {
	f.Add(config + summary + module + call)
	f.Add(`{"finding":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := readReport(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, found := range r.found {
			require.NotEmpty(t, found.where())
		}
	})
}
