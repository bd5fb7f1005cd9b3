package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/foggrid/fogd/offchain/artifact"
	"github.com/foggrid/fogd/offchain/registry/ref"
)

func (r *Registry) serveGetBlob(w http.ResponseWriter, req *http.Request, rt route) error {
	d, err := artifact.ParseDigest(rt.arg)
	if err != nil {
		return digestInvalid(err)
	}
	if req.Method == http.MethodHead {
		// A push that is told "I have it" relies on it staying.
		if _, err := r.statBlob(rt.repo, d); err != nil {
			return err
		}
	}
	f, info, err := r.openBlob(rt.repo, d)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Docker-Content-Digest", d.String())
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Etag", `"`+d.String()+`"`)
	http.ServeContent(w, req, "", info.ModTime(), f)
	if err := f.Close(); err != nil {
		r.opts.Logger.Error("registry blob", "digest", d, "error", err)
	}
	return nil
}

func (r *Registry) serveDeleteBlob(w http.ResponseWriter, _ *http.Request, rt route) error {
	d, err := artifact.ParseDigest(rt.arg)
	if err != nil {
		return digestInvalid(err)
	}
	if err := r.deleteBlob(rt.repo, d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (r *Registry) blobCreated(w http.ResponseWriter, repo string, d artifact.Digest) error {
	w.Header().Set("Location", "/v2/"+repo+"/blobs/"+d.String())
	w.Header().Set("Docker-Content-Digest", d.String())
	w.WriteHeader(http.StatusCreated)
	return nil
}

// uploadHeaders tell where the session is and what it holds; an empty one says 0-0, as other registries do.
func uploadHeaders(w http.ResponseWriter, repo, id string, size int64) {
	h := w.Header()
	h.Set("Location", "/v2/"+repo+"/blobs/uploads/"+id)
	h.Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	h.Set("Docker-Upload-Uuid", id)
}

// serveStartUpload mounts, takes a whole blob, or opens a session, as the query asks; a mount that fails opens a session.
func (r *Registry) serveStartUpload(w http.ResponseWriter, req *http.Request, rt route) error {
	query := req.URL.Query()
	if mountArg, from := query.Get("mount"), query.Get("from"); mountArg != "" && from != "" {
		d, err := artifact.ParseDigest(mountArg)
		if err != nil {
			return digestInvalid(err)
		}
		if err := ref.CheckRepo(from); err != nil {
			return refuse(http.StatusBadRequest, "NAME_INVALID", "from: %v", err)
		}
		if r.mayMount(req, from) {
			err = r.mount(rt.repo, from, d)
			if err == nil {
				return r.blobCreated(w, rt.repo, d)
			}
			var unknown *apiError
			if !errors.As(err, &unknown) {
				return err
			}
		}
	}
	var whole artifact.Digest
	if arg := query.Get("digest"); arg != "" {
		d, err := artifact.ParseDigest(arg)
		if err != nil {
			return digestInvalid(err)
		}
		whole = d
	}
	q, limited, err := r.quotaOf(rt.repo)
	if err == nil && limited {
		if err = r.checkQuota(q, 1); err == nil {
			err = r.checkUploads(q)
		}
	}
	if err = errors.Join(err, r.leavesDisk()); err != nil {
		return err
	}
	u, err := r.startUpload(rt.repo, limited && q.Apart)
	if err != nil {
		return err
	}
	if whole.IsZero() {
		uploadHeaders(w, rt.repo, u.id, 0)
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return r.takeWhole(w, req.Body, u, whole)
}

// takeWhole appends the body and finishes the session; after a failure the session is gone.
func (r *Registry) takeWhole(w http.ResponseWriter, body io.Reader, u *upload, d artifact.Digest) error {
	if err := r.appendChunk(u, body, -1); err != nil {
		r.uploads.remove(u.id)
		if discardErr := u.discard(); discardErr != nil {
			r.opts.Logger.Error("registry upload", "error", discardErr)
		}
		return err
	}
	if err := r.finish(u, d); err != nil {
		return err
	}
	return r.blobCreated(w, u.repo, d)
}

func (r *Registry) serveUploadStatus(w http.ResponseWriter, _ *http.Request, rt route) error {
	u, err := r.acquire(rt.repo, rt.arg)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	uploadHeaders(w, rt.repo, u.id, u.size)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (r *Registry) servePatchUpload(w http.ResponseWriter, req *http.Request, rt route) error {
	u, err := r.acquire(rt.repo, rt.arg)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	want, err := checkRange(req, u.size)
	if err != nil {
		uploadHeaders(w, rt.repo, u.id, u.size)
		return err
	}
	if err := r.appendChunk(u, req.Body, want); err != nil {
		return err
	}
	uploadHeaders(w, rt.repo, u.id, u.size)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (r *Registry) servePutUpload(w http.ResponseWriter, req *http.Request, rt route) error {
	d, err := artifact.ParseDigest(req.URL.Query().Get("digest"))
	if err != nil {
		return digestInvalid(err)
	}
	u, err := r.acquire(rt.repo, rt.arg)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	if _, err := checkRange(req, u.size); err != nil {
		uploadHeaders(w, rt.repo, u.id, u.size)
		return err
	}
	return r.takeWhole(w, req.Body, u, d)
}

func (r *Registry) serveCancelUpload(w http.ResponseWriter, _ *http.Request, rt route) error {
	u, err := r.acquire(rt.repo, rt.arg)
	if err != nil {
		return err
	}
	defer u.mu.Unlock()
	r.uploads.remove(u.id)
	if err := u.discard(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// checkRange compares a Content-Range header with what the session holds and returns the announced length, -1 without a header.
func checkRange(req *http.Request, size int64) (int64, error) {
	header := req.Header.Get("Content-Range")
	if header == "" {
		return -1, nil
	}
	first, last, ok := parseContentRange(header)
	if !ok {
		return 0, refuse(http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "Content-Range %q; write first-last in bytes", header)
	}
	if first != size {
		return 0, refuse(http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID",
			"the chunk starts at %d, the upload holds %d bytes; send the chunks in order", first, size)
	}
	return last - first + 1, nil
}

// parseContentRange reads the specification's form of the header: "first-last", both inclusive, no unit.
func parseContentRange(s string) (first, last int64, ok bool) {
	a, b, found := strings.Cut(s, "-")
	if !found {
		return 0, 0, false
	}
	for _, part := range []string{a, b} {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return 0, 0, false
		}
	}
	first, errFirst := strconv.ParseInt(a, 10, 64)
	last, errLast := strconv.ParseInt(b, 10, 64)
	const most = 1 << 60
	if errFirst != nil || errLast != nil || first > last || last > most {
		return 0, 0, false
	}
	return first, last, true
}
