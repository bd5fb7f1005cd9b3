// Package workload tells which task of a Nomad cluster shows a token: Nomad's servers sign one for each task that asks for it in its job (workload
// identity), and publish the keys.
package workload

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Audience is what tokens must be for.
const Audience = "fog"

const (
	maxToken = 16 << 10
	maxKeys  = 1 << 20
	// fresh is how old keys may be before they are fetched again, stale before they are not believed any more; an unknown key is looked for at most each again.
	fresh, stale, again = 5 * time.Minute, time.Hour, 10 * time.Second
	askTime             = 10 * time.Second
	// leeway is for clocks, maxLife for how long a token may be good: the identity blocks of fog's jobs ask for less.
	leeway  = 30 * time.Second
	maxLife = 2 * time.Hour
)

// keysPath is where Nomad's servers have their keys.
const keysPath = "/.well-known/jwks.json"

var (
	// ErrToken is a token that is not good.
	ErrToken = errors.New("the workload identity is not good")
	// ErrUnavailable is a region whose keys cannot be fetched.
	ErrUnavailable = errors.New("the keys of the Nomad region cannot be fetched")
)

// Identity is what a token says of a task.
type Identity struct {
	Region, Namespace, Job, Task, Allocation string
	Expires                                  time.Time
}

// Region is one whose servers' keys are believed, and where they are.
type Region struct {
	Name string
	// URL is that of the servers, or of the keys themselves.
	URL string
	TLS *tls.Config
}

// Verifier knows tokens of some regions; it is safe for concurrent use.
type Verifier struct {
	regions map[string]*keys
	now     func() time.Time
}

// New makes a verifier. Keys are fetched when a token asks for them.
func New(regions []Region, now func() time.Time) (*Verifier, error) {
	v := &Verifier{regions: map[string]*keys{}, now: now}
	for _, r := range regions {
		u, err := url.Parse(r.URL)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || r.Name == "" || v.regions[r.Name] != nil {
			return nil, fmt.Errorf("region %q with keys at %.200q; name each region once, and write https://host:port", r.Name, r.URL)
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = keysPath
		}
		v.regions[r.Name] = &keys{url: u.String(), http: &http.Client{
			Timeout: askTime, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: r.TLS, ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
	}
	return v, nil
}

// claims are those of Nomad's.
type claims struct {
	jwt.Claims
	Namespace  string `json:"nomad_namespace"`
	Job        string `json:"nomad_job_id"`
	Task       string `json:"nomad_task"`
	Allocation string `json:"nomad_allocation_id"`
}

// algorithms are those that Nomad signs with.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.EdDSA}

// Verify returns what a token says, if the servers of the region that it names have signed it for fog and it is good now.
func (v *Verifier) Verify(ctx context.Context, text string) (Identity, error) {
	if len(text) > maxToken {
		return Identity{}, fmt.Errorf("%w: it has %d bytes", ErrToken, len(text))
	}
	token, err := jwt.ParseSigned(text, algorithms)
	if err != nil || len(token.Headers) != 1 {
		return Identity{}, fmt.Errorf("%w: it is no token of Nomad's", ErrToken)
	}
	var said claims
	if err := token.UnsafeClaimsWithoutVerification(&said); err != nil {
		return Identity{}, fmt.Errorf("%w: it is no token of Nomad's", ErrToken)
	}
	// The subject is region:namespace:job:group:task:identity. Which keys count follows from it, so another region's servers cannot say it.
	region, _, _ := strings.Cut(said.Subject, ":")
	from, known := v.regions[region]
	if !known {
		return Identity{}, fmt.Errorf("%w: it is of the region %.100q, whose keys are not known here", ErrToken, region)
	}
	key, err := from.find(ctx, token.Headers[0].KeyID, v.now())
	if err != nil {
		return Identity{}, err
	}
	var c claims
	if err := token.Claims(key, &c); err != nil {
		return Identity{}, fmt.Errorf("%w: it is not signed by the region %q", ErrToken, region)
	}
	now := v.now()
	if err := c.ValidateWithLeeway(jwt.Expected{AnyAudience: jwt.Audience{Audience}, Time: now}, leeway); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if c.Expiry == nil || c.Expiry.Time().Sub(now) > maxLife {
		return Identity{}, fmt.Errorf("%w: it is good for longer than %s", ErrToken, maxLife)
	}
	if c.Namespace == "" || c.Job == "" || c.Task == "" || c.Allocation == "" || !strings.HasPrefix(c.Subject, region+":"+c.Namespace+":"+c.Job+":") {
		return Identity{}, fmt.Errorf("%w: it does not say which task it is of", ErrToken)
	}
	return Identity{region, c.Namespace, c.Job, c.Task, c.Allocation, c.Expiry.Time()}, nil
}

// keys are those of one region.
type keys struct {
	url  string
	http *http.Client

	mu      sync.Mutex
	set     jose.JSONWebKeySet
	fetched time.Time
	asked   time.Time
}

// find returns a key by its id. Keys that were taken out are not believed for longer than stale, and new ones are looked for when they are needed.
func (k *keys) find(ctx context.Context, id string, now time.Time) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.set.Key(id)
	due := now.Sub(k.fetched) >= fresh || len(found) == 0
	if due && now.Sub(k.asked) >= again {
		k.asked = now
		if set, err := k.fetch(ctx); err == nil {
			k.set, k.fetched = set, now
		} else if len(found) == 0 || now.Sub(k.fetched) >= stale {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		found = k.set.Key(id)
	}
	if len(found) != 1 || now.Sub(k.fetched) >= stale || !found[0].Valid() || !found[0].IsPublic() {
		return nil, fmt.Errorf("%w: its key is not one of the region's", ErrToken)
	}
	return found[0].Key, nil
}

func (k *keys) fetch(ctx context.Context) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return set, err
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return set, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return set, err
	}
	if resp.StatusCode != http.StatusOK {
		return set, fmt.Errorf("%s answers %s", k.url, resp.Status)
	}
	return set, json.Unmarshal(raw, &set)
}
