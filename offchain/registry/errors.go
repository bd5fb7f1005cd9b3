package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"
)

// apiError is an answer of the specification's error codes; everything else that a handler returns is an internal error.
type apiError struct {
	status  int
	code    string
	message string
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func refuse(status int, code, format string, args ...any) error {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func blobUnknown(d any) error {
	return refuse(http.StatusNotFound, "BLOB_UNKNOWN", "this repository has no blob %v; push it first", d)
}

func manifestUnknown(r any) error {
	return refuse(http.StatusNotFound, "MANIFEST_UNKNOWN", "this repository has no manifest %v; push it first", r)
}

func uploadUnknown() error {
	return refuse(http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload session; start a new one")
}

func digestInvalid(err error) error {
	return refuse(http.StatusBadRequest, "DIGEST_INVALID", "%v", err)
}

func tooLarge(limit int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "SIZE_INVALID", "content is larger than the limit of %d bytes; split it", limit)
}

type errorBody struct {
	Errors []errorItem `json:"errors"`
}

type errorItem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// writeError answers err; details of internal errors go to the log, not to the client.
func (r *Registry) writeError(w http.ResponseWriter, req *http.Request, err error) {
	var api *apiError
	switch {
	case errors.As(err, &api):
	case errors.Is(err, syscall.ENOSPC):
		api = &apiError{http.StatusInsufficientStorage, "UNSUPPORTED", "the registry's disk is full; free space or collect garbage"}
		r.opts.Logger.Error("registry disk is full", "path", req.URL.Path, "error", err)
	case req.Context().Err() != nil:
		api = &apiError{http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "the request was cancelled"}
	default:
		api = &apiError{http.StatusInternalServerError, "UNKNOWN", "the registry failed; see its log"}
		r.opts.Logger.Error("registry request failed", "method", req.Method, "path", req.URL.Path, "error", err)
	}
	body, marshalErr := json.Marshal(errorBody{Errors: []errorItem{{api.code, api.message}}})
	if marshalErr != nil {
		r.opts.Logger.Error("registry error body", "error", marshalErr)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(api.status)
	r.write(w, req, body)
}

// write sends a small body; HEAD has none, and a client that went away is its own affair.
func (r *Registry) write(w http.ResponseWriter, req *http.Request, body []byte) {
	if req.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		r.opts.Logger.Debug("registry client went away", "path", req.URL.Path, "error", err)
	}
}
