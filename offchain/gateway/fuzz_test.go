package gateway

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/gateway/access"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

// No text but one that the gateway made is read as a challenge.
func FuzzChallenge(f *testing.F) {
	c, err := newChallenges(func() time.Time { return time.Unix(1_700_000_000, 0) }, "grid.example")
	require.NoError(f, err)
	good, _, err := c.make("grid.example", "fog1x")
	require.NoError(f, err)
	f.Add(good)
	f.Add(strings.Replace(good, "fog1x", "fog1y", 1))
	f.Add("domain: x\nexpires: 2030-01-01T00:00:00Z\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, _, err := c.read(text); err == nil && text != good {
			t.Fatalf("%q is taken", text)
		}
		if domain, err := ChallengeDomain(text); err == nil && !strings.Contains(text, "\n\ndomain: "+domain+"\n") {
			t.Fatalf("domain %q of %q", domain, text)
		}
	})
}

// A repository belongs to whom its name says, and to nobody if it says nothing.
func FuzzParsePlace(f *testing.F) {
	f.Add("dev/fog1x/images/" + strings.Repeat("a", 64))
	f.Add("results/job1x/s0-a1")
	f.Add("results/job1x/s01-a1")
	f.Fuzz(func(t *testing.T, name string) {
		if ref.CheckRepo(name) != nil {
			return
		}
		p := parsePlace(name)
		if p.owner != "" && !strings.HasPrefix(name, "dev/"+p.owner+"/") || p.job != "" && !strings.HasPrefix(name, "results/"+p.job+"/") || p.owner != "" && p.job != "" {
			t.Fatalf("%q: %+v", name, p)
		}
	})
}

func FuzzClassify(f *testing.F) {
	f.Add("GET", "/v1/jobs/x/results")
	f.Add(access.Pull, "dev/fog1x/app")
	f.Fuzz(func(t *testing.T, verb, path string) {
		r, err := Classify(verb, path)
		if _, known := access.Action(r.Kind, r.Verb); err == nil && !known {
			t.Fatalf("%s %s: no action on %s", verb, path, r.Kind)
		}
	})
}

func FuzzClientAddress(f *testing.F) {
	f.Add("127.0.0.1:1", "1.1.1.1, 2.2.2.2")
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		req := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		at := clientAddress(req, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
		if !at.IsValid() || limitKey(at) == "" {
			t.Fatal(at)
		}
		if direct := clientAddress(req, nil); strings.HasPrefix(remote, "192.0.2.1:") && direct.String() != "192.0.2.1" {
			t.Fatalf("%s believed", direct)
		}
	})
}
