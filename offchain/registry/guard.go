package registry

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"sync"
)

// Actions of a Need, as scopes of registry tokens call them.
const (
	ActionPull   = "pull"
	ActionPush   = "push"
	ActionDelete = "delete"
)

// Need is what a request does to a repository. ByTag is true if it finds content by a name that may change.
type Need struct {
	Repo   string
	Action string
	ByTag  bool
}

// Guard decides who may do what; Options.Guard sets it.
type Guard interface {
	// Check returns nil, or a *Refusal. No needs means that the client only asks whether it is known.
	Check(req *http.Request, needs []Need) error
}

// Refusal is what a client is told that may not do something: with a challenge (for WWW-Authenticate) how to get a token, without one that
// no token would help.
type Refusal struct {
	Challenge string
	Message   string
}

func (e *Refusal) Error() string { return e.Message }

// need says what a request does; ok is false for the question whether the registry is there.
func (rt route) need(method string) (n Need, ok bool) {
	if rt.kind == routePing {
		return Need{}, false
	}
	n = Need{Repo: rt.repo, Action: ActionPush}
	switch {
	case rt.kind == routeUploads, rt.kind == routeUpload:
	case method == http.MethodGet, method == http.MethodHead:
		n.Action = ActionPull
	case method == http.MethodDelete:
		n.Action = ActionDelete
	}
	if rt.kind == routeManifest && n.Action == ActionPull {
		at, err := parseReference(rt.arg)
		n.ByTag = err != nil || at.Digest.IsZero()
	}
	n.ByTag = n.ByTag || rt.kind == routeTags
	return n, true
}

// guard asks the guard about a request. The order matters: a client that may not push is not told whether its name would be good.
func (r *Registry) guard(w http.ResponseWriter, req *http.Request, rt route) error {
	if r.opts.Guard == nil {
		return nil
	}
	var needs []Need
	if n, ok := rt.need(req.Method); ok {
		needs = append(needs, n)
	}
	return r.refused(w, r.opts.Guard.Check(req, needs))
}

// mayMount tells whether the client may pull from the repository that it wants to mount from.
func (r *Registry) mayMount(req *http.Request, from string) bool {
	return r.opts.Guard == nil || r.opts.Guard.Check(req, []Need{{Repo: from, Action: ActionPull}}) == nil
}

func (r *Registry) refused(w http.ResponseWriter, err error) error {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	if refusal.Challenge == "" {
		return refuse(http.StatusForbidden, "DENIED", "%s", refusal.Message)
	}
	w.Header().Set("WWW-Authenticate", refusal.Challenge)
	return refuse(http.StatusUnauthorized, "UNAUTHORIZED", "%s", refusal.Message)
}

// Quota is the most that all repositories below a name hold together, equal content counted once.
type Quota struct {
	// Below is the first components of the names, such as dev/fog1….
	Below string
	Bytes int64
	// Apart is for those whom nobody else's uploads may hold up: theirs do not count to Options.MaxUploads, only to MaxUploadsEach.
	Apart bool
}

// quotaExceeded is 403, which clients show and do not try again.
func quotaExceeded(q Quota, used int64) error {
	return refuse(http.StatusForbidden, "DENIED", "%s holds %d bytes of its quota of %d, and this would not fit; remove what is not needed, or ask for more",
		q.Below, used, q.Bytes)
}

// quotaOf returns the quota that holds for a repository.
func (r *Registry) quotaOf(repo string) (Quota, bool, error) {
	if r.opts.Quota == nil {
		return Quota{}, false, nil
	}
	return r.opts.Quota(repo)
}

// checkUploads refuses a session if those who share a quota have too many.
func (r *Registry) checkUploads(q Quota) error {
	most := r.opts.MaxUploadsEach
	if most <= 0 {
		return nil
	}
	open := 0
	for _, u := range r.uploads.all() {
		if q.below(u.repo) {
			open++
		}
	}
	if open >= most {
		return refuse(http.StatusTooManyRequests, "TOOMANYREQUESTS", "%d uploads to %s are open; end some, or retry later", open, q.Below)
	}
	return nil
}

// checkQuota refuses what would not fit, in addition to what is there.
func (r *Registry) checkQuota(q Quota, more int64) error {
	used, err := r.Usage(q.Below)
	if err != nil {
		return fmt.Errorf("measure %s: %w", q.Below, err)
	}
	if used+more > q.Bytes {
		return quotaExceeded(q, used)
	}
	return nil
}

// withinQuota runs place, which lets repo hold size bytes more, if they fit. Those who share a quota wait for each other.
func (r *Registry) withinQuota(repo string, size int64, place func() error) error {
	q, limited, err := r.quotaOf(repo)
	if err != nil {
		return err
	}
	if !limited {
		return place()
	}
	own := r.quotaLock(q)
	own.Lock()
	defer own.Unlock()
	if err := r.checkQuota(q, size); err != nil {
		return err
	}
	return place()
}

// quotaLock is the lock of those who share a quota: what they hold is measured under it, which takes the longer the more that is.
func (r *Registry) quotaLock(q Quota) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(q.Below))
	return &r.quotas[h.Sum32()%uint32(len(r.quotas))]
}
