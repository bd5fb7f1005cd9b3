package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

func parseReference(s string) (ref.Reference, error) {
	at, err := ref.Parse(s)
	if err != nil {
		return at, refuse(http.StatusBadRequest, "MANIFEST_INVALID", "%v", err)
	}
	return at, nil
}

func (r *Registry) serveGetManifest(w http.ResponseWriter, req *http.Request, rt route) error {
	at, err := parseReference(rt.arg)
	if err != nil {
		return err
	}
	d, link, err := r.resolve(rt.repo, at)
	if err != nil {
		return err
	}
	data, err := r.readManifest(d)
	if errors.Is(err, errMissing) {
		return manifestUnknown(at)
	}
	if err != nil {
		return err
	}
	// Who asks whether it is here relies on it staying.
	if err := touch(r.manifestMark(rt.repo, d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", link.MediaType)
	h.Set("Docker-Content-Digest", d.String())
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("Etag", `"`+d.String()+`"`)
	r.write(w, req, data)
	return nil
}

func (r *Registry) servePutManifest(w http.ResponseWriter, req *http.Request, rt route) error {
	at, err := parseReference(rt.arg)
	if err != nil {
		return err
	}
	mediaType, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		return manifestInvalid("Content-Type %q: %v", req.Header.Get("Content-Type"), err)
	}
	data, err := io.ReadAll(io.LimitReader(req.Body, r.opts.MaxManifestBytes+1))
	if err != nil {
		return manifestInvalid("the body ended early; send it again")
	}
	if int64(len(data)) > r.opts.MaxManifestBytes {
		return tooLarge(r.opts.MaxManifestBytes)
	}
	var d artifact.Digest
	var m manifest
	if err := r.leavesDisk(); err != nil {
		return err
	}
	err = r.withinQuota(rt.repo, int64(len(data)), func() error {
		d, m, err = r.putManifest(rt.repo, at, mediaType, data)
		return err
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Location", "/v2/"+rt.repo+"/manifests/"+d.String())
	h.Set("Docker-Content-Digest", d.String())
	if m.Subject != nil {
		h.Set("OCI-Subject", m.Subject.Digest.String())
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (r *Registry) serveDeleteManifest(w http.ResponseWriter, _ *http.Request, rt route) error {
	at, err := parseReference(rt.arg)
	if err != nil {
		return err
	}
	if err := r.deleteManifest(rt.repo, at); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (r *Registry) serveTags(w http.ResponseWriter, req *http.Request, rt route) error {
	query := req.URL.Query()
	limit := -1
	if arg := query.Get("n"); arg != "" {
		n, err := strconv.Atoi(arg)
		if err != nil || n < 0 {
			return refuse(http.StatusBadRequest, "UNSUPPORTED", "n=%q; use a number of tags", arg)
		}
		limit = n
	}
	known, err := exists(r.repoPath(rt.repo))
	if err != nil {
		return err
	}
	if !known {
		return refuse(http.StatusNotFound, "NAME_UNKNOWN", "no repository %s; push to it first", rt.repo)
	}
	tags, err := r.tags(rt.repo)
	if err != nil {
		return err
	}
	names := []string{}
	for _, t := range tags {
		if t.Tag > query.Get("last") {
			names = append(names, t.Tag)
		}
	}
	if limit >= 0 && limit < len(names) {
		names = names[:limit]
		if limit > 0 {
			next := url.Values{"n": {strconv.Itoa(limit)}, "last": {names[limit-1]}}
			w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?%s>; rel="next"`, rt.repo, next.Encode()))
		}
	}
	return r.writeBody(w, req, "application/json", map[string]any{"name": rt.repo, "tags": names})
}

func (r *Registry) serveReferrers(w http.ResponseWriter, req *http.Request, rt route) error {
	subject, err := artifact.ParseDigest(rt.arg)
	if err != nil {
		return digestInvalid(err)
	}
	artifactType := req.URL.Query().Get("artifactType")
	found, more, err := r.referrers(rt.repo, subject, artifactType, req.URL.Query().Get("last"))
	if err != nil {
		return err
	}
	if more {
		next := url.Values{"last": {found[len(found)-1].Digest.Hex()}}
		if artifactType != "" {
			next.Set("artifactType", artifactType)
		}
		w.Header().Set("Link", fmt.Sprintf(`</v2/%s/referrers/%s?%s>; rel="next"`, rt.repo, subject, next.Encode()))
	}
	if artifactType != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	return r.writeBody(w, req, mediaOCIIndex, map[string]any{"schemaVersion": 2, "mediaType": mediaOCIIndex, "manifests": found})
}

func (r *Registry) writeBody(w http.ResponseWriter, req *http.Request, mediaType string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	r.write(w, req, body)
	return nil
}
