package registry

import (
	"net/http"
	"strings"

	"github.com/foggrid/fogd/offchain/registry/ref"
)

// route is what a path below /v2/ asks for.
type route struct {
	kind string
	repo string
	arg  string
}

const (
	routePing      = "ping"
	routeBlob      = "blob"
	routeUploads   = "uploads"
	routeUpload    = "upload"
	routeManifest  = "manifest"
	routeTags      = "tags"
	routeReferrers = "referrers"
)

// parseRoute reads a path from its end, because a repository may have components named like the API's.
func parseRoute(path string) (route, error) {
	notFound := refuse(http.StatusNotFound, "UNSUPPORTED", "no such path; see the OCI distribution specification")
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		if path == "/v2" {
			return route{kind: routePing}, nil
		}
		return route{}, notFound
	}
	if rest == "" {
		return route{kind: routePing}, nil
	}
	parts := strings.Split(rest, "/")
	n := len(parts)
	last := func(i int) string {
		if i > n {
			return ""
		}
		return parts[n-i]
	}
	var rt route
	head := n - 2
	switch {
	case last(2) == "manifests":
		rt = route{kind: routeManifest, arg: last(1)}
	case last(2) == "tags" && last(1) == "list":
		rt = route{kind: routeTags}
	case last(2) == "referrers":
		rt = route{kind: routeReferrers, arg: last(1)}
	case last(2) == "blobs" && last(1) == "uploads":
		rt = route{kind: routeUploads}
	case last(2) == "blobs":
		rt = route{kind: routeBlob, arg: last(1)}
	case last(3) == "blobs" && last(2) == "uploads" && last(1) == "":
		rt, head = route{kind: routeUploads}, n-3
	case last(3) == "blobs" && last(2) == "uploads":
		rt, head = route{kind: routeUpload, arg: last(1)}, n-3
	default:
		return route{}, notFound
	}
	rt.repo = strings.Join(parts[:head], "/")
	if err := ref.CheckRepo(rt.repo); err != nil {
		return route{}, refuse(http.StatusBadRequest, "NAME_INVALID", "%v", err)
	}
	return rt, nil
}

// ServeHTTP answers the distribution API.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := r.serve(w, req); err != nil {
		r.writeError(w, req, err)
	}
}

type handlerFunc func(w http.ResponseWriter, req *http.Request, rt route) error

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) error {
	rt, err := parseRoute(req.URL.Path)
	if err != nil {
		return err
	}
	h, ok := r.handlers(rt.kind)[req.Method]
	if !ok {
		return refuse(http.StatusMethodNotAllowed, "UNSUPPORTED", "%s is not supported here", req.Method)
	}
	if err := r.guard(w, req, rt); err != nil {
		return err
	}
	return h(w, req, rt)
}

func (r *Registry) handlers(kind string) map[string]handlerFunc {
	switch kind {
	case routePing:
		return map[string]handlerFunc{http.MethodGet: r.servePing, http.MethodHead: r.servePing}
	case routeBlob:
		return map[string]handlerFunc{http.MethodGet: r.serveGetBlob, http.MethodHead: r.serveGetBlob, http.MethodDelete: r.serveDeleteBlob}
	case routeUploads:
		return map[string]handlerFunc{http.MethodPost: r.serveStartUpload}
	case routeUpload:
		return map[string]handlerFunc{
			http.MethodGet: r.serveUploadStatus, http.MethodPatch: r.servePatchUpload,
			http.MethodPut: r.servePutUpload, http.MethodDelete: r.serveCancelUpload,
		}
	case routeManifest:
		return map[string]handlerFunc{
			http.MethodGet: r.serveGetManifest, http.MethodHead: r.serveGetManifest,
			http.MethodPut: r.servePutManifest, http.MethodDelete: r.serveDeleteManifest,
		}
	case routeTags:
		return map[string]handlerFunc{http.MethodGet: r.serveTags}
	default:
		return map[string]handlerFunc{http.MethodGet: r.serveReferrers}
	}
}

func (r *Registry) servePing(w http.ResponseWriter, req *http.Request, _ route) error {
	w.Header().Set("Content-Type", "application/json")
	r.write(w, req, []byte("{}"))
	return nil
}
