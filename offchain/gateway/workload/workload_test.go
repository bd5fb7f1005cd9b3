package workload_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/stretchr/testify/require"

	"github.com/foggrid/fogd/offchain/gateway/workload"
	"github.com/foggrid/fogd/offchain/gateway/workload/workloadtest"
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) wait(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func verifier(t testing.TB, c *clock, regions ...*workloadtest.Region) *workload.Verifier {
	t.Helper()
	var list []workload.Region
	for _, r := range regions {
		list = append(list, workload.Region{Name: r.Name, URL: r.URL})
	}
	v, err := workload.New(list, c.time)
	require.NoError(t, err)
	return v
}

func TestVerify(t *testing.T) {
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	eu, us := workloadtest.New(t, "eu"), workloadtest.New(t, "us")
	v := verifier(t, c, eu, us)
	good := eu.Of("default", "fog-job1x-s0-a1-00000000", "lend", "alloc", c.now)
	id, err := v.Verify(t.Context(), eu.Sign(good))
	require.NoError(t, err)
	require.Equal(t, workload.Identity{
		Region: "eu", Namespace: "default", Job: "fog-job1x-s0-a1-00000000", Task: "lend", Allocation: "alloc", Expires: c.now.Add(15 * time.Minute),
	}, workload.Identity{Region: id.Region, Namespace: id.Namespace, Job: id.Job, Task: id.Task, Allocation: id.Allocation, Expires: id.Expires})
	require.Equal(t, 1, eu.Fetched())
	_, err = v.Verify(t.Context(), eu.Sign(good))
	require.NoError(t, err)
	require.Equal(t, 1, eu.Fetched(), "keys are remembered")
	c.wait(16 * time.Minute)
	_, err = v.Verify(t.Context(), eu.Sign(good))
	require.ErrorIs(t, err, workload.ErrToken, "expired")
}

func TestForgeries(t *testing.T) {
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	eu, us := workloadtest.New(t, "eu"), workloadtest.New(t, "us")
	v := verifier(t, c, eu, us)
	claims := func(change func(*workloadtest.Claims)) workloadtest.Claims {
		out := eu.Of("default", "job", "lend", "alloc", c.now)
		change(&out)
		return out
	}
	good := claims(func(*workloadtest.Claims) {})
	text := eu.Sign(good)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, id := eu.Public()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	parts := strings.Split(text, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	other := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"lend"`, `"evil"`, 1)))
	for name, bad := range map[string]string{
		"empty": "", "no token": "a.b.c", "cut": text[:len(text)-4], "long": text + strings.Repeat("a", 32<<10),
		"altered":                 parts[0] + "." + other + "." + parts[2],
		"no signature":            base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"a stranger's key":        eu.SignWith(good, jose.RS256, stranger, id),
		"an unknown key":          eu.SignWith(good, jose.RS256, stranger, "other"),
		"HMAC with the key":       eu.SignWith(good, jose.HS256, der, id),
		"another region's":        us.Sign(good),
		"an unknown region":       eu.Sign(claims(func(c *workloadtest.Claims) { c.Subject = "asia:default:job:slice:lend:fog" })),
		"for another audience":    eu.Sign(claims(func(c *workloadtest.Claims) { c.Audience = jwt.Audience{"vault.io"} })),
		"for nobody":              eu.Sign(claims(func(c *workloadtest.Claims) { c.Audience = nil })),
		"without an end":          eu.Sign(claims(func(c *workloadtest.Claims) { c.Expiry = nil })),
		"good for too long":       eu.Sign(claims(func(c *workloadtest.Claims) { c.Expiry = jwt.NewNumericDate(time.Unix(1_800_000_000, 0)) })),
		"not good yet":            eu.Sign(claims(func(c *workloadtest.Claims) { c.NotBefore = jwt.NewNumericDate(time.Unix(1_700_001_000, 0)) })),
		"without a task":          eu.Sign(claims(func(c *workloadtest.Claims) { c.Task = "" })),
		"without an allocation":   eu.Sign(claims(func(c *workloadtest.Claims) { c.Allocation = "" })),
		"a namespace that is not": eu.Sign(claims(func(c *workloadtest.Claims) { c.Namespace = "other" })),
	} {
		_, err := v.Verify(t.Context(), bad)
		require.ErrorIs(t, err, workload.ErrToken, name)
	}
}

// Keys are taken up when they are new, and not believed for long when they were taken out or cannot be asked for.
func TestRotation(t *testing.T) {
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	eu := workloadtest.New(t, "eu")
	v := verifier(t, c, eu)
	check := func(text string) error {
		_, err := v.Verify(t.Context(), text)
		return err
	}
	token := func() string { return eu.Sign(eu.Of("default", "job", "lend", "alloc", c.time())) }
	old := token()
	require.NoError(t, check(old))
	eu.Rotate(false)
	require.ErrorIs(t, check(token()), workload.ErrToken, "not asked for again so soon")
	c.wait(10 * time.Second)
	require.NoError(t, check(token()))
	require.NoError(t, check(old))
	eu.Rotate(true)
	require.NoError(t, check(old), "not yet")
	c.wait(5 * time.Minute)
	require.ErrorIs(t, check(old), workload.ErrToken)
	require.NoError(t, check(token()))

	eu.Down(true)
	c.wait(6 * time.Minute)
	require.NoError(t, check(token()), "what is known is good for a while")
	c.wait(time.Hour)
	require.ErrorIs(t, check(token()), workload.ErrUnavailable)
	eu.Down(false)
	c.wait(10 * time.Second)
	require.NoError(t, check(token()))
}

func TestRegionsMustBeClear(t *testing.T) {
	for _, bad := range [][]workload.Region{{{Name: "eu", URL: "eu"}}, {{URL: "https://x"}}, {{Name: "eu", URL: "https://x"}, {Name: "eu", URL: "https://y"}}} {
		_, err := workload.New(bad, time.Now)
		require.Error(t, err)
	}
}

func FuzzVerify(f *testing.F) {
	c := &clock{now: time.Unix(1_700_000_000, 0)}
	eu := workloadtest.New(f, "eu")
	v := verifier(f, c, eu)
	good := eu.Sign(eu.Of("default", "job", "lend", "alloc", c.now))
	want, err := v.Verify(f.Context(), good)
	require.NoError(f, err)
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) { // the last letters of base64 may differ and say the same
		if id, err := v.Verify(t.Context(), text); err == nil && id != want {
			t.Fatalf("%q is taken", text)
		}
	})
}
